#include "node-agent/scrape/constant_memory.h"

#include <link.h>
#include <stddef.h>

/* The first object is the program itself. Its segments come in the order of their addresses; those that
 * cannot be written stand before those that can. */
static int look_at(struct dl_phdr_info *object, size_t size, void *ctx)
{
    struct constant_memory *memory = ctx;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        if (segment->p_flags & PF_W)
            break;
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        if (memory->size == 0)
            memory->begin = begin;
        memory->size = begin + segment->p_memsz - memory->begin;
    }
    return 1;
}

struct constant_memory constant_memory_find(void)
{
    struct constant_memory memory = {0, 0};
    dl_iterate_phdr(look_at, &memory);
    return memory;
}
