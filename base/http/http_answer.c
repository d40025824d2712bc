/* Answers: whole ones and streams. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/http/http2.h"
#include "base/http/http_connection.h"

enum { ANSWER_HEAD_BYTES = 16 * 1024, REFUSAL_MAX = 8192 };

static const char *reason_of(int status)
{
    switch (status) {
#define XX(number, name, text)                                                                               \
    case number:                                                                                             \
        return #text;
        HTTP_STATUS_MAP(XX)
#undef XX
    }
    return "";
}

void answer_date(char *text, size_t size)
{
    struct tm tm;
    time_t now = (time_t)(clock_wall_ns() / 1000000000);
    gmtime_r(&now, &tm);
    strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* no locale is ever set */
}

static void put_date(struct buf *head)
{
    char text[40];
    answer_date(text, sizeof text);
    buf_printf(head, "Date: %s\r\n", text);
}

/* Everything up to where framing headers go. The buffer's limit makes an overlong head fail as a whole: see
 * end_head. */
static void begin_head(const struct http_request *c, struct buf *head, int status, const char *headers,
                       const char *content_type)
{
    buf_init(head, ANSWER_HEAD_BYTES);
    buf_printf(head, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
    put_date(head);
    if (content_type)
        buf_printf(head, "Content-Type: %s\r\n", content_type);
    if (headers)
        buf_append_string(head, headers);
    if (!c->keeps_alive || server_is_ending(c))
        buf_append_string(head, "Connection: close\r\n");
    else if (c->http.parser.http_minor == 0)
        buf_append_string(head, "Connection: keep-alive\r\n");
}

static bool has_no_body(int status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}

static void forget_body(struct http_request *c)
{
    http_body_reset(&c->http.body);
    connection_charge(c);
}

/* The route has given the request back. False: the connection was gone, and now the request is too. */
static bool take_back(struct http_request *c)
{
    c->is_held = false;
    c->on_gone = NULL;
    if (c->state != CONNECTION_CLOSED) {
        (c->carrier ? c->carrier : c)->has_served = true;
        return true;
    }
    if (!c->server) /* its handle is closed */
        connection_free(c);
    return false;
}

static void send_answer(struct http_request *c, int status, const char *headers, const char *content_type,
                        struct bytes body)
{
    struct buf head;
    begin_head(c, &head, status, headers, content_type);
    if (!has_no_body(status))
        buf_printf(&head, "Content-Length: %zu\r\n", body.len);
    int err = buf_append_string(&head, "\r\n");
    if (c->is_head || has_no_body(status))
        body = (struct bytes){0};
    connection_set_state(c, CONNECTION_WRITING);
    if (err == 0)
        connection_send(c, buf_bytes(&head), body, true);
    else
        connection_close(c);
    buf_fini(&head);
    forget_body(c);
}

void http_answer(struct http_request *request, int status, const char *headers, const char *content_type,
                 struct bytes body)
{
    http_answer_trailers(request, status, headers, content_type, body, NULL);
}

void http_answer_trailers(struct http_request *request, int status, const char *headers,
                          const char *content_type, struct bytes body, const char *trailers)
{
    if (!take_back(request))
        return;
    if (request->stream)
        http2_answer(request, status, headers, content_type, body, trailers);
    else
        send_answer(request, status, headers, content_type, body);
}

void http_answer_text(struct http_request *request, int status, const char *text)
{
    http_answer(request, status, NULL, "text/plain; charset=utf-8", bytes_of_string(text));
}

const char *answer_refusal_headers(int status)
{
    switch (status) {
    case 415:
        return "Accept-Encoding: gzip, identity\r\n";
    case 503:
        return "Retry-After: 1\r\n";
    }
    return NULL;
}

/* The target, unless the head was refused before its end. */
static const char *path_of(const struct http_request *c)
{
    const struct buf *head = &c->http.head;
    return head->len && memchr(head->ptr, '\0', head->len) ? (const char *)head->ptr : "";
}

struct bytes answer_refusal_body(const struct http_request *c, int status, const char *text,
                                 struct buf *storage, const char **ret_content_type)
{
    const struct http_server *server = c->carrier ? c->carrier->server : c->server;
    const char *type = NULL;
    buf_init(storage, REFUSAL_MAX);
    if (server && server->put_refusal)
        type = server->put_refusal(
            server->ctx,
            &(struct http_refusal){path_of(c), http1_header(&c->http, "content-type"), status, text},
            storage);
    *ret_content_type = type ? type : "text/plain; charset=utf-8";
    return type ? buf_bytes(storage) : bytes_of_string(text);
}

void answer_refusal(struct http_request *c, int status, const char *headers, const char *text)
{
    struct buf storage;
    const char *type;
    if (c->stream) {
        http2_refuse(c, status, headers, text);
        return;
    }
    struct bytes body = answer_refusal_body(c, status, text, &storage, &type);
    send_answer(c, status, headers, type, body);
    buf_fini(&storage);
}

void http_stream_begin(struct http_request *request, int status, const char *content_type)
{
    struct http_request *c = request;
    struct buf head;
    if (c->state == CONNECTION_CLOSED)
        return;
    if (c->stream) {
        forget_body(c);
        http2_begin(c, status, content_type);
        return;
    }
    c->is_chunked = c->http.parser.http_minor > 0;
    c->keeps_alive = c->keeps_alive && c->is_chunked;
    begin_head(c, &head, status, NULL, content_type);
    buf_append_string(&head, c->is_chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    connection_set_state(c, CONNECTION_STREAMING);
    connection_send(c, buf_bytes(&head), (struct bytes){0}, false);
    buf_fini(&head);
    forget_body(c);
}

static void send_chunk(struct http_request *c, struct bytes chunk)
{
    struct buf framed;
    buf_init(&framed, chunk.len + 32);
    if (buf_printf(&framed, "%zx\r\n", chunk.len) < 0 || buf_append(&framed, chunk.ptr, chunk.len) < 0)
        connection_close(c);
    else
        connection_send(c, buf_bytes(&framed), bytes_of_string("\r\n"), false);
    buf_fini(&framed);
}

size_t http_stream_write(struct http_request *request, struct bytes chunk)
{
    struct http_request *c = request;
    if (c->state != CONNECTION_STREAMING)
        return 0;
    if (c->stream)
        return http2_write(c, chunk);
    if (chunk.len == 0 || c->is_head)
        return uv_stream_get_write_queue_size(&c->socket.stream);
    if (c->is_chunked)
        send_chunk(c, chunk);
    else
        connection_send(c, chunk, (struct bytes){0}, false);
    return c->state == CONNECTION_STREAMING ? uv_stream_get_write_queue_size(&c->socket.stream) : 0;
}

void http_stream_end(struct http_request *request)
{
    struct http_request *c = request;
    if (!take_back(c))
        return;
    if (c->stream) {
        http2_end(c);
        return;
    }
    connection_set_state(c, CONNECTION_WRITING);
    connection_send(c, bytes_of_string(c->is_chunked && !c->is_head ? "0\r\n\r\n" : ""), (struct bytes){0},
                    true);
}
