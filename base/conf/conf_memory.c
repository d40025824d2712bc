#include "base/conf/conf_memory.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/conf/conf.h"

enum { CHUNK_MIN = 4096 };

struct chunk {
    struct chunk *next;
    size_t size, used; /* of the room that follows the head */
    alignas(max_align_t) unsigned char room[];
};

struct conf_memory {
    struct chunk *chunks; /* owned; the newest first */
    size_t total;
};

struct conf_memory *conf_memory_new(void)
{
    return calloc(1, sizeof(struct conf_memory));
}

static struct chunk *add_chunk(struct conf_memory *memory, size_t least)
{
    size_t size = least > CHUNK_MIN ? least : CHUNK_MIN;
    if (size > CONF_MEMORY_MAX - memory->total)
        return NULL;
    struct chunk *chunk = calloc(1, sizeof *chunk + size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->next = memory->chunks;
    memory->chunks = chunk;
    memory->total += size;
    return chunk;
}

void *conf_memory_alloc(struct conf_memory *memory, size_t size)
{
    if (size > CONF_MEMORY_MAX)
        return NULL;
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct chunk *chunk = memory->chunks;
    if (!chunk || size > chunk->size - chunk->used)
        chunk = add_chunk(memory, size);
    if (!chunk)
        return NULL;
    void *room = chunk->room + chunk->used;
    chunk->used += size;
    return room;
}

char *conf_memory_copy(struct conf_memory *memory, struct bytes text)
{
    if (text.len >= CONF_MEMORY_MAX)
        return NULL;
    char *copy = conf_memory_alloc(memory, text.len + 1);
    if (copy && text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

void conf_free(struct conf_memory *memory)
{
    if (!memory)
        return;
    while (memory->chunks) {
        struct chunk *chunk = memory->chunks;
        memory->chunks = chunk->next;
        free(chunk);
    }
    free(memory);
}
