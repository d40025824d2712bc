#include "node-agent/host/text.h"

#include <errno.h>
#include <stdlib.h>

enum { SAFE_DIGITS = 19 }; /* that many do not overflow */

bool text_line(struct bytes *rest, struct bytes *ret_line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *ret_line = (struct bytes){rest->ptr, len};
    *rest = bytes_skip(*rest, end ? len + 1 : len);
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool text_field(struct bytes *line, struct bytes *ret_field)
{
    const uint8_t *at = line->ptr, *end = at + line->len;
    while (at < end && is_blank(*at))
        at++;
    const uint8_t *begin = at;
    while (at < end && !is_blank(*at))
        at++;
    if (at == begin)
        return false;
    *ret_field = (struct bytes){begin, (size_t)(at - begin)};
    *line = (struct bytes){at, (size_t)(end - at)};
    return true;
}

size_t text_digits(struct bytes field)
{
    size_t n = 0;
    while (n < field.len && field.ptr[n] >= '0' && field.ptr[n] <= '9')
        n++;
    return n;
}

int text_u64(struct bytes field, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (field.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < field.len; i++) {
        unsigned digit = (unsigned)field.ptr[i] - '0';
        if (digit > 9)
            return -EINVAL;
        if (i < SAFE_DIGITS)
            value = value * 10 + digit;
        else if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

int text_hex(struct bytes field, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (field.len == 0 || field.len > 16)
        return -EINVAL;
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -EINVAL;
        value = value << 4 | (uint64_t)digit;
    }
    *ret_value = value;
    return 0;
}

size_t text_fields(struct bytes line, struct bytes *fields, size_t max)
{
    size_t count = 0;
    while (count < max && text_field(&line, &fields[count]))
        count++;
    return count;
}

int text_double(struct bytes field, double *ret_value)
{
    char copy[64], *end;
    if (field.len == 0 || field.len >= sizeof copy)
        return -EINVAL;
    double value = strtod(text_copy(field, copy, sizeof copy), &end);
    if (end != copy + field.len)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

char *text_copy(struct bytes field, char *storage, size_t size)
{
    size_t len = field.len < size ? field.len : size - 1;
    if (len)
        memcpy(storage, field.ptr, len);
    storage[len] = '\0';
    return storage;
}

bool text_is(struct bytes field, const char *string)
{
    return bytes_equal(field, bytes_of_string(string));
}

bool text_starts(struct bytes field, const char *prefix)
{
    size_t len = strlen(prefix);
    return field.len >= len && memcmp(field.ptr, prefix, len) == 0;
}

bool text_ends(struct bytes field, const char *suffix)
{
    size_t len = strlen(suffix);
    return field.len >= len && memcmp(field.ptr + field.len - len, suffix, len) == 0;
}

bool text_is_caseless(struct bytes field, const char *string)
{
    return field.len == strlen(string) && strncasecmp((const char *)field.ptr, string, field.len) == 0;
}
