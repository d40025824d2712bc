/* http_client.h - one HTTP/1.1 GET on the loop: for scrapes in the agent (libcurl alone would cost it 7.5
 * MB).
 *
 * Follows no redirects; takes identity and gzip bodies, content-length, chunked and until-close; bounded in
 * bytes (after decompression) and in time. Keeps the connection for the next get of the same client. Loop
 * thread only. Host names are resolved with uv_getaddrinfo and tried in order.
 */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include <uv.h>

#include "base/buf.h"

struct http_client;

struct http_reply {
    int error;  /* 0, or a negative errno: -ETIMEDOUT, -ECONNREFUSED, -EMSGSIZE past the body limit, -EBADMSG
                   ... */
    int status; /* when error is 0 */
    const char *content_type;
    struct bytes body; /* decompressed; borrowed during the callback */
};

struct http_client_options {
    const char *host; /* name or address; copied */
    int port;
    const char *target;  /* path and query; copied */
    const char *headers; /* further "Name: value\r\n" lines; copied; may be NULL */
    size_t body_bytes;   /* limit after decompression; 0: 32 MiB */
};

/* http_client_new: 0 with *ret_client or a negative errno. */
int http_client_new(uv_loop_t *loop, const struct http_client_options *options,
                    struct http_client **ret_client);

/* http_client_get: one request at a time (-EBUSY); done is called exactly once, never from inside this call.
 */
int http_client_get(struct http_client *client, int64_t timeout_ms,
                    void (*done)(void *ctx, const struct http_reply *reply), void *ctx);

/* http_client_close: cancels what is under way (done is not called) and frees, asynchronously. NULL is fine.
 */
void http_client_close(struct http_client *client);

#endif
