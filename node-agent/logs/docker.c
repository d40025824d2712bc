#include "node-agent/logs/docker.h"

#include <errno.h>

enum { MAX_DEPTH = 32 }; /* of values that are passed over */

static void skip_blank(struct bytes *rest)
{
    while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t' || *rest->ptr == '\r'))
        *rest = bytes_skip(*rest, 1);
}

static bool take(struct bytes *rest, char c)
{
    skip_blank(rest);
    if (!rest->len || *rest->ptr != (uint8_t)c)
        return false;
    *rest = bytes_skip(*rest, 1);
    return true;
}

/* What stands between quotes, escapes not resolved. */
static bool take_string(struct bytes *rest, struct bytes *ret_text)
{
    if (!take(rest, '"'))
        return false;
    const uint8_t *start = rest->ptr, *end = rest->ptr + rest->len, *p = start;
    for (; p < end && *p != '"'; p++)
        if (*p == '\\' && ++p == end)
            return false;
    if (p >= end)
        return false;
    *ret_text = (struct bytes){start, (size_t)(p - start)};
    *rest = (struct bytes){p + 1, (size_t)(end - p - 1)};
    return true;
}

/* Passes over a value of any kind: by its brackets, not by its grammar. */
static bool skip_value(struct bytes *rest)
{
    int depth = 0;
    struct bytes text;
    do {
        skip_blank(rest);
        if (!rest->len)
            return false;
        uint8_t c = *rest->ptr;
        if (c == '"') {
            if (!take_string(rest, &text))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return false;
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (depth > MAX_DEPTH)
            return false;
        *rest = bytes_skip(*rest, 1);
        while (depth == 0 && c != '}' && c != ']' && rest->len && !memchr(",} \t\r", *rest->ptr, 5))
            *rest = bytes_skip(*rest, 1); /* the rest of a number or a word */
    } while (depth > 0);
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct bytes *rest, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (rest->len < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(rest->ptr[i]);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    *rest = bytes_skip(*rest, 4);
    *ret_code = code;
    return true;
}

static int append_code(struct buf *out, uint32_t code)
{
    uint8_t utf8[4];
    size_t n = 0;
    if (code < 0x80) {
        utf8[n++] = (uint8_t)code;
    } else if (code < 0x800) {
        utf8[n++] = (uint8_t)(0xc0 | code >> 6);
        utf8[n++] = (uint8_t)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        utf8[n++] = (uint8_t)(0xe0 | code >> 12);
        utf8[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        utf8[n++] = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        utf8[n++] = (uint8_t)(0xf0 | code >> 18);
        utf8[n++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        utf8[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        utf8[n++] = (uint8_t)(0x80 | (code & 0x3f));
    }
    return buf_append(out, utf8, n);
}

/* Behind \u: a code unit, or two of them as a surrogate pair; half a pair is U+FFFD. */
static int append_unit(struct bytes *rest, struct buf *out)
{
    uint32_t code, low;
    if (!take_hex(rest, &code))
        return -EBADMSG;
    if (code >= 0xd800 && code < 0xdc00 && rest->len >= 6 && rest->ptr[0] == '\\' && rest->ptr[1] == 'u') {
        struct bytes behind = bytes_skip(*rest, 2);
        if (!take_hex(&behind, &low))
            return -EBADMSG;
        if (low >= 0xdc00 && low < 0xe000) {
            *rest = behind;
            return append_code(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    return append_code(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
}

static int append_escape(struct bytes *rest, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = *rest->ptr;
    const char *at = memchr(from, c, sizeof from - 1);
    *rest = bytes_skip(*rest, 1);
    if (at)
        return buf_append(out, &to[at - from], 1);
    return c == 'u' ? append_unit(rest, out) : -EBADMSG;
}

static int unescape(struct bytes raw, struct buf *out)
{
    int err = 0;
    buf_clear(out);
    while (err == 0 && raw.len) {
        const uint8_t *escape = memchr(raw.ptr, '\\', raw.len);
        size_t plain = escape ? (size_t)(escape - raw.ptr) : raw.len;
        err = buf_append(out, raw.ptr, plain);
        raw = bytes_skip(raw, plain);
        if (err == 0 && raw.len) {
            raw = bytes_skip(raw, 1); /* a byte follows: take_string saw to it */
            err = append_escape(&raw, out);
        }
    }
    return err;
}

/* The text, and whether its newline is missing. Most lines have no escape but that one: nothing is copied. */
static int resolve(struct bytes raw, struct buf *storage, struct bytes *ret_text, bool *ret_partial)
{
    const uint8_t *escape = raw.len ? memchr(raw.ptr, '\\', raw.len) : NULL;
    size_t plain = escape ? (size_t)(escape - raw.ptr) : raw.len;
    if (!escape || (plain + 2 == raw.len && escape[1] == 'n')) {
        *ret_partial = !escape;
        *ret_text = (struct bytes){raw.ptr, plain};
        return 0;
    }
    int err = unescape(raw, storage);
    if (err < 0)
        return err;
    *ret_text = buf_bytes(storage);
    *ret_partial = ret_text->len == 0 || ret_text->ptr[ret_text->len - 1] != '\n';
    ret_text->len -= !*ret_partial;
    return 0;
}

struct members {
    struct bytes log, stream, time; /* ptr NULL: not there */
};

static bool is_key(struct bytes key, const char *name)
{
    return bytes_equal(key, bytes_of_string(name));
}

static bool take_member(struct bytes *rest, struct members *m)
{
    struct bytes key;
    if (!take_string(rest, &key) || !take(rest, ':'))
        return false;
    if (is_key(key, "log"))
        return take_string(rest, &m->log);
    if (is_key(key, "stream"))
        return take_string(rest, &m->stream);
    if (is_key(key, "time"))
        return take_string(rest, &m->time);
    return skip_value(rest);
}

static bool take_members(struct bytes rest, struct members *m)
{
    if (!take(&rest, '{'))
        return false;
    do {
        if (!take_member(&rest, m))
            return false;
    } while (take(&rest, ','));
    if (!take(&rest, '}'))
        return false;
    skip_blank(&rest);
    return rest.len == 0 && m->log.ptr && m->stream.ptr && m->time.ptr;
}

int docker_parse(struct cri_clock *clock, struct bytes line, struct buf *storage, struct cri_line *ret_line)
{
    struct members m = {0};
    struct cri_line parsed;
    if (!take_members(line, &m) || cri_parse_time(clock, m.time, &parsed.time_ns) < 0)
        return -EBADMSG;
    if (is_key(m.stream, "stdout"))
        parsed.stream = CRI_STDOUT;
    else if (is_key(m.stream, "stderr"))
        parsed.stream = CRI_STDERR;
    else
        return -EBADMSG;
    int err = resolve(m.log, storage, &parsed.text, &parsed.partial);
    if (err < 0)
        return err;
    *ret_line = parsed;
    return 0;
}
