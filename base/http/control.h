/* control.h - the control socket: one unix socket (mode 0600: it shows production data) on which several
 * modules answer. HTTP/1.1; what a module answers stands in its own header. Loop thread only.
 */
#ifndef BASE_CONTROL_H
#define BASE_CONTROL_H

#include "base/http/http_server.h"
#include "base/loop.h"

enum { CONTROL_MAX_ROUTES = 16, CONTROL_MAX_CONNECTIONS = 64, CONTROL_PEER_MS = 10 * 60 * 1000 };

struct control;

/* control_new: listens on the unix socket at path. 0 or a negative errno. */
int control_new(struct loop *loop, const char *path, struct control **ret_control);

/* control_add: serve(request, ctx) answers path from now on, with the method "GET" or "POST". path is
 * borrowed. At most CONTROL_MAX_ROUTES. */
void control_add(struct control *control, const char *method, const char *path,
                 void (*serve)(struct http_request *request, void *ctx), void *ctx);

/* control_close: nobody is called any more; those who stream end their answers before. NULL is fine. */
void control_close(struct control *control);

#endif
