/* http_server.h - HTTP/1.1 and HTTP/2 on the loop: keep-alive, chunked bodies, Expect: 100-continue, gzip
 * request bodies.
 *
 * Source: RFC 9110, RFC 9112, RFC 9113. HTTP/2 without TLS is recognised on every listener by its preface;
 * its streams are requests like others. Each listener has a table of routes; a route answers at once or later
 * (the request stays valid until it was answered or its connection closed, which on_gone tells). Limits on
 * everything: header bytes, body bytes before and after decompression, connections, idle and whole-request
 * time; all bodies together (in_flight_bytes: past it 503 with Retry-After). Loop thread only; SIGPIPE must
 * be ignored (loop_init does).
 *
 *   READING_HEAD -> READING_BODY -> ANSWERING -> (keep-alive) READING_HEAD | CLOSING
 */
#ifndef BASE_HTTP_SERVER_H
#define BASE_HTTP_SERVER_H

#include <uv.h>

#include "base/buf.h"
#include "base/http/http_tls_files.h"

struct http_server;
struct http_request;

struct http_route {
    const char *method; /* "GET", "POST"; another method on a known path is 405 with Allow */
    const char *path;   /* compared whole, without the query; NULL ends the table */
    void (*serve)(struct http_request *request, void *ctx);
};

struct http_limits {
    size_t head_bytes;      /* request line and headers; 0: 16 KiB */
    size_t body_bytes;      /* as sent; 0: 4 MiB; past it 413 */
    size_t raw_body_bytes;  /* after decompression; 0: 4 MiB; past it 413 */
    size_t in_flight_bytes; /* bodies of all connections; 0: 32 MiB; past it 503 */
    int connections;        /* 0: 1024; past it http_pressure.h says which one gives way */
    int streams;            /* of an HTTP/2 connection at a time; 0: 128 */
    int age_ms;     /* a connection older than that (10 % more or less) ends after its answers; 0: never */
    int idle_ms;    /* between requests; 0: 60 s */
    int request_ms; /* from the first byte of a head to the last of the body; 0: 30 s */
};

/* http_server_new: routes and ctx are borrowed for the server's life. address is "host:port" (port 0: any;
 * "[::1]:port", ":port") or "unix:/path" (mode 0600; a socket that nobody listens on any more is replaced).
 * HEAD is served by a path's GET. 0 with *ret_server, or a negative errno (bind, listen). */
int http_server_new(uv_loop_t *loop, const char *address, const struct http_route *routes, void *ctx,
                    const struct http_limits *limits, struct http_server **ret_server);

/* A refusal of the server's own: 404, 405, 413, 415 and others. */
struct http_refusal {
    const char *path, *content_type; /* of the request; path "" and content_type NULL when not known (yet) */
    int status;
    const char *text; /* for people; may end with a newline */
};

/* http_server_on_refusal: put is told of each, appends the body that says it and returns its content type;
 * NULL: the text is sent, as without put. A gRPC client is told in gRPC's form in any case. Borrows the
 * routes' ctx. */
void http_server_on_refusal(struct http_server *server,
                            const char *(*put)(void *ctx, const struct http_refusal *refusal,
                                               struct buf *body));

/* http_server_use_tls: connections of the listener speak TLS from now on, nothing else (http_tls.h); what was
 * accepted is closed. The files' paths are borrowed; a file that changes is read again. 0, or a negative
 * errno with words that say why. */
int http_server_use_tls(struct http_server *server, const struct http_tls_files *files, char *words,
                        size_t words_size);

/* What happens to connections and is nobody's answer. */
enum http_event {
    HTTP_EVENT_TLS_FAILED,       /* a handshake, or later; words say why */
    HTTP_EVENT_TLS_TIMEOUT,      /* a handshake that took too long */
    HTTP_EVENT_TLS_RENEWED,      /* certificate files were read again */
    HTTP_EVENT_IDLE_ENDED,       /* an idle connection gave way to a new one */
    HTTP_EVENT_UNFINISHED_ENDED, /* one that never had a request answered */
    HTTP_EVENT_STALLED_ENDED,    /* a request that stalled or is slow gave its room to others */
    HTTP_EVENT_TLS_UNUSABLE,     /* they changed and cannot be used: the former ones are used further */
};

/* http_server_on_event: fn is told of each. words may be "". Borrows the routes' ctx. */
void http_server_on_event(struct http_server *server,
                          void (*fn)(void *ctx, enum http_event event, const char *words));

/* http_server_port: the port it listens on (when 0 was asked for); 0 for a unix socket. */
int http_server_port(const struct http_server *server);

/* http_server_stop: stops accepting; idle connections close, the others after their answer. */
void http_server_stop(struct http_server *server);

/* http_server_is_quiet: no connection is in the middle of a request or its answer; after http_server_stop
 * none will be any more. */
bool http_server_is_quiet(const struct http_server *server);

/* http_server_close: closes everything and frees the server (asynchronously, on the loop). All its requests
 * are invalid from here on; neither a route nor on_gone is called any more. NULL is fine. */
void http_server_close(struct http_server *server);

/* The request. Everything borrowed until it is answered. */
const char *http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request);  /* without the query */
const char *http_request_query(const struct http_request *request); /* without '?'; "" when none */
const char *http_request_header(const struct http_request *request,
                                const char *name);                  /* any case; NULL when none */
const char *http_request_peer(const struct http_request *request);  /* "1.2.3.4:5678" */
struct bytes http_request_body(const struct http_request *request); /* decompressed */
bool http_request_is_http2(const struct http_request *request);

/* http_request_param: the value of a query parameter, percent-decoded into storage; NULL when it is not
 * there. */
const char *http_request_param(const struct http_request *request, const char *name, char *storage,
                               size_t size);

/* http_query_next: the next parameter of a query ("a=1&b=2"), name and value percent-decoded into storage,
 * and *query behind it; one that does not fit or is wrongly escaped is passed over. False after the last. */
bool http_query_next(const char **query, char *name, size_t name_size, char *value, size_t value_size);

/* http_request_take_body: the body's memory becomes the caller's (free()), for who keeps it past the answer.
 */
uint8_t *http_request_take_body(struct http_request *request, size_t *ret_len);

/* http_request_on_gone: fn(ctx) from the loop when the connection closed before the answer; the request is
 * invalid after it. Without it the request stays valid and its answer goes nowhere. A peer that only ended
 * its own side (half-closed) still gets its answer. */
void http_request_on_gone(struct http_request *request, void (*fn)(void *ctx), void *ctx);

/* http_answer: sends status, "Name: value\r\n" lines (may be NULL) and a body (copied), ends the request. */
void http_answer(struct http_request *request, int status, const char *headers, const char *content_type,
                 struct bytes body);

/* http_answer_trailers: the same with trailers, "Name: value\r\n" lines, after the body (HTTP/2 only: over
 * HTTP/1.1 they are left out). */
void http_answer_trailers(struct http_request *request, int status, const char *headers,
                          const char *content_type, struct bytes body, const char *trailers);

/* http_answer_text: the same with text/plain. */
void http_answer_text(struct http_request *request, int status, const char *text);

/* http_stream_begin, _write, _end: a chunked answer of unknown length (tap). Write returns how many bytes are
 * queued and not yet taken by the peer, so that the caller can stop; on_gone still tells of a peer that left.
 */
void http_stream_begin(struct http_request *request, int status, const char *content_type);
size_t http_stream_write(struct http_request *request, struct bytes chunk);
void http_stream_end(struct http_request *request);

#endif
