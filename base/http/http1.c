#include "base/http/http1.h"

#include <errno.h>
#include <strings.h>

enum part { PART_NONE, PART_TARGET, PART_NAME, PART_VALUE };

static const uint64_t no_length = UINT64_MAX; /* http-parser's content_length when none was announced */

static int refuse(struct http1 *h, int error, int status, const char *reason)
{
    h->error = error;
    h->status = status;
    h->reason = reason;
    return -1;
}

int http1_refuse_body(struct http1 *h, int err)
{
    switch (err) {
    case -EMSGSIZE:
        return refuse(h, err, 413, "the body is larger than the limit");
    case -ENOBUFS:
        return refuse(h, err, 503, "no room for the body now");
    case -ENOMEM:
        return refuse(h, err, 503, "out of memory");
    }
    return refuse(h, err, 400, "the body is not of its content coding");
}

static int append_to_head(struct http1 *h, const char *at, size_t len)
{
    if (len && memchr(at, '\0', len))
        return refuse(h, -EBADMSG, 400, "a NUL in the head");
    if (buf_append(&h->head, at, len) < 0)
        return refuse(h, -EMSGSIZE, 431, "the head is larger than the limit");
    return 0;
}

/* Ends the string under way; values lose their trailing blanks. */
static int end_part(struct http1 *h)
{
    if (h->part == PART_VALUE)
        while (h->head.len && (h->head.ptr[h->head.len - 1] == ' ' || h->head.ptr[h->head.len - 1] == '\t'))
            h->head.len--;
    h->part = PART_NONE;
    if (buf_append(&h->head, "", 1) < 0)
        return refuse(h, -EMSGSIZE, 431, "the head is larger than the limit");
    return 0;
}

static int on_target(http_parser *parser, const char *at, size_t len)
{
    struct http1 *h = parser->data;
    h->part = PART_TARGET;
    return append_to_head(h, at, len);
}

static bool is_trailer(const http_parser *parser)
{
    return parser->flags & F_TRAILING;
}

static int on_name(http_parser *parser, const char *at, size_t len)
{
    struct http1 *h = parser->data;
    if (is_trailer(parser))
        return 0;
    if (memchr(at, ' ', len)) /* Debian's build of the parser lets it pass */
        return refuse(h, -EBADMSG, 400, "a blank in a header's name");
    if (h->part != PART_NAME) {
        bool is_first = h->headers_at == 0;
        if (end_part(h) < 0)
            return -1;
        if (is_first)
            h->headers_at = h->head.len;
        h->part = PART_NAME;
    }
    return append_to_head(h, at, len);
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct http1 *h = parser->data;
    if (is_trailer(parser))
        return 0;
    if (h->part != PART_VALUE) {
        if (end_part(h) < 0)
            return -1;
        h->part = PART_VALUE;
    }
    return append_to_head(h, at, len);
}

static int check_host(struct http1 *h)
{
    bool is_1_0 = h->parser.http_minor == 0;
    int hosts = http1_count_headers(h, "host");
    if (hosts > 1 || (hosts == 0 && !is_1_0))
        return refuse(h, -EBADMSG, 400, "exactly one Host header is required");
    return 0;
}

static int check_expect(struct http1 *h)
{
    const char *expect = http1_header(h, "expect");
    if (!expect || h->parser.http_minor == 0)
        return 0;
    if (strcasecmp(expect, "100-continue") != 0)
        return refuse(h, -ENOTSUP, 417, "the only expectation known is 100-continue");
    h->wants_continue = http1_has_body(h);
    return 0;
}

static int check_transfer(struct http1 *h)
{
    const char *transfer = http1_header(h, "transfer-encoding");
    if (!transfer)
        return 0;
    if (strcasecmp(transfer, "chunked") != 0 || http1_count_headers(h, "transfer-encoding") > 1)
        return refuse(h, -ENOTSUP, 501, "the only transfer coding known is chunked");
    return 0;
}

int http1_check_coding(struct http1 *h)
{
    const char *coding = http1_header(h, "content-encoding");
    if (!coding)
        return 0;
    if (http1_count_headers(h, "content-encoding") > 1 || http_body_parse_coding(coding, &h->body.coding) < 0)
        return refuse(h, -ENOTSUP, 415, "content encodings accepted: gzip, identity");
    return 0;
}

static int check_length(struct http1 *h)
{
    uint64_t len = h->parser.content_length;
    if (h->parser.flags & F_CHUNKED || len == no_length)
        return 0;
    if (len > h->limits->body_bytes)
        return http1_refuse_body(h, -EMSGSIZE);
    http_body_expect(&h->body, (size_t)len);
    return 0;
}

static int pause_with(struct http1 *h, enum http1_event event)
{
    h->event = event;
    http_parser_pause(&h->parser, 1);
    return 0;
}

static int on_head(http_parser *parser)
{
    struct http1 *h = parser->data;
    parser->upgrade = 0; /* an offer of another protocol is declined by going on in this one */
    if (end_part(h) < 0)
        return -1;
    if (!h->headers_at)
        h->headers_at = h->head.len;
    if (parser->http_major != 1)
        return refuse(h, -EPROTONOSUPPORT, 505, "HTTP/1.1 is spoken here");
    if (h->role == HTTP1_REQUESTS && (check_host(h) < 0 || check_expect(h) < 0))
        return -1;
    if (check_transfer(h) < 0 || check_length(h) < 0 || http1_check_coding(h) < 0)
        return -1;
    return pause_with(h, HTTP1_HEAD);
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http1 *h = parser->data;
    int err = http_body_take(&h->body, (struct bytes){(const uint8_t *)at, len});
    return err < 0 ? http1_refuse_body(h, err) : 0;
}

static int on_chunk(http_parser *parser)
{
    struct http1 *h = parser->data;
    if (parser->content_length > h->limits->body_bytes - h->body.sent)
        return http1_refuse_body(h, -EMSGSIZE);
    return 0;
}

static int on_done(http_parser *parser)
{
    struct http1 *h = parser->data;
    int err = http_body_finish(&h->body);
    return err < 0 ? http1_refuse_body(h, err) : pause_with(h, HTTP1_DONE);
}

static const http_parser_settings callbacks = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_chunk_header = on_chunk,
    .on_message_complete = on_done,
};

void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits)
{
    *h = (struct http1){.role = role, .limits = limits};
    http_parser_init(&h->parser, role == HTTP1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE);
    buf_init(&h->head, limits->head_bytes);
    http_body_init(&h->body, limits->body_bytes, limits->raw_body_bytes);
}

void http1_fini(struct http1 *h)
{
    buf_fini(&h->head);
    http_body_fini(&h->body);
}

void http1_next(struct http1 *h)
{
    buf_release(&h->head, 0);
    http_body_reset(&h->body);
    h->headers_at = 0;
    h->part = PART_NONE;
    h->wants_continue = false;
}

static enum http1_event refuse_syntax(struct http1 *h)
{
    enum http_errno code = HTTP_PARSER_ERRNO(&h->parser);
    if (h->error) /* told by a callback */
        return HTTP1_REFUSED;
    if (code == HPE_HEADER_OVERFLOW)
        refuse(h, -EMSGSIZE, 431, "the head is larger than the limit");
    else if (code == HPE_INVALID_VERSION)
        refuse(h, -EPROTONOSUPPORT, 505, "HTTP/1.1 is spoken here");
    else if (code == HPE_INVALID_TRANSFER_ENCODING)
        refuse(h, -ENOTSUP, 501, "the only transfer coding known is chunked");
    else
        refuse(h, -EBADMSG, 400, http_errno_description(code));
    return HTTP1_REFUSED;
}

static enum http1_event execute(struct http1 *h, struct bytes *rest)
{
    h->parser.data = h; /* the struct may have moved since */
    size_t taken = http_parser_execute(&h->parser, &callbacks, (const char *)rest->ptr, rest->len);
    bool is_paused = HTTP_PARSER_ERRNO(&h->parser) == HPE_PAUSED;
    if (is_paused)
        http_parser_pause(&h->parser, 0);
    else if (HTTP_PARSER_ERRNO(&h->parser) != HPE_OK || taken != rest->len)
        return refuse_syntax(h);
    *rest = bytes_skip(*rest, taken);
    return is_paused ? h->event : HTTP1_MORE;
}

enum http1_event http1_feed(struct http1 *h, struct bytes *rest)
{
    if (h->error)
        return HTTP1_REFUSED;
    return rest->len ? execute(h, rest) : HTTP1_MORE;
}

enum http1_event http1_end(struct http1 *h)
{
    struct bytes none = {(const uint8_t *)"", 0};
    if (h->error)
        return HTTP1_REFUSED;
    return execute(h, &none);
}

/* A string of the head; on failure the head is as it was. */
static int put_part(struct http1 *h, struct bytes text)
{
    size_t began = h->head.len;
    if (append_to_head(h, (const char *)text.ptr, text.len) == 0 && end_part(h) == 0)
        return 0;
    h->head.len = began;
    return -1;
}

int http1_put_target(struct http1 *h, struct bytes target)
{
    if (h->head.len) /* one is enough */
        return 0;
    if (put_part(h, target) < 0)
        return -1;
    h->headers_at = h->head.len;
    return 0;
}

int http1_put_header(struct http1 *h, struct bytes name, struct bytes value)
{
    if (!h->headers_at && http1_put_target(h, (struct bytes){0}) < 0)
        return -1;
    size_t began = h->head.len;
    if (put_part(h, name) == 0 && put_part(h, value) == 0)
        return 0;
    h->head.len = began;
    return -1;
}

const char *http1_target(const struct http1 *h)
{
    return (const char *)h->head.ptr;
}

/* The value after name at *at, which moves to the next name; NULL at the end. */
static const char *next_header(const struct http1 *h, size_t *at, const char **ret_name)
{
    const char *head = (const char *)h->head.ptr;
    const char *colon = *at < h->head.len ? memchr(head + *at, '\0', h->head.len - *at) : NULL;
    size_t value = colon ? (size_t)(colon - head) + 1 : h->head.len;
    const char *end = value < h->head.len ? memchr(head + value, '\0', h->head.len - value) : NULL;
    if (!end) /* the head was refused before its end */
        return NULL;
    *ret_name = head + *at;
    *at = (size_t)(end - head) + 1;
    return head + value;
}

const char *http1_header(const struct http1 *h, const char *name)
{
    const char *value, *found;
    for (size_t at = h->headers_at; (value = next_header(h, &at, &found));)
        if (strcasecmp(found, name) == 0)
            return value;
    return NULL;
}

int http1_count_headers(const struct http1 *h, const char *name)
{
    int count = 0;
    const char *found;
    for (size_t at = h->headers_at; next_header(h, &at, &found);)
        count += strcasecmp(found, name) == 0;
    return count;
}

bool http1_has_body(const struct http1 *h)
{
    uint64_t len = h->parser.content_length;
    return h->parser.flags & F_CHUNKED || (len > 0 && len != no_length);
}

bool http1_keeps_alive(const struct http1 *h)
{
    return http_should_keep_alive(&h->parser);
}
