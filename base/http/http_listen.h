/* http_listen.h - the socket that an HTTP server listens on. Internal to base/http/.
 *
 * Loop thread only.
 */
#ifndef BASE_HTTP_LISTEN_H
#define BASE_HTTP_LISTEN_H

#include <uv.h>

struct http_server;

/* http_listen_at: listens at address, as http_server_new says, and calls on_connection for who comes: on what
 * a former image of the program listened with there, else on a new socket. Sets the server's listener, port
 * and address or path; http_server_close ends and frees them, also after an error. 0 or a negative errno. */
int http_listen_at(struct http_server *server, const char *address, uv_connection_cb on_connection);

#endif
