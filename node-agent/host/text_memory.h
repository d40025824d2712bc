/* text_memory.h - what was found out about the names of a file that has nearly always the same ones at the
 * same places, so that it need not be found out again. One thread at a time. */
#ifndef NODE_AGENT_TEXT_MEMORY_H
#define NODE_AGENT_TEXT_MEMORY_H

#include "base/bytes.h"

struct text_memory_item {
    char *name; /* owned */
    size_t len;
    int note;
};

struct text_memory {                /* zeroed: empty */
    struct text_memory_item *items; /* owned; by place */
    size_t count;
};

void text_memory_fini(struct text_memory *memory);

/* text_memory_get: the note put for the name at that place. False when another one stood there. */
static inline bool text_memory_get(const struct text_memory *memory, size_t place, struct bytes name,
                                   int *ret_note)
{
    if (place >= memory->count || memory->items[place].len != name.len ||
        memcmp(memory->items[place].name, name.ptr, name.len) != 0)
        return false;
    *ret_note = memory->items[place].note;
    return true;
}

/* text_memory_put: remembers the note of a name of at least one byte; not past 4096 places, or where one
 * before it is not remembered or memory is out. */
void text_memory_put(struct text_memory *memory, size_t place, struct bytes name, int note);

#endif
