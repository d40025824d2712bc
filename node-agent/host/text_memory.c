#include "node-agent/host/text_memory.h"

#include <stdlib.h>

enum { MAX_PLACES = 4096 };

void text_memory_fini(struct text_memory *memory)
{
    for (size_t i = 0; i < memory->count; i++)
        free(memory->items[i].name);
    free(memory->items);
    *memory = (struct text_memory){0};
}

void text_memory_put(struct text_memory *memory, size_t place, struct bytes name, int note)
{
    if (place >= MAX_PLACES || place > memory->count || name.len == 0)
        return;
    char *copy = strndup((const char *)name.ptr, name.len);
    if (!copy)
        return;
    if (place == memory->count) {
        struct text_memory_item *items = realloc(memory->items, (place + 1) * sizeof *items);
        if (!items) {
            free(copy);
            return;
        }
        memory->items = items;
        memory->items[memory->count++].name = NULL;
    }
    free(memory->items[place].name);
    memory->items[place] = (struct text_memory_item){copy, name.len, note};
}
