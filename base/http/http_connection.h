/* http_connection.h - one connection of the HTTP server, which is also its one request at a time. Internal to
 * http_server.c, http_connection.c, http_request.c, http_answer.c and http2*.c.
 *
 * Reads through its server's one buffer, so that an idle connection holds no bytes. Bytes of a next request
 * that arrive too early wait in ahead, and reading stops until the answer is out.
 *
 *   HANDSHAKE (of TLS) -> IDLE
 *   IDLE -> HEAD -> BODY -> SERVING -> WRITING -> IDLE         STREAMING: an answer of unknown length
 *     any reading state -refused-> WRITING -> LINGERING -> CLOSED
 */
#ifndef BASE_HTTP_CONNECTION_H
#define BASE_HTTP_CONNECTION_H

#include "base/http/http1.h"
#include "base/http/http_server.h"
#include "base/http/http_tls.h"

enum { HTTP_READ_BYTES = 64 * 1024, HTTP_LINGER_MS = 2000, HTTP_HANDSHAKE_MS = 10 * 1000 };

enum connection_state {
    CONNECTION_HANDSHAKE, /* of TLS; closes after HTTP_HANDSHAKE_MS */
    CONNECTION_IDLE,      /* no byte of a request yet; closes after idle_ms */
    CONNECTION_HEAD,      /* reading a head; 408 after request_ms */
    CONNECTION_BODY,      /* reading a body; within the same request_ms */
    CONNECTION_SERVING,   /* a route has the request; its own deadline */
    CONNECTION_STREAMING, /* the route writes; closes when the peer takes nothing for request_ms */
    CONNECTION_WRITING,   /* the answer is on its way; closes when the peer takes nothing for request_ms */
    CONNECTION_HTTP2,     /* its streams have states of their own */
    CONNECTION_LINGERING, /* answered and shut down; reads on so that the peer gets the answer */
    CONNECTION_CLOSED,    /* the handle is closed or closing */
};

struct http_server {
    uv_loop_t *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } listener;
    uv_timer_t timer; /* the earliest deadline of all connections */
    int64_t timer_due_ms;
    const struct http_route *routes; /* borrowed */
    void *ctx;
    struct http_limits limits;
    struct http1_limits message_limits;
    const char *(*put_refusal)(void *ctx, const struct http_refusal *refusal, struct buf *body);
    void (*tell)(void *ctx, enum http_event event, const char *words);
    struct http_tls *tls;             /* owned; NULL: plain text */
    struct http_request *connections; /* owned; a list */
    int connection_count;
    int closing_count; /* of those: closed, their handles not yet */
    int64_t accepted;  /* connections so far */
    size_t in_flight_bytes;
    size_t heads_bytes; /* of heads, and of what streams hold besides */
    int64_t pressed_ms; /* http_pressure.c last looked */
    char *path;         /* owned; of a unix socket */
    char *address;      /* owned; of TCP, as configured */
    int port;
    int open_handles;  /* listener and timer */
    bool accept_waits; /* a connection waits for one to close */
    bool is_stopping;  /* accepts no more */
    bool is_closing;   /* frees itself when all handles are closed */
    bool is_listening; /* the listener's handle is open */
    char read_bytes[HTTP_READ_BYTES];
};

struct http_request {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    struct http_server *server;        /* NULL once the handle is closed */
    struct http_request *next, **link; /* in the server's list */
    enum connection_state state;
    int64_t deadline_ms; /* of uv_now; 0: none */
    struct http1 http;
    struct buf ahead; /* bytes of the next request */
    const struct http_route *route;
    void (*on_gone)(void *ctx);
    void *gone_ctx;
    char *peer;  /* owned; made when asked for */
    char *query; /* in http.head; NULL when none */
    uv_shutdown_t shutdown;
    size_t charged_bytes;         /* of the server's in_flight_bytes */
    size_t charged_head;          /* of its heads_bytes */
    size_t all_bytes, all_heads;  /* of a connection: what it and its streams are charged */
    int64_t since_ms;             /* in this state, a body counting as its head's */
    int64_t moved_ms;             /* bytes of the request last came */
    uint64_t sent_bytes;          /* handed to the socket since it was opened */
    uint64_t taken_bytes;         /* of those, gone from its queue at the last look of the deadline */
    int64_t old_at_ms;            /* from then on it ends after its answer; 0: never */
    struct http_tls_stream *tls;  /* owned; NULL: plain text */
    struct http2 *http2;          /* owned; of a connection in HTTP/2 */
    struct http2_stream *stream;  /* owned; of an HTTP/2 stream */
    struct http_request *carrier; /* borrowed; of a stream: its connection; NULL when it is over */
    bool is_recognised;           /* HTTP/1.1 or HTTP/2: known */
    bool has_served;              /* of a connection: a request of it was answered by a route */
    bool is_held;                 /* a route has the request and has not answered */
    bool is_head;                 /* HEAD: no body in the answer */
    bool is_chunked;              /* the stream's framing */
    bool keeps_alive;
    bool is_reading;
    bool is_half_closed; /* the peer sends nothing more */
    bool is_unread;      /* bytes of a refused request may still come */
};

/* What a stream is reckoned at besides its head: this struct, nghttp2's own and its answer's. */
enum { HTTP_STREAM_BYTES = sizeof(struct http_request) + 512 };

/* connection_start: takes the accepted socket into service. */
void connection_start(struct http_request *c);

/* connection_close: closes the socket; on_gone is told from the loop when a route still holds the request. */
void connection_close(struct http_request *c);

/* connection_expire: its deadline has passed. */
void connection_expire(struct http_request *c);

/* connection_set_state: the one place that changes state; arms the deadline. */
void connection_set_state(struct http_request *c, enum connection_state state);

/* connection_send: writes bytes (copied, two parts); is_last: after it the answer is complete. */
void connection_send(struct http_request *c, struct bytes a, struct bytes b, bool is_last);

/* connection_charge: counts what the body holds against the server's in_flight_bytes, the head and a stream's
 * own memory against heads_bytes; the request moves. connection_uncharge: it is over. */
void connection_charge(struct http_request *c);
void connection_uncharge(struct http_request *c);

/* connection_allow_body: the body may hold what others leave of the server's in_flight_bytes; stalled ones
 * give way. */
void connection_allow_body(struct http_request *c);

/* connection_split_target: the head is complete: path and query become strings of their own. */
void connection_split_target(struct http_request *c);

/* connection_find_route: 0 with the request's route set, or 404, or 405 with allow. connection_refuse_route
 * answers the latter. */
int connection_find_route(struct http_request *c, char *allow, size_t allow_size);
void connection_refuse_route(struct http_request *c, int status, const char *allow);

/* connection_free: of a connection whose handle is closed and that no route holds. */
void connection_free(struct http_request *c);

/* server_find_route: 0 with *ret_route, or 404, or 405 with the methods of the path in allow. */
int server_find_route(const struct http_server *server, const char *method, const char *path,
                      const struct http_route **ret_route, char *allow, size_t allow_size);

/* server_pass_on: before a new image of the program (passed_sockets.h): an HTTP/1.1 connection between two
 * requests stays open for it. To be closed here all the same. */
void server_pass_on(struct http_request *c);

/* server_tell: of the server's on_event. */
void server_tell(const struct http_server *server, enum http_event event, const char *words);

/* server_is_ending: the connection does not outlive the server's stop: its peer is told so in an answer. */
bool server_is_ending(const struct http_request *c);

/* server_arm: the timer fires at deadline_ms or earlier. */
void server_arm(struct http_server *server, int64_t deadline_ms);

/* server_forget: a connection's handle is closed. */
void server_forget(struct http_server *server, struct http_request *c);

/* answer_date: the time as HTTP writes it (29 characters). */
void answer_date(char *text, size_t size);

/* answer_refusal_headers: what a refusal by that status says besides; NULL: nothing. */
const char *answer_refusal_headers(int status);

/* answer_refusal_body: the server's own refusal as its owner says it, else the text itself; storage is the
 * caller's to finish. */
struct bytes answer_refusal_body(const struct http_request *c, int status, const char *text,
                                 struct buf *storage, const char **ret_content_type);

/* answer_refusal: an answer of the server's own, as text; the connection ends after it unless it keeps_alive.
 */
void answer_refusal(struct http_request *c, int status, const char *headers, const char *text);

#endif
