/* constant_memory.h - whether an address is one of the program's own literals: its content never changes, so
 * that equal addresses are equal contents. Any thread. */
#ifndef NODE_AGENT_CONSTANT_MEMORY_H
#define NODE_AGENT_CONSTANT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct constant_memory {
    uintptr_t begin, size; /* 0, 0: not known */
};

/* constant_memory_find: the program's segments that cannot be written, as the loader placed them
 * (dl_iterate_phdr(3)). */
struct constant_memory constant_memory_find(void);

static inline bool constant_memory_has(const struct constant_memory *memory, const void *address)
{
    return (uintptr_t)address - memory->begin < memory->size;
}

#endif
