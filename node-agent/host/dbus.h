/* dbus.h - a small client of D-Bus: method calls with strings as arguments, and the reading of their answers.
 *
 * Source: the D-Bus specification 0.43 (dbus.freedesktop.org). Only unix sockets, EXTERNAL authentication and
 * little endian peers. An answer has five seconds to come; every call blocks until then. One thread at a
 * time.
 */
#ifndef NODE_AGENT_DBUS_H
#define NODE_AGENT_DBUS_H

#include "node-agent/host/dbus_message.h"

struct dbus;

/* dbus_open_system: the system's bus: $DBUS_SYSTEM_BUS_ADDRESS, or its usual socket. 0 or a negative errno
 * (-EACCES: not let in; -EINVAL: an address of another kind). */
int dbus_open_system(struct dbus **ret_dbus);

/* dbus_open_private: a peer's own socket at path, without a bus. */
int dbus_open_private(const char *path, struct dbus **ret_dbus);
void dbus_free(struct dbus *dbus); /* NULL is fine */

/* dbus_call: args are strings, NULL ends. 0 with the answer, borrowed until the next call; -EREMOTEIO: the
 * peer answered with an error; or the socket's. */
int dbus_call(struct dbus *dbus, const char *destination, const char *path, const char *interface,
              const char *member, const char *const *args, struct dbus_reader *ret_reader);

/* dbus_get_property: the value of a property, whose type must be of that signature ("s", "u", "t", "b").
 * Errors as dbus_call, -EBADMSG: of another type. */
int dbus_get_property(struct dbus *dbus, const char *destination, const char *path, const char *interface,
                      const char *property, const char *signature, struct dbus_reader *ret_reader);

#endif
