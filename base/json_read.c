#include "base/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"

enum { NUMBER_MAX = 400, REPLACEMENT = 0xfffd };

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

uint8_t json_read_peek(struct bytes *rest)
{
    while (rest->len && is_blank(*rest->ptr))
        *rest = bytes_skip(*rest, 1);
    return rest->len ? *rest->ptr : 0;
}

int json_read_take(struct bytes *rest, uint8_t c)
{
    if (json_read_peek(rest) != c || !rest->len)
        return -EBADMSG;
    *rest = bytes_skip(*rest, 1);
    return 0;
}

/* Strings */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u. */
static int read_unit(struct bytes *rest, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (rest->len < 4)
        return -EBADMSG;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(rest->ptr[i]);
        if (digit < 0)
            return -EBADMSG;
        unit = unit << 4 | (uint32_t)digit;
    }
    *rest = bytes_skip(*rest, 4);
    *ret_unit = unit;
    return 0;
}

static int put_rune(struct buf *out, uint32_t rune)
{
    uint8_t utf8[4];
    size_t len = 0;
    if (rune < 0x80)
        utf8[len++] = (uint8_t)rune;
    else if (rune < 0x800)
        utf8[len++] = (uint8_t)(0xc0 | rune >> 6);
    else if (rune < 0x10000)
        utf8[len++] = (uint8_t)(0xe0 | rune >> 12);
    else
        utf8[len++] = (uint8_t)(0xf0 | rune >> 18);
    if (rune >= 0x10000)
        utf8[len++] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
    if (rune >= 0x800)
        utf8[len++] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
    if (rune >= 0x80)
        utf8[len++] = (uint8_t)(0x80 | (rune & 0x3f));
    return buf_append(out, utf8, len);
}

/* A \u escape, with the second one of a surrogate pair. */
static int read_rune(struct bytes *rest, struct buf *out)
{
    uint32_t unit, low;
    int err = read_unit(rest, &unit);
    if (err < 0)
        return err;
    if (unit >= 0xd800 && unit < 0xdc00 && rest->len >= 2 && rest->ptr[0] == '\\' && rest->ptr[1] == 'u') {
        struct bytes after = bytes_skip(*rest, 2);
        if ((err = read_unit(&after, &low)) < 0)
            return err;
        if (low >= 0xdc00 && low < 0xe000) {
            *rest = after;
            return put_rune(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    return put_rune(out, unit >= 0xd800 && unit < 0xe000 ? REPLACEMENT : unit);
}

static int read_escape(struct bytes *rest, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (!rest->len)
        return -EBADMSG;
    uint8_t c = *rest->ptr;
    *rest = bytes_skip(*rest, 1);
    if (c == 'u')
        return read_rune(rest, out);
    const char *name = c ? strchr(names, c) : NULL;
    return name ? buf_append(out, &values[name - names], 1) : -EBADMSG;
}

/* Bytes up to a quote, a backslash or what may not be in a string. */
static size_t measure_plain(struct bytes rest, bool *ret_is_ascii)
{
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] >= 0x20 && rest.ptr[len] != '"' && rest.ptr[len] != '\\') {
        *ret_is_ascii &= rest.ptr[len] < 0x80;
        len++;
    }
    return len;
}

static int read_escaped(struct bytes *rest, struct buf *storage, bool *ret_is_ascii)
{
    int err = 0;
    while (!err && rest->len && *rest->ptr != '"') {
        size_t len = measure_plain(*rest, ret_is_ascii);
        err = buf_append(storage, rest->ptr, len);
        *rest = bytes_skip(*rest, len);
        if (err || !rest->len || *rest->ptr == '"')
            break;
        if (*rest->ptr != '\\')
            return -EBADMSG;
        *rest = bytes_skip(*rest, 1);
        err = read_escape(rest, storage);
    }
    return err;
}

int json_read_string(struct bytes *rest, struct buf *storage, struct bytes *ret_text)
{
    bool is_ascii = true;
    int err = json_read_take(rest, '"');
    if (err < 0)
        return err;
    struct bytes text = {rest->ptr, measure_plain(*rest, &is_ascii)};
    if (text.len < rest->len && rest->ptr[text.len] == '"') {
        *rest = bytes_skip(*rest, text.len + 1);
    } else {
        buf_clear(storage);
        if ((err = read_escaped(rest, storage, &is_ascii)) < 0 || (err = json_read_take(rest, '"')) < 0)
            return err;
        text = buf_bytes(storage);
    }
    if (!is_ascii && !utf8_is_valid(text))
        return -EBADMSG;
    *ret_text = text;
    return 0;
}

/* Numbers and words */

static size_t measure_digits(struct bytes text, size_t from)
{
    size_t at = from;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at - from;
}

/* The length of the number that the text begins with; 0: none. */
static size_t measure_number(struct bytes text)
{
    size_t at = text.len && text.ptr[0] == '-', digits = measure_digits(text, at);
    if (!digits || (digits > 1 && text.ptr[at] == '0'))
        return 0;
    at += digits;
    if (at < text.len && text.ptr[at] == '.') {
        if (!(digits = measure_digits(text, at + 1)))
            return 0;
        at += 1 + digits;
    }
    if (at < text.len && (text.ptr[at] | 0x20) == 'e') {
        at++;
        at += at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
        if (!(digits = measure_digits(text, at)))
            return 0;
        at += digits;
    }
    return at;
}

int json_read_number(struct bytes *rest, struct bytes *ret_text)
{
    json_read_peek(rest);
    size_t len = measure_number(*rest);
    if (!len)
        return -EBADMSG;
    *ret_text = (struct bytes){rest->ptr, len};
    *rest = bytes_skip(*rest, len);
    return 0;
}

bool json_read_word(struct bytes *rest, const char *word)
{
    size_t len = strlen(word);
    json_read_peek(rest);
    if (rest->len < len || memcmp(rest->ptr, word, len) != 0)
        return false;
    *rest = bytes_skip(*rest, len);
    return true;
}

/* A fraction or an exponent that comes to an integer, exactly as far as a double holds it. */
static int read_float_int(struct bytes text, bool is_signed, uint64_t *ret_value)
{
    double value;
    if (json_read_double(text, &value) < 0 || value != floor(value))
        return -EBADMSG;
    if (value < (is_signed ? -0x1p63 : 0) || value >= (is_signed ? 0x1p63 : 0x1p64))
        return -EBADMSG;
    *ret_value = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
    return 0;
}

int json_read_int(struct bytes text, bool is_signed, uint64_t *ret_value)
{
    bool is_negative = text.len && text.ptr[0] == '-';
    uint64_t value = 0, most = is_signed ? (uint64_t)INT64_MAX + is_negative : UINT64_MAX;
    size_t len = measure_number(text);
    if (!len || len != text.len)
        return -EBADMSG;
    if (is_negative + measure_digits(text, is_negative) < len)
        return read_float_int(text, is_signed, ret_value);
    for (size_t i = is_negative; i < len; i++) {
        unsigned digit = (unsigned)text.ptr[i] - '0';
        if (value > (most - digit) / 10)
            return -EBADMSG;
        value = value * 10 + digit;
    }
    if (is_negative && !is_signed && value)
        return -EBADMSG;
    *ret_value = is_negative ? 0 - value : value;
    return 0;
}

int json_read_double(struct bytes text, double *ret_value)
{
    char copy[NUMBER_MAX + 1];
    if (bytes_equal(text, bytes_of_string("NaN")))
        return *ret_value = (double)NAN, 0;
    if (bytes_equal(text, bytes_of_string("Infinity")))
        return *ret_value = (double)INFINITY, 0;
    if (bytes_equal(text, bytes_of_string("-Infinity")))
        return *ret_value = -(double)INFINITY, 0;
    if (!text.len || text.len > NUMBER_MAX || measure_number(text) != text.len)
        return -EBADMSG;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_value = strtod(copy, NULL);
    return isfinite(*ret_value) ? 0 : -EBADMSG;
}
