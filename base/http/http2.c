#include "base/http/http2.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/http/http2_session.h"
#include "base/http/http_pressure.h"

enum {
    STREAM_WINDOW = 256 * 1024,
    CONNECTION_WINDOW = 1024 * 1024,
    UNSENT_MAX = 256 * 1024, /* of a connection in the socket's queue, then framing stops */
    FIRST_CREDIT = 1000,
    CREDIT_PER_SECOND = 100,
    TICK_MS = 1000,           /* of a connection with streams */
    ANSWER_TABLE_BYTES = 512, /* of fields that the peer remembers of our answers (RFC 7541, 4) */
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum http2_preface http2_recognise(struct bytes first)
{
    size_t len = first.len < sizeof preface - 1 ? first.len : sizeof preface - 1;
    if (memcmp(first.ptr, preface, len) != 0)
        return HTTP2_NO;
    return len == sizeof preface - 1 ? HTTP2_YES : HTTP2_MORE;
}

static int64_t now_ms(const struct http_request *c)
{
    return (int64_t)uv_now(c->server->loop);
}

/* Streams */

static struct http_request *open_stream(struct http_request *c, int32_t id)
{
    struct http_request *s = calloc(1, sizeof *s);
    struct http2_stream *stream = calloc(1, sizeof *stream);
    if (!s || !stream) {
        free(s);
        free(stream);
        return NULL;
    }
    stream->id = id;
    s->stream = stream;
    s->carrier = c;
    s->server = c->server;
    http1_init(&s->http, HTTP1_REQUESTS, &c->server->message_limits);
    s->next = c->http2->streams;
    s->link = &c->http2->streams;
    if (s->next)
        s->next->link = &s->next;
    c->http2->streams = s;
    c->http2->stream_count++;
    connection_set_state(s, CONNECTION_HEAD);
    connection_charge(s);
    return s;
}

/* The stream is over; its memory stays until the route has given it back. */
static void close_stream(struct http_request *s)
{
    struct http2 *h = s->carrier->http2;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    h->stream_count--;
    h->active_ms = now_ms(s);
    http_body_reset(&s->http.body);
    connection_uncharge(s);
    connection_set_state(s, CONNECTION_CLOSED);
    s->server = NULL;
    s->carrier = NULL;
    if (s->is_held && s->on_gone) {
        s->is_held = false;
        s->on_gone(s->gone_ctx);
    }
    if (!s->is_held)
        connection_free(s);
}

static struct http_request *find_stream(struct http_request *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->http2->frames, id);
}

void http2_free_stream(struct http2_stream *stream)
{
    if (!stream)
        return;
    buf_fini(&stream->out);
    buf_fini(&stream->trailers);
    free(stream);
}

/* Requests */

static void refuse(struct http_request *s)
{
    s->is_unread = true;
    http2_refuse(s, s->http.status, answer_refusal_headers(s->http.status), s->http.reason);
}

/* Whether the head can be served; refused and answered if not. */
static bool accept_head(struct http_request *s)
{
    char allow[128];
    const char *length = http1_header(&s->http, "content-length");
    if (s->http.status) {
        refuse(s);
        return false;
    }
    connection_split_target(s);
    s->is_head = s->http.parser.method == HTTP_HEAD;
    int status = connection_find_route(s, allow, sizeof allow);
    if (status) {
        s->is_unread = true;
        connection_refuse_route(s, status, allow);
        return false;
    }
    if (http1_check_coding(&s->http) == 0 && length) {
        unsigned long long len = strtoull(length, NULL, 10); /* nghttp2 has checked that it is a number */
        if (len > s->server->limits.body_bytes)
            http1_refuse_body(&s->http, -EMSGSIZE);
        else
            http_body_expect(&s->http.body, (size_t)len);
    }
    if (s->http.status)
        refuse(s);
    return s->http.status == 0;
}

static void tell_to_go_on(struct http_request *s)
{
    static nghttp2_nv nv = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3,
                            NGHTTP2_NV_FLAG_NONE};
    const char *expect = http1_header(&s->http, "expect");
    if (expect && strcasecmp(expect, "100-continue") == 0)
        nghttp2_submit_headers(s->carrier->http2->frames, NGHTTP2_FLAG_NONE, s->stream->id, NULL, &nv, 1,
                               NULL);
}

static void on_request(struct http_request *s)
{
    int err = http_body_finish(&s->http.body);
    if (err < 0) {
        http1_refuse_body(&s->http, err);
        refuse(s);
        return;
    }
    connection_set_state(s, CONNECTION_SERVING);
    s->is_held = true;
    s->on_gone = NULL;
    s->route->serve(s, s->server->ctx);
}

static void on_head(struct http_request *s, bool is_all)
{
    if (!s->http.headers_at)
        http1_put_target(&s->http, (struct bytes){0});
    s->http.is_complete = true;
    connection_charge(s);
    if (!accept_head(s))
        return;
    connection_set_state(s, CONNECTION_BODY);
    if (!is_all)
        tell_to_go_on(s);
}

/* Frames that move nothing */

static void give_credit(struct http_request *c)
{
    struct http2 *h = c->http2;
    int64_t more = (now_ms(c) - h->credited_ms) * CREDIT_PER_SECOND / 1000;
    if (more <= 0)
        return;
    h->credited_ms = now_ms(c);
    if (h->credit < FIRST_CREDIT)
        h->credit = more < FIRST_CREDIT - h->credit ? h->credit + (int)more : FIRST_CREDIT;
}

static int take_credit(struct http_request *c)
{
    struct http2 *h = c->http2;
    give_credit(c);
    if (h->credit-- > 0)
        return 0;
    return nghttp2_session_terminate_session(h->frames, NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool moves_nothing(const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_WINDOW_UPDATE:
        return true;
    case NGHTTP2_DATA:
        return frame->hd.length <= frame->data.padlen && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    }
    return false;
}

/* nghttp2's calls while it takes bytes */

static int on_begin(nghttp2_session *frames, const nghttp2_frame *frame, void *ctx)
{
    struct http_request *c = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (!pressure_on_heads(c->server) && c->http2->stream_count > 0)
        return nghttp2_submit_rst_stream(frames, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    struct http_request *s = open_stream(c, frame->hd.stream_id);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->http2->active_ms = now_ms(c);
    nghttp2_session_set_stream_user_data(frames, frame->hd.stream_id, s);
    return 0;
}

static enum http_method method_of(struct bytes name)
{
#define XX(number, id, text)                                                                                 \
    if (bytes_equal(name, bytes_of_string(#text)))                                                           \
        return HTTP_##id;
    HTTP_METHOD_MAP(XX)
#undef XX
    return HTTP_UNLINK; /* none that a route serves */
}

static int on_header(nghttp2_session *frames, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct http_request *s = find_stream(ctx, frame->hd.stream_id);
    struct bytes n = {name, name_len}, v = {value, value_len};
    (void)frames, (void)flags;
    if (!s || s->http.is_complete || s->http.status) /* a trailer, or past the limit */
        return 0;
    if (bytes_equal(n, bytes_of_string(":method")))
        s->http.parser.method = method_of(v) & 0xff;
    else if (bytes_equal(n, bytes_of_string(":path")))
        http1_put_target(&s->http, v);
    else if (name_len && name[0] != ':')
        http1_put_header(&s->http, n, v);
    return 0;
}

static int on_data(nghttp2_session *frames, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                   void *ctx)
{
    struct http_request *s = find_stream(ctx, id);
    (void)frames, (void)flags;
    if (!s || s->state != CONNECTION_BODY)
        return 0;
    connection_allow_body(s);
    int err = http_body_take(&s->http.body, (struct bytes){at, len});
    connection_charge(s);
    if (err < 0) {
        http1_refuse_body(&s->http, err);
        refuse(s);
    }
    return 0;
}

static int on_frame(nghttp2_session *frames, const nghttp2_frame *frame, void *ctx)
{
    struct http_request *c = ctx;
    (void)frames;
    if (moves_nothing(frame))
        return take_credit(c);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct http_request *s = find_stream(c, frame->hd.stream_id);
    bool is_all = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!s)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        on_head(s, is_all);
    if (is_all)
        s->is_half_closed = true;
    if (is_all && s->state == CONNECTION_BODY)
        on_request(s);
    return 0;
}

static int on_stream_end(nghttp2_session *frames, int32_t id, uint32_t code, void *ctx)
{
    struct http_request *s = find_stream(ctx, id);
    (void)frames, (void)code;
    if (s)
        close_stream(s);
    return 0;
}

static int on_sent(nghttp2_session *frames, const nghttp2_frame *frame, void *ctx)
{
    struct http_request *s;
    (void)frames;
    bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (may_end && frame->hd.flags & NGHTTP2_FLAG_END_STREAM && (s = find_stream(ctx, frame->hd.stream_id)))
        http2_end_unread(s);
    return 0;
}

/* Life */

static int make_session(struct http_request *c, struct http2 *h)
{
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&calls) != 0)
        return -ENOMEM;
    if (nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(calls);
        return -ENOMEM;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_end);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, ANSWER_TABLE_BYTES);
    nghttp2_mem memory = http2_memory_calls(&h->memory);
    int err = nghttp2_session_server_new3(&h->frames, calls, c, option, &memory);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    return err ? -ENOMEM : 0;
}

static int submit_settings(const struct http_request *c, nghttp2_session *frames)
{
    const struct http_limits *l = &c->server->limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)l->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->head_bytes},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    if (nghttp2_submit_settings(frames, NGHTTP2_FLAG_NONE, entries, sizeof entries / sizeof *entries) != 0 ||
        nghttp2_session_set_local_window_size(frames, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
        return -ENOMEM;
    return 0;
}

int http2_start(struct http_request *c)
{
    struct http2 *h = calloc(1, sizeof *h);
    int err = h ? make_session(c, h) : -ENOMEM;
    if (err == 0 && (err = submit_settings(c, h->frames)) < 0)
        nghttp2_session_del(h->frames);
    if (err < 0) {
        free(h);
        return err;
    }
    h->credit = FIRST_CREDIT;
    h->credited_ms = h->active_ms = h->moved_ms = now_ms(c);
    c->http2 = h;
    connection_set_state(c, CONNECTION_HTTP2);
    return 0;
}

void http2_drop(struct http_request *c)
{
    for (struct http_request *s = c->http2 ? c->http2->streams : NULL; s; s = s->next)
        s->is_held = false;
}

void http2_free(struct http_request *c)
{
    if (!c->http2)
        return;
    while (c->http2->streams)
        close_stream(c->http2->streams);
    nghttp2_session_del(c->http2->frames);
    free(c->http2);
    c->http2 = NULL;
}

/* Deadlines: a connection without streams has one; one with streams looks every TICK_MS. */

static void arm(struct http_request *c)
{
    const struct http2 *h = c->http2;
    if (c->state != CONNECTION_HTTP2)
        return;
    bool is_busy = h->stream_count || h->is_leaving || uv_stream_get_write_queue_size(&c->socket.stream);
    int64_t due = is_busy ? now_ms(c) + TICK_MS : h->active_ms + c->server->limits.idle_ms;
    if (c->old_at_ms && !h->is_leaving && c->old_at_ms < due)
        due = c->old_at_ms;
    c->deadline_ms = due;
    server_arm(c->server, due);
}

/* A stream whose peer neither sends nor takes. */
static void expire_stream(struct http_request *s)
{
    struct http2 *h = s->carrier->http2;
    switch (s->state) {
    case CONNECTION_HEAD:
        nghttp2_session_terminate_session(h->frames, NGHTTP2_PROTOCOL_ERROR);
        s->deadline_ms = 0;
        return;
    case CONNECTION_BODY:
        s->http.status = 408;
        s->http.reason = "the request took too long";
        refuse(s);
        return;
    case CONNECTION_STREAMING:
    case CONNECTION_WRITING:
        if (s->stream->out.len > s->stream->out_at)
            nghttp2_submit_rst_stream(h->frames, NGHTTP2_FLAG_NONE, s->stream->id, NGHTTP2_CANCEL);
        connection_set_state(s, s->state);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_IDLE:
    case CONNECTION_SERVING:
    case CONNECTION_LINGERING:
    case CONNECTION_HTTP2:
    case CONNECTION_CLOSED:
        return;
    }
}

static void leave(struct http_request *c)
{
    struct http2 *h = c->http2;
    if (h->is_leaving && !h->has_left) {
        h->has_left = true;
        nghttp2_submit_goaway(h->frames, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->frames), NGHTTP2_NO_ERROR, NULL, 0);
    } else if (!h->is_leaving) {
        h->is_leaving = true;
        nghttp2_submit_shutdown_notice(h->frames);
    }
}

static bool is_stuck(struct http_request *c)
{
    size_t unsent = uv_stream_get_write_queue_size(&c->socket.stream);
    uint64_t taken = c->sent_bytes - unsent;
    if (unsent == 0 || taken > c->taken_bytes)
        c->http2->moved_ms = now_ms(c);
    c->taken_bytes = taken;
    return now_ms(c) - c->http2->moved_ms >= c->server->limits.request_ms;
}

void http2_expire(struct http_request *c)
{
    struct http2 *h = c->http2;
    int64_t now = now_ms(c);
    bool is_idle = !h->stream_count && now >= h->active_ms + c->server->limits.idle_ms;
    if (is_stuck(c)) {
        connection_close(c);
        return;
    }
    h->is_receiving = true; /* the list stays as it is */
    for (struct http_request *s = h->streams; s; s = s->next)
        if (s->deadline_ms && s->deadline_ms <= now)
            expire_stream(s);
    h->is_receiving = false;
    if (h->is_leaving || is_idle || (c->old_at_ms && now >= c->old_at_ms))
        leave(c);
    http2_flush(c);
}

void http2_stop(struct http_request *c)
{
    c->http2->is_leaving = true;
    leave(c);
    http2_flush(c);
}

/* Bytes */

void http2_take(struct http_request *c, struct bytes bytes)
{
    c->http2->is_receiving = true;
    ssize_t taken = nghttp2_session_mem_recv(c->http2->frames, bytes.ptr, bytes.len);
    c->http2->is_receiving = false;
    if (taken < 0)
        connection_close(c);
    else
        http2_flush(c);
}

/* Frames of small answers go out together. */
static void send_frames(struct http_request *c)
{
    uint8_t block[32 * 1024];
    size_t len = 0;
    const uint8_t *frame;
    while (c->state == CONNECTION_HTTP2 && uv_stream_get_write_queue_size(&c->socket.stream) < UNSENT_MAX) {
        ssize_t n = nghttp2_session_mem_send(c->http2->frames, &frame);
        if (n < 0)
            connection_close(c);
        if (n <= 0)
            break;
        if (len + (size_t)n > sizeof block) {
            connection_send(c, (struct bytes){block, len}, (struct bytes){0}, false);
            len = 0;
        }
        memcpy(block + len, frame, (size_t)n); /* a frame has 16 KiB at most: the peer cannot ask for more */
        len += (size_t)n;
    }
    if (len)
        connection_send(c, (struct bytes){block, len}, (struct bytes){0}, false);
}

/* Whether a route still has to say something. */
static bool is_serving(const struct http2 *h)
{
    for (const struct http_request *s = h->streams; s; s = s->next)
        if (s->state == CONNECTION_SERVING || s->state == CONNECTION_STREAMING)
            return true;
    return false;
}

/* A peer that sends nothing more finishes no request and opens no window: what can be written now is all. */
void http2_flush(struct http_request *c)
{
    struct http2 *h = c->http2;
    if (h->is_receiving || c->state != CONNECTION_HTTP2)
        return;
    send_frames(c);
    if (c->state != CONNECTION_HTTP2)
        return;
    bool is_over = !nghttp2_session_want_read(h->frames) || (c->is_half_closed && !is_serving(h));
    if (is_over && !nghttp2_session_want_write(h->frames) &&
        uv_stream_get_write_queue_size(&c->socket.stream) == 0)
        connection_close(c);
    else
        arm(c);
}

void http2_written(struct http_request *c)
{
    http2_flush(c);
}

void http2_half_close(struct http_request *c)
{
    http2_flush(c);
}
