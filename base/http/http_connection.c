#include "base/http/http_connection.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/http/http2.h"
#include "base/http/http_pressure.h"

struct write {
    uv_write_t request;
    struct http_request *connection;
    bool is_last;
    char bytes[];
};

static void begin_next(struct http_request *c);

static int64_t now_ms(const struct http_request *c)
{
    return (int64_t)uv_now(c->server->loop);
}

static int64_t state_ms(const struct http_request *c, enum connection_state state)
{
    switch (state) {
    case CONNECTION_HANDSHAKE:
        return c->server->limits.request_ms < HTTP_HANDSHAKE_MS ? c->server->limits.request_ms
                                                                : HTTP_HANDSHAKE_MS;
    case CONNECTION_IDLE:
        return c->server->limits.idle_ms;
    case CONNECTION_HEAD:
    case CONNECTION_STREAMING:
    case CONNECTION_WRITING:
        return c->server->limits.request_ms;
    case CONNECTION_LINGERING:
        return HTTP_LINGER_MS;
    case CONNECTION_BODY: /* goes on with the head's */
    case CONNECTION_SERVING:
    case CONNECTION_HTTP2: /* arms its own */
    case CONNECTION_CLOSED:
        break;
    }
    return 0;
}

void connection_set_state(struct http_request *c, enum connection_state state)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    c->state = state;
    if (state == CONNECTION_BODY)
        return;
    c->since_ms = now_ms(c);
    int64_t wait_ms = state_ms(c, state);
    c->deadline_ms = wait_ms ? now_ms(c) + wait_ms : 0;
    if (wait_ms)
        server_arm(c->server, c->deadline_ms);
}

static void set_charge(struct http_request *c, size_t body, size_t head)
{
    struct http_request *carrier = c->carrier ? c->carrier : c;
    c->server->in_flight_bytes += body - c->charged_bytes;
    c->server->heads_bytes += head - c->charged_head;
    carrier->all_bytes += body - c->charged_bytes;
    carrier->all_heads += head - c->charged_head;
    c->charged_bytes = body;
    c->charged_head = head;
}

void connection_charge(struct http_request *c)
{
    if (!c->server)
        return;
    set_charge(c, http_body_held(&c->http.body), c->http.head.cap + (c->stream ? HTTP_STREAM_BYTES : 0));
    c->moved_ms = now_ms(c);
}

void connection_uncharge(struct http_request *c)
{
    set_charge(c, 0, 0);
}

void connection_allow_body(struct http_request *c)
{
    http_body_allow(&c->http.body, pressure_on_bodies(c));
}

void connection_free(struct http_request *c)
{
    http1_fini(&c->http);
    buf_fini(&c->ahead);
    http2_free_stream(c->stream);
    free(c->peer);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_request *c = handle->data;
    http2_free(c);
    http_tls_close(c->tls);
    c->tls = NULL;
    http_body_reset(&c->http.body);
    connection_uncharge(c);
    server_forget(c->server, c);
    c->server = NULL;
    if (c->is_held && c->on_gone) {
        c->is_held = false;
        c->on_gone(c->gone_ctx);
    }
    if (!c->is_held) /* else freed by the answer that is still to come */
        connection_free(c);
}

/* TLS' last word, if there is room for it. */
static void say_goodbye(struct http_request *c)
{
    if (!c->tls || !http_tls_is_open(c->tls))
        return;
    http_tls_end(c->tls);
    struct bytes out = http_tls_out(c->server->tls);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)out.ptr, (unsigned)out.len);
    if (out.len)
        uv_try_write(&c->socket.stream, &buf, 1); /* nothing while others wait */
    http_tls_sent(c->server->tls);
}

void connection_close(struct http_request *c)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    say_goodbye(c);
    connection_set_state(c, CONNECTION_CLOSED);
    c->server->closing_count++;
    uv_close(&c->socket.handle, on_closed);
}

/* Reading */

static bool is_taking_requests(const struct http_request *c)
{
    return c->state == CONNECTION_IDLE || c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY;
}

static void stop_reading(struct http_request *c)
{
    if (c->is_reading)
        uv_read_stop(&c->socket.stream);
    c->is_reading = false;
}

void connection_refuse_route(struct http_request *c, int status, const char *allow)
{
    char headers[160];
    snprintf(headers, sizeof headers, "Allow: %s\r\n", allow);
    if (status == 405)
        answer_refusal(c, 405, headers, "method not allowed\n");
    else
        answer_refusal(c, 404, NULL, "not found\n");
}

/* The part before the query as a string of its own, an absolute target without its authority. */
void connection_split_target(struct http_request *c)
{
    char *target = (char *)c->http.head.ptr;
    char *path = target;
    size_t scheme = strncmp(target, "http://", 7) == 0 ? 7 : strncmp(target, "https://", 8) == 0 ? 8 : 0;
    if (scheme)
        path = target + scheme + strcspn(target + scheme, "/?");
    path[strcspn(path, "#")] = '\0';
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    c->query = query;
    memmove(target, path, strlen(path) + 1);
}

int connection_find_route(struct http_request *c, char *allow, size_t allow_size)
{
    return server_find_route(c->server, http_request_method(c), http_request_path(c), &c->route, allow,
                             allow_size);
}

static void on_head(struct http_request *c)
{
    char allow[128];
    connection_split_target(c);
    c->is_head = c->http.parser.method == HTTP_HEAD;
    int status = connection_find_route(c, allow, sizeof allow);
    if (status && http1_has_body(&c->http)) {
        c->is_unread = true;
        c->keeps_alive = false;
        connection_refuse_route(c, status, allow);
        return;
    }
    connection_set_state(c, CONNECTION_BODY);
    if (c->http.wants_continue)
        connection_send(c, bytes_of_string("HTTP/1.1 100 Continue\r\n\r\n"), (struct bytes){0}, false);
}

static void on_request(struct http_request *c)
{
    char allow[128];
    bool is_old = c->old_at_ms && now_ms(c) >= c->old_at_ms;
    c->keeps_alive = http1_keeps_alive(&c->http) && !server_is_ending(c) && !is_old;
    connection_set_state(c, CONNECTION_SERVING);
    if (!c->route) {
        connection_refuse_route(c, connection_find_route(c, allow, sizeof allow), allow);
        return;
    }
    c->is_held = true;
    c->on_gone = NULL;
    c->route->serve(c, c->server->ctx);
}

static void on_refused(struct http_request *c)
{
    char text[160];
    const struct http1 *h = &c->http;
    c->keeps_alive = false;
    c->is_unread = true;
    snprintf(text, sizeof text, "%s\n", h->reason);
    answer_refusal(c, h->status, answer_refusal_headers(h->status), text);
}

/* One event of the parser. */
static void step(struct http_request *c, struct bytes *rest)
{
    connection_allow_body(c);
    enum http1_event event = http1_feed(&c->http, rest);
    connection_charge(c);
    switch (event) {
    case HTTP1_MORE:
        break;
    case HTTP1_HEAD:
        on_head(c);
        break;
    case HTTP1_DONE:
        on_request(c);
        break;
    case HTTP1_REFUSED:
        on_refused(c);
        break;
    }
}

static void keep_ahead(struct http_request *c, struct bytes rest)
{
    stop_reading(c);
    if (buf_append(&c->ahead, rest.ptr, rest.len) < 0)
        connection_close(c);
}

static void take_bytes(struct http_request *c, struct bytes rest);
static void linger(struct http_request *c);

static void go_on(struct http_request *c, struct bytes first, enum http2_preface preface)
{
    c->is_recognised = true;
    if (preface == HTTP2_NO)
        take_bytes(c, first);
    else if (http2_start(c) < 0)
        connection_close(c);
    else
        http2_take(c, first);
}

/* The first bytes of a connection; what may be the beginning of HTTP/2's preface waits in ahead. */
static void recognise(struct http_request *c, struct bytes rest)
{
    enum http2_preface preface = http2_recognise(rest);
    size_t len;
    if (preface != HTTP2_MORE && c->ahead.len == 0) {
        go_on(c, rest, preface);
        return;
    }
    if (buf_append(&c->ahead, rest.ptr, rest.len) < 0) {
        connection_close(c);
        return;
    }
    preface = http2_recognise(buf_bytes(&c->ahead));
    if (preface == HTTP2_MORE) {
        if (c->state == CONNECTION_IDLE)
            connection_set_state(c, CONNECTION_HEAD);
        return;
    }
    uint8_t *first = buf_detach(&c->ahead, &len);
    go_on(c, (struct bytes){first, len}, preface);
    free(first);
}

static void take_bytes(struct http_request *c, struct bytes rest)
{
    while (rest.len && is_taking_requests(c)) {
        if (c->state == CONNECTION_IDLE) {
            connection_set_state(c, CONNECTION_HEAD);
            pressure_on_heads(c->server); /* one head a connection has room in any case */
        }
        step(c, &rest);
    }
    if (rest.len && !c->is_unread && c->state != CONNECTION_LINGERING && c->state != CONNECTION_CLOSED)
        keep_ahead(c, rest);
}

static void on_end(struct http_request *c)
{
    stop_reading(c);
    c->is_half_closed = true;
    c->keeps_alive = false;
    switch (c->state) {
    case CONNECTION_SERVING:
    case CONNECTION_WRITING:
        return; /* a half-closed peer gets its answer */
    case CONNECTION_HTTP2:
        http2_half_close(c);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_IDLE:
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_STREAMING: /* nobody half-closes a stream that it follows */
    case CONNECTION_LINGERING:
    case CONNECTION_CLOSED:
        connection_close(c);
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)suggested;
    struct http_request *c = handle->data;
    *ret_buf = uv_buf_init(c->server->read_bytes, c->tls ? HTTP_TLS_TAKE_BYTES : HTTP_READ_BYTES);
}

static void take(struct http_request *c, struct bytes bytes)
{
    if (c->state == CONNECTION_HTTP2)
        http2_take(c, bytes);
    else if (!c->is_recognised)
        recognise(c, bytes);
    else
        take_bytes(c, bytes);
}

/* TLS */

static void write_bytes(struct http_request *c, struct bytes a, struct bytes b, bool is_last);

static void send_encrypted(struct http_request *c, bool is_last)
{
    struct bytes out = http_tls_out(c->server->tls);
    if (out.len || is_last)
        write_bytes(c, out, (struct bytes){0}, is_last);
    http_tls_sent(c->server->tls);
}

static void on_open(struct http_request *c)
{
    connection_set_state(c, CONNECTION_IDLE);
    if (http_tls_is_http2(c->tls))
        go_on(c, (struct bytes){(const uint8_t *)"", 0}, HTTP2_YES);
}

/* A client that speaks HTTP in plain text is told so. */
static void fail_handshake(struct http_request *c, struct bytes first, const char *words)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: "
                               "close\r\n\r\nTLS is spoken here\n";
    bool is_http = c->sent_bytes == 0 && first.len >= 3 && first.ptr[0] >= 'A' && first.ptr[0] <= 'Z' &&
                   http2_recognise(first) == HTTP2_NO;
    server_tell(c->server, HTTP_EVENT_TLS_FAILED, is_http ? "plain text" : words);
    if (is_http)
        http_tls_sent(c->server->tls);
    else
        send_encrypted(c, false); /* the alert */
    if (is_http)
        write_bytes(c, bytes_of_string(text), (struct bytes){0}, false);
    linger(c);
}

static void take_encrypted(struct http_request *c, struct bytes bytes)
{
    char words[HTTP_TLS_WORDS];
    struct bytes plain;
    bool was_open = c->state != CONNECTION_HANDSHAKE;
    enum http_tls_event event = http_tls_take(c->server->tls, c->tls, bytes, &plain, words, sizeof words);
    if (event == HTTP_TLS_FAILED && !was_open) {
        fail_handshake(c, bytes, words);
        return;
    }
    send_encrypted(c, false);
    if (!was_open && http_tls_is_open(c->tls))
        on_open(c);
    if (plain.len)
        take(c, plain);
    if (event == HTTP_TLS_ENDED)
        on_end(c);
    if (event != HTTP_TLS_FAILED || c->state == CONNECTION_CLOSED)
        return;
    if (c->state != CONNECTION_LINGERING)
        server_tell(c->server, HTTP_EVENT_TLS_FAILED, words);
    connection_close(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_request *c = stream->data;
    struct bytes bytes = {(const uint8_t *)buf->base, n > 0 ? (size_t)n : 0};
    if (n > 0 && c->state == CONNECTION_LINGERING && c->tls)
        return; /* for the peer to be rid of */
    if (n > 0 && c->tls)
        take_encrypted(c, bytes);
    else if (n > 0)
        take(c, bytes);
    else if (n == UV_EOF)
        on_end(c);
    else if (n < 0)
        connection_close(c);
}

static void start_reading(struct http_request *c)
{
    if (c->is_reading || c->is_half_closed || c->state == CONNECTION_CLOSED)
        return;
    c->is_reading = true;
    if (uv_read_start(&c->socket.stream, give_buffer, on_read) < 0)
        connection_close(c);
}

/* Whether TLS could begin; the listener's files are looked at first. */
static bool begin_tls(struct http_request *c)
{
    char words[HTTP_TLS_WORDS] = "";
    int renewed = http_tls_renew(c->server->tls, now_ms(c), words, sizeof words);
    if (renewed)
        server_tell(c->server, renewed < 0 ? HTTP_EVENT_TLS_UNUSABLE : HTTP_EVENT_TLS_RENEWED, words);
    c->tls = http_tls_open(c->server->tls);
    return c->tls;
}

void connection_start(struct http_request *c)
{
    if (c->server->tls && !begin_tls(c)) {
        connection_close(c);
        return;
    }
    connection_set_state(c, c->tls ? CONNECTION_HANDSHAKE : CONNECTION_IDLE);
    start_reading(c);
}

/* Writing */

static void on_shut_down(uv_shutdown_t *request, int status)
{
    (void)request, (void)status; /* the linger deadline closes whatever came of it */
}

static void linger(struct http_request *c)
{
    if (c->tls && http_tls_is_open(c->tls)) {
        http_tls_end(c->tls);
        send_encrypted(c, false);
    }
    if (c->state == CONNECTION_CLOSED)
        return;
    if (uv_shutdown(&c->shutdown, &c->socket.stream, on_shut_down) < 0) {
        connection_close(c);
        return;
    }
    connection_set_state(c, CONNECTION_LINGERING);
    start_reading(c);
}

static void on_answered(struct http_request *c)
{
    if (c->keeps_alive && !c->server->is_stopping)
        begin_next(c);
    else if (c->keeps_alive && c->ahead.len == 0) {
        server_pass_on(c);
        connection_close(c);
    } else if (c->is_half_closed || (!c->is_unread && c->ahead.len == 0))
        connection_close(c);
    else
        linger(c);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *w = (struct write *)request;
    struct http_request *c = w->connection;
    bool is_last = w->is_last;
    free(w);
    if (c->state == CONNECTION_CLOSED)
        return;
    if (status < 0)
        connection_close(c);
    else if (c->state == CONNECTION_HTTP2)
        http2_written(c);
    else if (is_last)
        on_answered(c);
}

static void write_bytes(struct http_request *c, struct bytes a, struct bytes b, bool is_last)
{
    struct write *w = malloc(sizeof *w + a.len + b.len);
    if (!w) {
        connection_close(c);
        return;
    }
    *w = (struct write){.connection = c, .is_last = is_last};
    if (a.len)
        memcpy(w->bytes, a.ptr, a.len);
    if (b.len)
        memcpy(w->bytes + a.len, b.ptr, b.len);
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)(a.len + b.len));
    if (uv_write(&w->request, &c->socket.stream, &buf, 1, on_written) < 0) {
        free(w);
        connection_close(c);
        return;
    }
    c->sent_bytes += a.len + b.len;
}

void connection_send(struct http_request *c, struct bytes a, struct bytes b, bool is_last)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    if (!c->tls)
        write_bytes(c, a, b, is_last);
    else if (http_tls_give(c->tls, a) < 0 || http_tls_give(c->tls, b) < 0)
        connection_close(c);
    else
        send_encrypted(c, is_last);
}

/* The bytes that came too early are the next request's first. */
static void begin_next(struct http_request *c)
{
    size_t len;
    http1_next(&c->http);
    connection_charge(c);
    c->route = NULL;
    c->query = NULL;
    c->is_head = false;
    connection_set_state(c, CONNECTION_IDLE);
    uint8_t *ahead = buf_detach(&c->ahead, &len);
    take_bytes(c, (struct bytes){ahead, len});
    free(ahead);
    if (c->ahead.len == 0)
        start_reading(c);
}

/* A peer that takes nothing is given up; one that is slow is not. */
static void expire_write(struct http_request *c)
{
    size_t unsent = uv_stream_get_write_queue_size(&c->socket.stream);
    uint64_t taken = c->sent_bytes - unsent;
    bool has_moved = unsent == 0 || taken > c->taken_bytes;
    c->taken_bytes = taken;
    if (has_moved)
        connection_set_state(c, c->state);
    else
        connection_close(c);
}

void connection_expire(struct http_request *c)
{
    switch (c->state) {
    case CONNECTION_HANDSHAKE:
        server_tell(c->server, HTTP_EVENT_TLS_TIMEOUT, "");
        connection_close(c);
        return;
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
        c->keeps_alive = false;
        c->is_unread = true;
        answer_refusal(c, 408, NULL, "the request took too long\n");
        return;
    case CONNECTION_STREAMING:
    case CONNECTION_WRITING:
        expire_write(c);
        return;
    case CONNECTION_IDLE:
    case CONNECTION_LINGERING:
        connection_close(c);
        return;
    case CONNECTION_HTTP2:
        http2_expire(c);
        return;
    case CONNECTION_SERVING:
    case CONNECTION_CLOSED:
        return;
    }
}
