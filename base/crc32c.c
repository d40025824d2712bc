#include "base/crc32c.h"

#include <pthread.h>

enum { POLYNOMIAL = 0x82f63b78 }; /* reflected */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL : 0);
        table[i] = crc;
    }
}

static uint32_t update_table(uint32_t crc, struct bytes b)
{
    pthread_once(&table_once, fill_table);
    for (size_t i = 0; i < b.len; i++)
        crc = crc >> 8 ^ table[(crc ^ b.ptr[i]) & 0xff];
    return crc;
}

#ifdef __x86_64__
enum {
    STRIDE = 4096
}; /* bytes of each of three runs; the instruction takes 3 cycles and can begin one a cycle */

static uint32_t skip[4][256]; /* by byte of a checksum: what it is after STRIDE bytes of zero */
static pthread_once_t skip_once = PTHREAD_ONCE_INIT;

static void fill_skip(void)
{
    static const uint8_t zeros[STRIDE];
    for (uint32_t byte = 0; byte < 4; byte++)
        for (uint32_t value = 0; value < 256; value++)
            skip[byte][value] = update_table(value << 8 * byte, (struct bytes){zeros, STRIDE});
}

/* The operation is linear over GF(2), so the bytes of the checksum can be taken one by one. */
static uint64_t skip_stride(uint64_t crc)
{
    return skip[0][crc & 0xff] ^ skip[1][crc >> 8 & 0xff] ^ skip[2][crc >> 16 & 0xff] ^
           skip[3][crc >> 24 & 0xff];
}

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc, struct bytes b)
{
    uint64_t wide = crc;
    for (; b.len >= 3 * STRIDE; b = bytes_skip(b, 3 * STRIDE)) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < STRIDE; i += 8) {
            wide = __builtin_ia32_crc32di(wide, word_at(b.ptr + i));
            second = __builtin_ia32_crc32di(second, word_at(b.ptr + STRIDE + i));
            third = __builtin_ia32_crc32di(third, word_at(b.ptr + 2 * STRIDE + i));
        }
        wide = skip_stride(skip_stride(wide) ^ second) ^ third;
    }
    for (; b.len >= 8; b = bytes_skip(b, 8))
        wide = __builtin_ia32_crc32di(wide, word_at(b.ptr));
    crc = (uint32_t)wide;
    for (size_t i = 0; i < b.len; i++)
        crc = __builtin_ia32_crc32qi(crc, b.ptr[i]);
    return crc;
}
#endif

uint32_t crc32c(struct bytes bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        pthread_once(&skip_once, fill_skip);
        return ~update_sse42(~0u, bytes);
    }
#endif
    return ~update_table(~0u, bytes);
}
