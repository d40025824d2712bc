#include "node-agent/host/seen_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

void seen_set_fini(struct seen_set *set)
{
    free(set->slots);
    *set = (struct seen_set){0};
}

void seen_set_clear(struct seen_set *set)
{
    if (set->slots)
        memset(set->slots, 0, set->room * sizeof *set->slots);
    set->count = 0;
}

/* FNV-1a over the words with their NULs; never 0. */
static uint64_t hash_of(const char *const *words)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *words; words++)
        for (const char *c = *words;; c++) {
            hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
            if (!*c)
                break;
        }
    return hash ? hash : 1;
}

static uint64_t *slot_of(const struct seen_set *set, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (set->room - 1);
    while (set->slots[at] && set->slots[at] != hash)
        at = (at + 1) & (set->room - 1);
    return &set->slots[at];
}

static int grow(struct seen_set *set)
{
    struct seen_set larger = {.count = set->count, .room = set->room ? 2 * set->room : FIRST_ROOM};
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i])
            *slot_of(&larger, set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = larger;
    return 0;
}

int seen_set_add(struct seen_set *set, const char *const *words, size_t max)
{
    uint64_t hash = hash_of(words);
    int err = 2 * set->count >= set->room ? grow(set) : 0;
    if (err < 0)
        return err;
    uint64_t *slot = slot_of(set, hash);
    if (*slot)
        return 1;
    if (set->count == max)
        return -E2BIG;
    *slot = hash;
    set->count++;
    return 0;
}
