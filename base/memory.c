#include "base/memory.h"

#include <malloc.h>

enum { MMAP_BYTES = 16 << 20 };

void memory_init(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, MEMORY_KEEP_BYTES);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
}

void memory_trim(void)
{
    malloc_trim(0);
}
