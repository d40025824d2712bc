#include "proto/text.h"

/* The code point that begins at p (n bytes left, n > 0) and its length; length 0 when it is not UTF-8. */
static uint32_t decode(const uint8_t *p, size_t n, size_t *ret_len)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = p[0];
    size_t len = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    *ret_len = 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t point = len == 1 ? lead : lead & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    if (point < smallest[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_len = len;
    return point;
}

bool text_is_printable(struct bytes text)
{
    while (text.len) {
        size_t len;
        uint32_t point = decode(text.ptr, text.len, &len);
        if (len == 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f))
            return false;
        text = bytes_skip(text, len);
    }
    return true;
}

bool text_is_name(const char *s, size_t max)
{
    struct bytes text = bytes_of_string(s);
    return text.len > 0 && text.len <= max && text_is_printable(text);
}
