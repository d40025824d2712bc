/* grpc_connection.h - unary gRPC calls to one backend over one HTTP/2 connection that is kept and reused.
 *
 * Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), RFC 9113; the framing is nghttp2's. The TCP connection is
 * made by curl (names, timeouts), which cannot reuse an h2c connection itself; TLS is grpc_tls's. Each call
 * has a deadline (also told to the server, grpc-timeout); a connection on which a call ran into it without a
 * byte coming back is given up. One thread; part of sender.
 *
 *   CLOSED --call--> CONNECTING --curl--> SHAKING --TLS--> OPEN --GOAWAY--> LEAVING --last stream--> CLOSED
 *      ^                 |  failed: the calls were not sent |       |              |
 *      '-----------------'<---------------------------------'<------'--lost: no answer
 *
 * CONNECTING has curl's connect timeout, SHAKING the same again, the calls have theirs; OPEN without calls
 * for a minute closes.
 */
#ifndef GATEWAY_GRPC_CONNECTION_H
#define GATEWAY_GRPC_CONNECTION_H

#include <curl/curl.h>

#include "gateway/fanout/sender.h"

struct grpc_connection;

struct grpc_connection_options { /* everything is borrowed */
    CURLM *multi;
    CURL *(*make)(
        void *ctx); /* an easy handle with URL, TLS and timeouts; the connection becomes its owner */
    struct curl_slist *(*headers)(void *ctx); /* "Name: value" lines of a call; owned by the caller then */
    void *ctx;
    const struct gateway_backend_tls *tls; /* NULL: none */
    const char *authority, *path;
    int64_t timeout_ms;
};

/* grpc_connection_new: NULL when memory is out. options are copied, what they point to is borrowed. */
struct grpc_connection *grpc_connection_new(const struct grpc_connection_options *options);

/* grpc_connection_free: every call must be done or aborted. NULL is fine. */
void grpc_connection_free(struct grpc_connection *connection);

/* grpc_connection_call: the post's body as one message. 0, then post->done() follows from a later
 * grpc_connection_run; -ENOMEM. */
int grpc_connection_call(struct grpc_connection *connection, struct sender_post *post);

/* grpc_connection_abort: the post is forgotten. */
void grpc_connection_abort(struct grpc_connection *connection, struct sender_post *post);

/* grpc_connection_take: a message of the multi handle about easy. Whether it was this connection's. */
bool grpc_connection_take(struct grpc_connection *connection, CURL *easy, CURLcode code);

/* grpc_connection_run: moves everything on as far as it goes without waiting. */
void grpc_connection_run(struct grpc_connection *connection);

/* grpc_connection_wait: what to wait for: fills *ret_fd and returns 1, or 0; *timeout_ms becomes smaller when
 * a deadline comes before. */
unsigned grpc_connection_wait(struct grpc_connection *connection, struct curl_waitfd *ret_fd,
                              int *timeout_ms);

#endif
