#include "node-agent/logs/logtext.h"

#include <errno.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)
enum { WORDS = 8 }; /* looked at together, which compilers turn into vector instructions */

static bool has_high_bit(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word & HIGH_BITS;
}

static size_t ascii_len(const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (uint64_t words[WORDS], any = 0; n + sizeof words <= len; n += sizeof words) {
        memcpy(words, p + n, sizeof words);
        for (int i = 0; i < WORDS; i++)
            any |= words[i];
        if (any & HIGH_BITS)
            break;
    }
    while (n + 8 <= len && !has_high_bit(p + n))
        n += 8;
    if (n + 8 > len && len >= 8 && !has_high_bit(p + len - 8)) /* the last few, with some before them again */
        return len;
    while (n < len && p[n] < 0x80)
        n++;
    return n;
}

static bool is_within(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

/* Length of the character at p when it is valid, else minus the length of the bad part there. */
static int character_len(const uint8_t *p, size_t len)
{
    uint8_t first = p[0], low = 0x80, high = 0xbf;
    int more;
    if (first < 0x80)
        return 1;
    if (is_within(first, 0xc2, 0xdf))
        more = 1;
    else if (is_within(first, 0xe0, 0xef))
        more = 2, low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    else if (is_within(first, 0xf0, 0xf4))
        more = 3, low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    else
        return -1;
    for (int i = 1; i <= more; i++) {
        if ((size_t)i >= len || !is_within(p[i], low, high))
            return -i;
        low = 0x80, high = 0xbf;
    }
    return more + 1;
}

/* Length of the valid run at the start. */
static size_t valid_len(const uint8_t *p, size_t len)
{
    size_t n = 0;
    while (n < len) {
        n += ascii_len(p + n, len - n);
        if (n == len)
            break;
        int c = character_len(p + n, len - n);
        if (c < 0)
            break;
        n += (size_t)c;
    }
    return n;
}

bool logtext_is_utf8(struct bytes text)
{
    return valid_len(text.ptr, text.len) == text.len;
}

int logtext_repair(struct bytes text, struct buf *out)
{
    while (text.len) {
        size_t good = valid_len(text.ptr, text.len);
        int err = buf_append(out, text.ptr, good);
        text = bytes_skip(text, good);
        if (err == 0 && text.len) {
            err = buf_append_string(out, "\xef\xbf\xbd");
            text = bytes_skip(text, (size_t)-character_len(text.ptr, text.len));
        }
        if (err < 0)
            return err;
    }
    return 0;
}

size_t logtext_cut_len(struct bytes text, size_t max)
{
    size_t len = max - strlen(LOGTEXT_MARK);
    if (len >= text.len)
        return text.len;
    while (len > 0 && (text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}
