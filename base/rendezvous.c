#include "base/rendezvous.h"

/* FNV-1a, 64 bit, over the string and its NUL. */
static uint64_t fold(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (uint8_t)*s) * 0x100000001b3u;
    while (*s++);
    return hash;
}

uint64_t rendezvous_weight(const char *key, const char *candidate)
{
    uint64_t hash = fold(fold(0xcbf29ce484222325u, key), candidate);
    /* FNV's high bits hardly depend on the last bytes; MurmurHash3's finalizer spreads them. */
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}
