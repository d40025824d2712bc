#include "base/http/http2_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK_BYTES = 16 * 1024 }; /* from here on an allocation is the session's block, if it has none yet */

static void *map_block(struct http2_memory *memory, size_t size)
{
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    memory->block = block;
    memory->block_bytes = size;
    return block;
}

static void *alloc(size_t size, void *ctx)
{
    struct http2_memory *memory = ctx;
    return size >= BLOCK_BYTES && !memory->block ? map_block(memory, size) : malloc(size);
}

static void release(void *ptr, void *ctx)
{
    struct http2_memory *memory = ctx;
    if (!ptr || ptr != memory->block) {
        free(ptr);
        return;
    }
    munmap(memory->block, memory->block_bytes);
    memory->block = NULL;
}

static void *alloc_zeroed(size_t count, size_t size, void *ctx)
{
    (void)ctx;
    return calloc(count, size);
}

static void *resize(void *ptr, size_t size, void *ctx)
{
    struct http2_memory *memory = ctx;
    if (!ptr)
        return alloc(size, ctx);
    if (ptr != memory->block)
        return realloc(ptr, size);
    void *other = malloc(size);
    if (!other)
        return NULL;
    memcpy(other, ptr, size < memory->block_bytes ? size : memory->block_bytes);
    release(ptr, ctx);
    return other;
}

nghttp2_mem http2_memory_calls(struct http2_memory *memory)
{
    return (nghttp2_mem){memory, alloc, release, alloc_zeroed, resize};
}
