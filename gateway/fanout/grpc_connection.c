#include "gateway/fanout/grpc_connection.h"

#include <ctype.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/http/grpc.h"
#include "gateway/fanout/grpc_answer.h"
#include "gateway/fanout/grpc_tls.h"

enum {
    MOST_ANSWER = 8 * 1024,
    MOST_HEADERS = 48,
    READ_BYTES = 32 * 1024,
    NAME_BYTES = 4096,
    SHAKE_MS = 10000
};
#define IDLE_NS (INT64_C(60) * 1000000000)
#define MS INT64_C(1000000)

enum state { CLOSED, CONNECTING, SHAKING, OPEN, LEAVING };

struct exchange { /* a call */
    struct exchange *next;
    struct sender_post *post;
    int32_t stream; /* 0: not submitted */
    bool is_sent;   /* its head left */
    bool is_closed;
    uint32_t error; /* of a closed stream */
    size_t at;      /* of the frame and the body: sent up to here */
    uint8_t frame[GRPC_FRAME_BYTES];
    int64_t started_ns, deadline_ns;
    int http_status, status; /* status -1: none came */
    int64_t retry_ms;
    struct buf answer, message;
};

struct grpc_connection {
    struct grpc_connection_options options;
    enum state state;
    CURL *easy; /* owned; but in CLOSED */
    curl_socket_t fd;
    struct grpc_tls *tls;     /* owned; from SHAKING on, when there is TLS */
    nghttp2_session *session; /* owned; in OPEN and LEAVING */
    int64_t shake_ns;         /* the deadline of SHAKING */
    struct exchange *calls;   /* owned; in the order they came */
    int32_t last_stream;      /* of LEAVING: later ones were not looked at */
    int64_t used_ns, heard_ns;
    bool is_lost, wants_write;
    char error[CURL_ERROR_SIZE];
};

struct grpc_connection *grpc_connection_new(const struct grpc_connection_options *options)
{
    struct grpc_connection *c = calloc(1, sizeof *c);
    if (c)
        c->options = *options;
    return c;
}

static void close_connection(struct grpc_connection *c)
{
    nghttp2_session_del(c->session);
    c->session = NULL;
    grpc_tls_free(c->tls);
    c->tls = NULL;
    if (c->easy) {
        curl_multi_remove_handle(c->options.multi, c->easy);
        curl_easy_cleanup(c->easy);
    }
    c->easy = NULL;
    c->state = CLOSED;
    c->is_lost = c->wants_write = false;
    c->last_stream = 0;
}

static void free_call(struct exchange *x)
{
    buf_fini(&x->answer);
    buf_fini(&x->message);
    free(x);
}

void grpc_connection_free(struct grpc_connection *c)
{
    if (!c)
        return;
    close_connection(c);
    while (c->calls) {
        struct exchange *x = c->calls;
        c->calls = x->next;
        free_call(x);
    }
    free(c);
}

int grpc_connection_call(struct grpc_connection *c, struct sender_post *post)
{
    struct exchange *x = calloc(1, sizeof *x), **at = &c->calls;
    if (!x)
        return -ENOMEM;
    x->post = post;
    x->status = -1;
    x->started_ns = clock_mono_ns();
    x->deadline_ns = x->started_ns + c->options.timeout_ms * MS;
    buf_init(&x->answer, MOST_ANSWER);
    buf_init(&x->message, MOST_ANSWER);
    x->frame[1] = (uint8_t)(post->body.len >> 24);
    x->frame[2] = (uint8_t)(post->body.len >> 16);
    x->frame[3] = (uint8_t)(post->body.len >> 8);
    x->frame[4] = (uint8_t)post->body.len;
    while (*at)
        at = &(*at)->next;
    *at = x;
    post->exchange = x;
    return 0;
}

static void unlink_call(struct grpc_connection *c, struct exchange *x)
{
    for (struct exchange **at = &c->calls; *at; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            return;
        }
    }
}

static void forget_stream(struct grpc_connection *c, struct exchange *x)
{
    if (!c->session || !x->stream || x->is_closed)
        return;
    nghttp2_session_set_stream_user_data(c->session, x->stream, NULL);
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_CANCEL);
}

void grpc_connection_abort(struct grpc_connection *c, struct sender_post *post)
{
    struct exchange *x = post->exchange;
    if (!x)
        return;
    forget_stream(c, x);
    unlink_call(c, x);
    post->exchange = NULL;
    free_call(x);
}

/* ---- answers */

static void finish(struct grpc_connection *c, struct exchange *x, struct sender_answer *answer)
{
    struct sender_post *post = x->post;
    unlink_call(c, x);
    post->exchange = NULL;
    answer->took_ns = clock_mono_ns() - x->started_ns;
    c->used_ns = clock_mono_ns();
    post->done(post, answer);
    free_call(x);
}

static void fail(struct grpc_connection *c, struct exchange *x, bool may_be_in, bool timed_out,
                 const char *words)
{
    struct sender_answer answer = {
        .outcome = may_be_in ? SENDER_NO_ANSWER : SENDER_NOT_SENT, .error = words, .timed_out = timed_out};
    finish(c, x, &answer);
}

/* The message of the answer, when it is a whole one that is not compressed. */
static struct bytes message_of(const struct exchange *x)
{
    struct bytes frame = buf_bytes(&x->answer);
    if (frame.len < GRPC_FRAME_BYTES || frame.ptr[0])
        return (struct bytes){0};
    return bytes_skip(frame, GRPC_FRAME_BYTES);
}

static void finish_closed(struct grpc_connection *c, struct exchange *x)
{
    char words[96];
    bool was_refused = x->error == NGHTTP2_REFUSED_STREAM ||
                       (c->state == LEAVING && x->stream > c->last_stream) || !x->is_sent;
    if (x->status < 0 && x->http_status && x->http_status != 200)
        x->status = (int)grpc_answer_of_http(x->http_status);
    if (x->status < 0) {
        snprintf(words, sizeof words, "the call ended without a grpc-status: %s",
                 x->error ? nghttp2_http2_strerror(x->error) : "no trailers");
        fail(c, x, !was_refused, false, words);
        return;
    }
    struct sender_answer answer = {.error = ""};
    answer.http.status = x->status;
    answer.http.retry_ms = x->retry_ms;
    answer.http.body = x->status == GRPC_STATUS_OK ? message_of(x) : buf_bytes(&x->message);
    finish(c, x, &answer);
}

static void fail_all(struct grpc_connection *c, const char *words)
{
    char kept[CURL_ERROR_SIZE];
    snprintf(kept, sizeof kept, "%s", words);
    for (struct exchange *x = c->calls, *next; x; x = next) {
        next = x->next;
        if (x->is_closed)
            finish_closed(c, x);
        else if (x->stream || !c->session)
            fail(c, x, x->is_sent, false, kept);
    }
}

/* ---- what nghttp2 calls */

/* As grpc_tls_read and grpc_tls_write. */
static ssize_t plain_write(struct grpc_connection *c, const void *from, size_t len)
{
    size_t sent = 0;
    CURLcode code = curl_easy_send(c->easy, from, len, &sent);
    return code == CURLE_AGAIN ? 0 : code == CURLE_OK && sent ? (ssize_t)sent : -EPIPE;
}

static ssize_t plain_read(struct grpc_connection *c, void *to, size_t room)
{
    size_t got = 0;
    CURLcode code = curl_easy_recv(c->easy, to, room, &got);
    return code == CURLE_AGAIN ? 0 : code == CURLE_OK && got ? (ssize_t)got : -EPIPE;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *bytes, size_t len, int flags, void *ctx)
{
    struct grpc_connection *c = ctx;
    (void)session;
    (void)flags;
    ssize_t sent = c->tls ? grpc_tls_write(c->tls, bytes, len) : plain_write(c, bytes, len);
    c->wants_write |= sent == 0;
    return sent > 0 ? sent : sent == 0 ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static struct exchange *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct exchange *x = call_of(session, frame->hd.stream_id);
    (void)ctx;
    if (x && frame->hd.type == NGHTTP2_HEADERS)
        x->is_sent = true;
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct grpc_connection *c = ctx;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->state = LEAVING;
        c->last_stream = frame->goaway.last_stream_id;
    }
    return 0;
}

static bool is_name(struct bytes name, const char *text)
{
    return bytes_equal(name, bytes_of_string(text));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_ptr,
                     size_t name_len, const uint8_t *value_ptr, size_t value_len, uint8_t flags, void *ctx)
{
    struct exchange *x = call_of(session, frame->hd.stream_id);
    struct bytes name = {name_ptr, name_len}, value = {value_ptr, value_len};
    (void)flags;
    (void)ctx;
    if (!x)
        return 0;
    if (is_name(name, ":status"))
        x->http_status = (int)strtol((const char *)value_ptr, NULL, 10); /* nghttp2 ends it with a NUL */
    else if (is_name(name, "grpc-status"))
        x->status = (int)grpc_answer_status(value);
    else if (is_name(name, "grpc-message") && x->message.len == 0 && value.len <= MOST_ANSWER)
        (void)grpc_answer_put_message(value, &x->message);
    else if (is_name(name, "grpc-status-details-bin"))
        x->retry_ms = grpc_answer_retry_ms(value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
                   void *ctx)
{
    struct exchange *x = call_of(session, stream);
    size_t room = x ? MOST_ANSWER - x->answer.len : 0;
    (void)flags;
    (void)ctx;
    if (room && buf_append(&x->answer, bytes, len < room ? len : room) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *ctx)
{
    struct exchange *x = call_of(session, stream);
    (void)ctx;
    if (x) {
        x->is_closed = true;
        x->error = error;
    }
    return 0;
}

/* The frame's head and the body, from where the last read ended. */
static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx)
{
    struct exchange *x = source->ptr;
    struct bytes body = x->post->body;
    size_t len = 0;
    (void)session;
    (void)stream;
    (void)ctx;
    while (x->at < GRPC_FRAME_BYTES && len < room)
        to[len++] = x->frame[x->at++];
    size_t left = body.len - (x->at - GRPC_FRAME_BYTES), part = left < room - len ? left : room - len;
    if (x->at >= GRPC_FRAME_BYTES && part) {
        memcpy(to + len, body.ptr + (x->at - GRPC_FRAME_BYTES), part);
        x->at += part;
        len += part;
    }
    if (x->at == GRPC_FRAME_BYTES + body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

/* ---- opening */

static void begin_connect(struct grpc_connection *c)
{
    c->easy = c->options.make(c->options.ctx);
    if (!c->easy)
        return; /* the next run tries again; the calls have their deadlines */
    c->error[0] = 0;
    curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(c->easy, CURLOPT_CONNECT_ONLY, 1L);
    c->state = CONNECTING;
    if (curl_multi_add_handle(c->options.multi, c->easy) != CURLM_OK) {
        curl_easy_cleanup(c->easy);
        c->easy = NULL;
        c->state = CLOSED;
    }
}

static int start_session(struct grpc_connection *c)
{
    static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int failed = nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    return failed || nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 1) ? -ENOMEM : 0;
}

static void give_up(struct grpc_connection *c, const char *words)
{
    fail_all(c, words);
    close_connection(c);
}

static void open_session(struct grpc_connection *c)
{
    c->used_ns = c->heard_ns = clock_mono_ns();
    if (start_session(c) < 0) {
        nghttp2_session_del(c->session);
        c->session = NULL;
        give_up(c, "out of memory");
    } else
        c->state = OPEN;
}

static void begin_tls(struct grpc_connection *c)
{
    char host[512], words[256] = "out of memory";
    const char *colon = strrchr(c->options.authority, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - c->options.authority), c->options.authority);
    c->state = SHAKING;
    c->shake_ns = clock_mono_ns() + SHAKE_MS * MS;
    if (grpc_tls_new(c->options.tls, host, (int)c->fd, &c->tls, words, sizeof words) < 0)
        give_up(c, words);
}

static void shake(struct grpc_connection *c)
{
    char words[256];
    int done = grpc_tls_handshake(c->tls, words, sizeof words);
    if (done == 0 && clock_mono_ns() < c->shake_ns)
        return;
    if (done == 1)
        open_session(c);
    else
        give_up(c, done < 0 ? words : "the TLS handshake took too long");
}

bool grpc_connection_take(struct grpc_connection *c, CURL *easy, CURLcode code)
{
    if (!c->easy || c->easy != easy)
        return false;
    if (code != CURLE_OK || curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &c->fd) != CURLE_OK)
        give_up(c, c->error[0] ? c->error : curl_easy_strerror(code));
    else if (c->options.tls)
        begin_tls(c);
    else
        open_session(c);
    return true;
}

/* ---- calls */

struct head { /* of a call; the names and values are copied by nghttp2 */
    nghttp2_nv pairs[MOST_HEADERS];
    size_t count;
    char names[NAME_BYTES];
    size_t names_len;
};

static void put_pair(struct head *head, const char *name, size_t name_len, const char *value)
{
    if (head->count == MOST_HEADERS || head->names_len + name_len > sizeof head->names)
        return;
    char *lower = head->names + head->names_len;
    for (size_t i = 0; i < name_len; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    head->names_len += name_len;
    head->pairs[head->count++] = (nghttp2_nv){(uint8_t *)lower, (uint8_t *)(uintptr_t)value, name_len,
                                              strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* "Name: value" lines; one without a value takes a header away from curl and means nothing here. */
static void put_lines(struct head *head, const struct curl_slist *lines)
{
    for (; lines; lines = lines->next) {
        const char *colon = strchr(lines->data, ':');
        if (colon && colon[1] == ' ' && strncasecmp(lines->data, "host:", 5) != 0)
            put_pair(head, lines->data, (size_t)(colon - lines->data), colon + 2);
    }
}

static void submit(struct grpc_connection *c, struct exchange *x)
{
    const struct grpc_connection_options *o = &c->options;
    struct curl_slist *lines = o->headers(o->ctx);
    nghttp2_data_provider body = {.source.ptr = x, .read_callback = on_read};
    struct head head = {.count = 0};
    char timeout[32];
    int64_t left_ms = (x->deadline_ns - clock_mono_ns()) / MS;
    snprintf(timeout, sizeof timeout, "%lldm", left_ms > 0 && left_ms < 99999999 ? (long long)left_ms : 1LL);
    put_pair(&head, ":method", 7, "POST");
    put_pair(&head, ":scheme", 7, o->tls ? "https" : "http");
    put_pair(&head, ":path", 5, o->path);
    put_pair(&head, ":authority", 10, o->authority);
    put_pair(&head, "te", 2, "trailers");
    put_pair(&head, "grpc-timeout", 12, timeout);
    put_lines(&head, lines);
    x->stream = nghttp2_submit_request(c->session, NULL, head.pairs, head.count, &body, x);
    curl_slist_free_all(lines);
    if (x->stream <= 0) {
        x->stream = 0;
        c->is_lost = true; /* out of stream numbers, or of memory */
    }
}

static void receive(struct grpc_connection *c)
{
    uint8_t bytes[READ_BYTES];
    ssize_t len;
    while ((len = c->tls ? grpc_tls_read(c->tls, bytes, sizeof bytes) : plain_read(c, bytes, sizeof bytes)) >
           0) {
        c->heard_ns = clock_mono_ns();
        if (nghttp2_session_mem_recv(c->session, bytes, (size_t)len) < 0) {
            c->is_lost = true;
            return;
        }
    }
    c->is_lost |= len < 0;
}

static void exchange_frames(struct grpc_connection *c)
{
    receive(c);
    if (c->is_lost)
        return;
    c->wants_write = false;
    if (nghttp2_session_send(c->session) != 0 ||
        (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)))
        c->is_lost = true;
}

static void finish_some(struct grpc_connection *c)
{
    int64_t now = clock_mono_ns();
    for (struct exchange *x = c->calls, *next; x; x = next) {
        next = x->next;
        if (x->is_closed)
            finish_closed(c, x);
        else if (now >= x->deadline_ns) {
            c->is_lost |= x->stream && c->heard_ns < x->started_ns;
            forget_stream(c, x);
            fail(c, x, x->is_sent, true, "the call's deadline has passed");
        }
    }
}

static bool has_streams(const struct grpc_connection *c)
{
    for (const struct exchange *x = c->calls; x; x = x->next) {
        if (x->stream)
            return true;
    }
    return false;
}

static void run_session(struct grpc_connection *c)
{
    for (struct exchange *x = c->calls; x && c->state == OPEN && !c->is_lost; x = x->next) {
        if (!x->stream)
            submit(c, x);
    }
    exchange_frames(c);
    finish_some(c);
    if (c->is_lost) {
        fail_all(c, "the connection was lost before an answer");
        close_connection(c);
    } else if (!has_streams(c) && (c->state == LEAVING || clock_mono_ns() - c->used_ns > IDLE_NS))
        close_connection(c);
}

void grpc_connection_run(struct grpc_connection *c)
{
    if (c->state == SHAKING)
        shake(c);
    if (c->session)
        run_session(c);
    else
        finish_some(c); /* deadlines */
    if (c->state == CLOSED && c->calls)
        begin_connect(c);
}

unsigned grpc_connection_wait(struct grpc_connection *c, struct curl_waitfd *ret_fd, int *timeout_ms)
{
    int64_t now = clock_mono_ns();
    for (const struct exchange *x = c->calls; x; x = x->next) {
        int64_t left_ms = (x->deadline_ns - now) / MS + 1;
        if (left_ms < *timeout_ms)
            *timeout_ms = left_ms > 0 ? (int)left_ms : 0;
    }
    if (c->state == CLOSED || c->state == CONNECTING)
        return 0;
    bool wants_write =
        c->session ? c->wants_write && nghttp2_session_want_write(c->session) : grpc_tls_wants_write(c->tls);
    *ret_fd = (struct curl_waitfd){
        .fd = c->fd, .events = (short)(CURL_WAIT_POLLIN | (wants_write ? CURL_WAIT_POLLOUT : 0))};
    return 1;
}
