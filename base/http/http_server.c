#include "base/http/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http/http2.h"
#include "base/http/http_connection.h"
#include "base/http/http_listen.h"
#include "base/http/http_pressure.h"
#include "base/passed_sockets.h"

enum { TIMER_GRAIN_MS = 20, KEEPALIVE_S = 60 };

static const struct http_limits default_limits = {
    .head_bytes = 16 * 1024,
    .body_bytes = 4 * 1024 * 1024,
    .raw_body_bytes = 4 * 1024 * 1024,
    .in_flight_bytes = 32 * 1024 * 1024,
    .connections = 1024,
    .streams = 128,
    .idle_ms = 60 * 1000,
    .request_ms = 30 * 1000,
};

static struct http_limits fill_limits(const struct http_limits *limits)
{
    struct http_limits l = limits ? *limits : (struct http_limits){0};
#define FILL(field) l.field = l.field ? l.field : default_limits.field
    FILL(head_bytes), FILL(body_bytes), FILL(raw_body_bytes), FILL(in_flight_bytes);
    FILL(connections), FILL(streams), FILL(idle_ms), FILL(request_ms);
#undef FILL
    return l;
}

/* Life */

static void free_when_closed(struct http_server *s)
{
    if (!s->is_closing || s->open_handles > 0 || s->connections)
        return;
    http_tls_free(s->tls);
    free(s->path);
    free(s->address);
    free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    s->open_handles--;
    free_when_closed(s);
}

/* Without it the socket is closed, as it would be anyway. */
static void pass_on(enum passed_socket kind, const struct http_server *s, const uv_handle_t *handle)
{
    uv_os_fd_t fd;
    if (s->address && uv_fileno(handle, &fd) == 0)
        passed_sockets_keep(kind, s->address, fd);
}

void server_pass_on(struct http_request *c)
{
    if (!c->tls && !c->http2 && c->ahead.len == 0 && !c->is_half_closed)
        pass_on(PASSED_CONNECTION, c->server, &c->socket.handle);
}

bool server_is_ending(const struct http_request *c)
{
    return c->server->is_stopping && (c->tls || !passed_sockets_is_on());
}

static void close_listener(struct http_server *s)
{
    if (!s->is_listening)
        return;
    s->is_listening = false;
    if (s->path)
        unlink(s->path);
    else
        pass_on(PASSED_LISTENER, s, &s->listener.handle);
    uv_close(&s->listener.handle, on_handle_closed);
}

void http_server_stop(struct http_server *server)
{
    server->is_stopping = true;
    close_listener(server);
    for (struct http_request *c = server->connections; c; c = c->next)
        if (c->state == CONNECTION_IDLE || c->state == CONNECTION_HANDSHAKE) {
            server_pass_on(c);
            connection_close(c);
        } else if (c->state == CONNECTION_HTTP2)
            http2_stop(c);
}

bool http_server_is_quiet(const struct http_server *server)
{
    for (const struct http_request *c = server->connections; c; c = c->next)
        if (c->state != CONNECTION_IDLE && c->state != CONNECTION_HANDSHAKE &&
            c->state != CONNECTION_LINGERING && c->state != CONNECTION_CLOSED)
            return false;
    return true;
}

void http_server_close(struct http_server *server)
{
    if (!server || server->is_closing)
        return;
    http_server_stop(server);
    server->is_closing = true;
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    for (struct http_request *c = server->connections; c; c = c->next) {
        c->is_held = false;
        http2_drop(c);
        connection_close(c);
    }
}

void http_server_on_refusal(struct http_server *server,
                            const char *(*put)(void *ctx, const struct http_refusal *refusal,
                                               struct buf *body))
{
    server->put_refusal = put;
}

void http_server_on_event(struct http_server *server,
                          void (*fn)(void *ctx, enum http_event event, const char *words))
{
    server->tell = fn;
}

void server_tell(const struct http_server *server, enum http_event event, const char *words)
{
    if (server->tell)
        server->tell(server->ctx, event, words);
}

int http_server_use_tls(struct http_server *server, const struct http_tls_files *files, char *words,
                        size_t words_size)
{
    int err = http_tls_new(files, &server->tls, words, words_size);
    for (struct http_request *c = err < 0 ? NULL : server->connections; c; c = c->next)
        connection_close(c);
    return err;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

/* Deadlines: one timer for all connections, not before the earliest and at most once each TIMER_GRAIN_MS. */

static void on_timer(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    int64_t now = (int64_t)uv_now(s->loop), earliest = INT64_MAX;
    s->timer_due_ms = INT64_MAX;
    for (struct http_request *c = s->connections; c; c = c->next) {
        if (c->deadline_ms && c->deadline_ms <= now)
            connection_expire(c);
        if (c->deadline_ms && c->deadline_ms < earliest)
            earliest = c->deadline_ms;
    }
    if (earliest != INT64_MAX)
        server_arm(s, earliest);
}

void server_arm(struct http_server *server, int64_t deadline_ms)
{
    if (deadline_ms >= server->timer_due_ms || server->is_closing)
        return;
    int64_t wait_ms = deadline_ms - (int64_t)uv_now(server->loop);
    server->timer_due_ms = deadline_ms;
    uv_timer_start(&server->timer, on_timer, (uint64_t)(wait_ms > TIMER_GRAIN_MS ? wait_ms : TIMER_GRAIN_MS),
                   0);
}

/* Connections */

static void link_connection(struct http_server *s, struct http_request *c)
{
    c->next = s->connections;
    c->link = &s->connections;
    if (c->next)
        c->next->link = &c->next;
    s->connections = c;
    s->connection_count++;
}

static int init_socket(struct http_server *s, struct http_request *c)
{
    if (s->path)
        return uv_pipe_init(s->loop, &c->socket.pipe, 0);
    return uv_tcp_init(s->loop, &c->socket.tcp);
}

/* Connections that were opened together do not all end together. */
static int64_t draw_age(struct http_server *s)
{
    int64_t age = s->limits.age_ms, spread = age / 10;
    return age ? (int64_t)uv_now(s->loop) + age - spread + s->accepted++ * INT64_C(7919) % (2 * spread + 1)
               : 0;
}

static struct http_request *new_connection(struct http_server *s)
{
    struct http_request *c = calloc(1, sizeof *c);
    if (!c || init_socket(s, c) < 0) {
        free(c);
        return NULL;
    }
    c->server = s;
    c->socket.handle.data = c;
    http1_init(&c->http, HTTP1_REQUESTS, &s->message_limits);
    buf_init(&c->ahead, HTTP_READ_BYTES);
    c->old_at_ms = draw_age(s);
    link_connection(s, c);
    return c;
}

static void accept_connection(struct http_server *s)
{
    struct http_request *c = new_connection(s);
    if (!c) {
        s->accept_waits = true; /* until a connection closes and gives memory back */
        return;
    }
    if (uv_accept(&s->listener.stream, &c->socket.stream) < 0) {
        connection_close(c);
        return;
    }
    if (!s->path) {
        uv_tcp_nodelay(&c->socket.tcp, 1);
        uv_tcp_keepalive(&c->socket.tcp, 1, KEEPALIVE_S);
    }
    connection_start(c);
}

/* Connections that a former image of the program had on this address, between two requests. */
static void adopt_connections(struct http_server *s)
{
    for (int fd; (fd = passed_sockets_take(PASSED_CONNECTION, s->address)) >= 0;) {
        struct http_request *c = new_connection(s);
        int err = c ? uv_tcp_open(&c->socket.tcp, fd) : -ENOMEM;
        if (err < 0)
            close(fd);
        if (err == 0)
            connection_start(c);
        else if (c)
            connection_close(c);
    }
}

/* libuv stops watching the listener until the connection it has accepted is taken with uv_accept. */
static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *s = listener->data;
    if (status < 0 || s->is_stopping)
        return;
    if (s->connection_count - s->closing_count >= s->limits.connections && !pressure_on_connections(s))
        s->accept_waits = true;
    else
        accept_connection(s);
}

void server_forget(struct http_server *server, struct http_request *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    server->connection_count--;
    server->closing_count--;
    if (server->accept_waits && !server->is_stopping) {
        server->accept_waits = false;
        accept_connection(server);
    }
    free_when_closed(server);
}

/* Routes */

static bool serves(const struct http_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

int server_find_route(const struct http_server *server, const char *method, const char *path,
                      const struct http_route **ret_route, char *allow, size_t allow_size)
{
    size_t len = 0;
    for (const struct http_route *r = server->routes; r->path; r++) {
        if (strcmp(r->path, path) != 0)
            continue;
        if (serves(r, method)) {
            *ret_route = r;
            return 0;
        }
        int n = snprintf(allow + len, allow_size - len, "%s%s%s", len ? ", " : "", r->method,
                         strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
        if (n > 0 && (size_t)n < allow_size - len)
            len += (size_t)n;
        else
            allow[len] = '\0';
    }
    return len ? 405 : 404;
}

/* Making */

static struct http_server *new_server(uv_loop_t *loop, const struct http_route *routes, void *ctx,
                                      const struct http_limits *limits)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->routes = routes;
    s->ctx = ctx;
    s->limits = fill_limits(limits);
    s->message_limits =
        (struct http1_limits){s->limits.head_bytes, s->limits.body_bytes, s->limits.raw_body_bytes};
    s->timer_due_ms = INT64_MAX;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->open_handles = 1;
    return s;
}

int http_server_new(uv_loop_t *loop, const char *address, const struct http_route *routes, void *ctx,
                    const struct http_limits *limits, struct http_server **ret_server)
{
    struct http_server *s = new_server(loop, routes, ctx, limits);
    if (!s)
        return -ENOMEM;
    int err = http_listen_at(s, address, on_connection);
    if (err < 0) {
        http_server_close(s);
        return err;
    }
    if (s->address)
        adopt_connections(s);
    *ret_server = s;
    return 0;
}
