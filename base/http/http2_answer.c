/* Answers of HTTP/2 streams: whole ones and streams. */
#include <ctype.h>
#include <stdio.h>

#include "base/http/grpc.h"
#include "base/http/http2_session.h"

enum { MOST_FIELDS = 24, OUT_MAX = 64 * 1024 * 1024 };

/* The fields of a head or of trailers; names in lower case, as HTTP/2 has them. */
struct fields {
    nghttp2_nv items[MOST_FIELDS];
    size_t count;
    char names[1024];
    size_t names_len;
};

static void add_field(struct fields *f, struct bytes name, struct bytes value, uint8_t flags)
{
    if (f->count == MOST_FIELDS || name.len > sizeof f->names - f->names_len)
        return;
    char *lower = f->names + f->names_len;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower(name.ptr[i]);
    f->names_len += name.len;
    f->items[f->count++] =
        (nghttp2_nv){(uint8_t *)lower, (uint8_t *)(uintptr_t)value.ptr, name.len, value.len, flags};
}

static void add_text(struct fields *f, const char *name, const char *value)
{
    add_field(f, bytes_of_string(name), bytes_of_string(value), NGHTTP2_NV_FLAG_NONE);
}

/* A field that is another one every second is not worth remembering. */
static void add_date(struct fields *f, const char *date)
{
    add_field(f, bytes_of_string("date"), bytes_of_string(date), NGHTTP2_NV_FLAG_NO_INDEX);
}

static void add_lines(struct fields *f, const char *lines)
{
    while (lines && *lines) {
        size_t len = strcspn(lines, "\r\n"), name = strcspn(lines, ":");
        if (name < len) {
            size_t value = name + 1 + strspn(lines + name + 1, " ");
            add_field(f, (struct bytes){(const uint8_t *)lines, name},
                      (struct bytes){(const uint8_t *)lines + value, len - value}, NGHTTP2_NV_FLAG_NONE);
        }
        lines += len;
        lines += strspn(lines, "\r\n");
    }
}

static void submit_trailers(struct http_request *s)
{
    struct fields f = {0};
    add_lines(&f, (const char *)s->stream->trailers.ptr);
    nghttp2_submit_trailer(s->carrier->http2->frames, s->stream->id, f.items, f.count);
}

static ssize_t read_out(nghttp2_session *frames, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                        nghttp2_data_source *source, void *ctx)
{
    struct http_request *s = source->ptr;
    struct http2_stream *stream = s->stream;
    size_t rest = stream->out.len - stream->out_at, n = rest < size ? rest : size;
    (void)frames, (void)id, (void)ctx;
    if (n == 0 && !stream->is_ended) {
        stream->is_paused = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        memcpy(to, stream->out.ptr + stream->out_at, n);
    stream->out_at += n;
    if (stream->out_at == stream->out.len) {
        buf_clear(&stream->out);
        stream->out_at = 0;
        if (stream->is_ended) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (stream->trailers.len) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                submit_trailers(s);
            }
        }
    }
    connection_set_state(s, s->state); /* it moves: a new deadline */
    return (ssize_t)n;
}

static void submit_head(struct http_request *s, struct fields *f, bool has_body)
{
    nghttp2_data_provider provider = {.source.ptr = s, .read_callback = read_out};
    struct http2 *h = s->carrier->http2;
    h->credit += h->credit < HTTP2_MOST_CREDIT ? HTTP2_ANSWER_CREDIT : 0;
    if (nghttp2_submit_response(h->frames, s->stream->id, f->items, f->count, has_body ? &provider : NULL) !=
        0)
        connection_close(s->carrier);
}

static bool keep_body(struct http2_stream *stream, struct bytes body, const char *trailers)
{
    buf_init(&stream->out, body.len);
    buf_init(&stream->trailers, GRPC_HEAD_BYTES);
    return buf_append(&stream->out, body.ptr, body.len) == 0 &&
           (!trailers || (buf_append_string(&stream->trailers, trailers) == 0 &&
                          buf_append(&stream->trailers, "", 1) == 0));
}

void http2_answer(struct http_request *s, int status, const char *headers, const char *content_type,
                  struct bytes body, const char *trailers)
{
    struct fields f = {0};
    char code[8], date[40], length[24];
    bool has_no_body = s->is_head || status / 100 == 1 || status == 204 || status == 304;
    snprintf(code, sizeof code, "%d", status);
    snprintf(length, sizeof length, "%zu", body.len);
    answer_date(date, sizeof date);
    add_text(&f, ":status", code);
    add_date(&f, date);
    if (content_type)
        add_text(&f, "content-type", content_type);
    if (!trailers && status / 100 != 1 && status != 204 && status != 304)
        add_text(&f, "content-length", length);
    add_lines(&f, headers);
    if (has_no_body)
        body = (struct bytes){0};
    connection_set_state(s, CONNECTION_WRITING);
    s->stream->is_ended = true;
    struct http_request *c = s->carrier;
    if (keep_body(s->stream, body, trailers))
        submit_head(s, &f, body.len > 0 || trailers);
    else
        connection_close(c);
    http_body_reset(&s->http.body);
    connection_charge(s);
    http2_flush(c);
}

static void refuse_grpc(struct http_request *s, int status, const char *text)
{
    struct buf head;
    buf_init(&head, GRPC_HEAD_BYTES);
    enum grpc_code code = grpc_code_of_http(status);
    int err = grpc_put_status(&head, code, text, code == GRPC_UNAVAILABLE ? 1000 : 0);
    if (err < 0 || buf_append(&head, "", 1) < 0)
        connection_close(s->carrier);
    else
        http2_answer(s, 200, (const char *)head.ptr, "application/grpc", (struct bytes){0}, NULL);
    buf_fini(&head);
}

void http2_refuse(struct http_request *s, int status, const char *headers, const char *text)
{
    const char *type = http1_header(&s->http, "content-type"), *body_type;
    struct buf head;
    struct bytes body = answer_refusal_body(s, status, text, &head, &body_type);
    if (!type || strncmp(type, "application/grpc", 16) != 0)
        http2_answer(s, status, headers, body_type, body, NULL);
    else
        refuse_grpc(s, status, text);
    buf_fini(&head);
}

void http2_end_unread(struct http_request *s)
{
    if (!s->is_half_closed)
        nghttp2_submit_rst_stream(s->carrier->http2->frames, NGHTTP2_FLAG_NONE, s->stream->id,
                                  NGHTTP2_NO_ERROR);
}

void http2_begin(struct http_request *s, int status, const char *content_type)
{
    struct fields f = {0};
    char code[8], date[40];
    snprintf(code, sizeof code, "%d", status);
    answer_date(date, sizeof date);
    add_text(&f, ":status", code);
    add_date(&f, date);
    add_text(&f, "content-type", content_type);
    connection_set_state(s, CONNECTION_STREAMING);
    buf_init(&s->stream->out, OUT_MAX);
    submit_head(s, &f, true);
    http2_flush(s->carrier);
}

static void resume(struct http_request *s)
{
    if (s->stream->is_paused) {
        s->stream->is_paused = false;
        nghttp2_session_resume_data(s->carrier->http2->frames, s->stream->id);
    }
    http2_flush(s->carrier);
}

size_t http2_write(struct http_request *s, struct bytes chunk)
{
    struct http2_stream *stream = s->stream;
    if (s->is_head)
        return 0;
    if (buf_append(&stream->out, chunk.ptr, chunk.len) < 0) {
        connection_close(s->carrier);
        return 0;
    }
    resume(s);
    /* nothing is freed in a flush but a stream that has ended, and this one has not */
    return stream->out.len - stream->out_at + uv_stream_get_write_queue_size(&s->carrier->socket.stream);
}

void http2_end(struct http_request *s)
{
    s->stream->is_ended = true;
    connection_set_state(s, CONNECTION_WRITING);
    resume(s);
}
