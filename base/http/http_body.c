#include "base/http/http_body.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

enum { GZIP_ONLY = 16 };

void http_body_init(struct http_body *b, size_t sent_max, size_t raw_max)
{
    *b = (struct http_body){.sent_max = sent_max, .raw_max = raw_max, .room = SIZE_MAX, .expected = SIZE_MAX};
    buf_init(&b->bytes, raw_max);
}

static void end_inflate(struct http_body *b)
{
    if (!b->inflate)
        return;
    inflateEnd(b->inflate);
    free(b->inflate);
    b->inflate = NULL;
}

void http_body_fini(struct http_body *b)
{
    end_inflate(b);
    buf_fini(&b->bytes);
}

void http_body_reset(struct http_body *b)
{
    http_body_fini(b);
    http_body_init(b, b->sent_max, b->raw_max);
}

int http_body_parse_coding(const char *value, enum http_coding *ret_coding)
{
    if (!*value || strcasecmp(value, "identity") == 0)
        *ret_coding = HTTP_IDENTITY;
    else if (strcasecmp(value, "gzip") == 0 || strcasecmp(value, "x-gzip") == 0)
        *ret_coding = HTTP_GZIP;
    else
        return -ENOTSUP;
    return 0;
}

void http_body_expect(struct http_body *b, size_t len)
{
    b->expected = len;
}

void http_body_allow(struct http_body *b, size_t room)
{
    b->room = room;
}

size_t http_body_held(const struct http_body *b)
{
    return b->bytes.cap + (b->inflate ? HTTP_INFLATE_BYTES : 0);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Room for n more decoded bytes, within what the owner grants. */
static int reserve(struct http_body *b, size_t n)
{
    size_t other = b->inflate ? HTTP_INFLATE_BYTES : 0;
    size_t room = b->room > other ? b->room - other : 0;
    if (n > b->raw_max - b->bytes.len)
        return -EMSGSIZE;
    b->bytes.max = smaller(room, b->raw_max);
    if (b->coding == HTTP_IDENTITY)
        b->bytes.max = smaller(b->bytes.max, b->expected);
    if (b->bytes.max < b->bytes.cap)
        b->bytes.max = b->bytes.cap; /* what it has, it keeps */
    int err = buf_reserve(&b->bytes, n);
    b->bytes.max = b->raw_max;
    return err == -EMSGSIZE ? -ENOBUFS : err;
}

static int take_identity(struct http_body *b, struct bytes chunk)
{
    int err = reserve(b, chunk.len);
    return err < 0 ? err : buf_append(&b->bytes, chunk.ptr, chunk.len);
}

static int begin_inflate(struct http_body *b)
{
    if (b->room < HTTP_INFLATE_BYTES)
        return -ENOBUFS;
    b->inflate = calloc(1, sizeof *b->inflate);
    if (!b->inflate)
        return -ENOMEM;
    if (inflateInit2(b->inflate, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        free(b->inflate);
        b->inflate = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* One call of inflate into what is free of the buffer; into one spare byte when the limit is reached, so that
 * a body of exactly the limit can end. */
static int inflate_step(struct http_body *b, int *ret_code)
{
    uint8_t spare;
    bool is_full = b->bytes.len == b->raw_max;
    int err = is_full ? 0 : reserve(b, 1);
    if (err < 0)
        return err;
    z_stream *z = b->inflate;
    size_t free_bytes = is_full ? sizeof spare : b->bytes.cap - b->bytes.len;
    uInt avail = free_bytes < INT_MAX ? (uInt)free_bytes : INT_MAX;
    z->next_out = is_full ? &spare : b->bytes.ptr + b->bytes.len;
    z->avail_out = avail;
    *ret_code = inflate(z, Z_NO_FLUSH);
    size_t made = avail - z->avail_out;
    if (is_full)
        return made ? -EMSGSIZE : 0;
    b->bytes.len += made;
    return 0;
}

/* Several gzip members one after the other are one body (RFC 1952, 2.2). */
static int take_gzip(struct http_body *b, struct bytes chunk)
{
    z_stream *z = b->inflate;
    z->next_in = (Bytef *)(uintptr_t)chunk.ptr;
    z->avail_in = (uInt)chunk.len;
    for (;;) {
        int code;
        if (b->member_ended) {
            if (z->avail_in == 0)
                return 0;
            inflateReset(z);
            b->member_ended = false;
        }
        int err = inflate_step(b, &code);
        if (err < 0)
            return err;
        if (code == Z_STREAM_END)
            b->member_ended = true;
        else if (code == Z_BUF_ERROR || (code == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return 0; /* wants more input */
        else if (code != Z_OK)
            return code == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
    }
}

int http_body_take(struct http_body *b, struct bytes chunk)
{
    if (chunk.len > b->sent_max - b->sent || chunk.len > INT_MAX)
        return -EMSGSIZE;
    b->sent += chunk.len;
    if (b->coding == HTTP_IDENTITY)
        return take_identity(b, chunk);
    int err = b->inflate ? 0 : begin_inflate(b);
    return err < 0 ? err : take_gzip(b, chunk);
}

int http_body_finish(struct http_body *b)
{
    bool is_cut = b->coding == HTTP_GZIP && b->sent > 0 && !b->member_ended;
    end_inflate(b);
    return is_cut ? -EBADMSG : 0;
}
