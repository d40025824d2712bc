/* dbus_message.h - messages of D-Bus and the values in them, as they come. Pure; any thread.
 *
 * Source: the D-Bus specification 0.43 (dbus.freedesktop.org); little endian messages only.
 */
#ifndef NODE_AGENT_DBUS_MESSAGE_H
#define NODE_AGENT_DBUS_MESSAGE_H

#include "base/bytes.h"

enum { DBUS_FIXED_BYTES = 16, DBUS_MESSAGE_BYTES = 16 * 1024 * 1024 };

/* What is left of a message's body. A reader that fails once keeps failing. */
struct dbus_reader {
    const uint8_t *begin;
    size_t len, at;
    bool failed;
};

struct dbus_message {
    int type;
    uint32_t answers; /* the serial of the request that it answers; 0: of none */
    struct dbus_reader body;
};

/* dbus_message_rest: how many bytes follow a message's first DBUS_FIXED_BYTES. 0, -EBADMSG (not little
 * endian), -EMSGSIZE (more than three quarters of DBUS_MESSAGE_BYTES). */
int dbus_message_rest(const uint8_t *fixed, size_t *ret_len);

/* dbus_message_parse: a whole message; body is borrowed from it. 0, or errors as dbus_message_rest (-EBADMSG:
 * it is not whole). */
int dbus_message_parse(struct bytes message, struct dbus_message *ret_message);

/* The basic types; 0 or "" once failed. Strings ("s", "o") are borrowed as long as the answer. */
uint32_t dbus_read_u32(struct dbus_reader *reader);
uint64_t dbus_read_u64(struct dbus_reader *reader);
const char *dbus_read_string(struct dbus_reader *reader);

/* dbus_read_array: begins an array of structs; where it ends. dbus_read_struct: begins the next of them;
 * false at the end. */
size_t dbus_read_array(struct dbus_reader *reader);
bool dbus_read_struct(struct dbus_reader *reader, size_t end);

/* dbus_read_signature: of a variant, whose value follows. */
const char *dbus_read_signature(struct dbus_reader *reader);

#endif
