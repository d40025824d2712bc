#include "base/utf8.h"

/* Length of the ASCII run at p, in whole words. */
static size_t skip_ascii(const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (uint64_t word; n + sizeof word <= len; n += sizeof word) {
        memcpy(&word, p + n, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return n;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the valid character at p, 0 when there is none. The second byte's bounds shut out overlong forms,
 * surrogates and what lies past U+10FFFF. */
static size_t character_size(const uint8_t *p, size_t len)
{
    uint8_t lead = p[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : (lead & 0xf0) == 0xe0        ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 0;
    if (size == 0 || len < size)
        return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_tail(p[i]))
            return 0;
    return size;
}

bool utf8_is_valid(struct bytes text)
{
    size_t at = 0;
    while (at < text.len) {
        at += skip_ascii(text.ptr + at, text.len - at);
        if (at == text.len)
            break;
        size_t size = character_size(text.ptr + at, text.len - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

int utf8_put_valid(struct bytes text, struct buf *out)
{
    int err = 0;
    bool broken = false; /* inside a run of invalid bytes */
    while (text.len && err == 0) {
        size_t size = character_size(text.ptr, text.len);
        if (size)
            err = buf_append(out, text.ptr, size);
        else if (!broken)
            err = buf_append(out, "\xef\xbf\xbd", 3);
        broken = size == 0;
        text = bytes_skip(text, size ? size : 1);
    }
    return err;
}
