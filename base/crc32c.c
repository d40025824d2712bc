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
__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc, struct bytes b)
{
    uint64_t wide = crc;
    for (; b.len >= 8; b = bytes_skip(b, 8)) {
        uint64_t word;
        memcpy(&word, b.ptr, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (size_t i = 0; i < b.len; i++)
        crc = __builtin_ia32_crc32qi(crc, b.ptr[i]);
    return crc;
}
#endif

uint32_t crc32c(struct bytes bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~update_sse42(~0u, bytes);
#endif
    return ~update_table(~0u, bytes);
}
