#include "gateway/fanout/isolation.h"

static struct isolated *find(struct isolation *isolation, uint64_t origin)
{
    for (size_t i = 0; i < isolation->count; i++) {
        if (isolation->origins[i].origin == origin)
            return &isolation->origins[i];
    }
    return NULL;
}

static struct isolated *make_room(struct isolation *isolation)
{
    if (isolation->count < ISOLATION_MAX)
        return &isolation->origins[isolation->count++];
    struct isolated *first = &isolation->origins[0];
    for (size_t i = 1; i < isolation->count; i++) {
        if (isolation->origins[i].until_ns < first->until_ns)
            first = &isolation->origins[i];
    }
    return first;
}

static struct isolated *get(struct isolation *isolation, uint64_t origin)
{
    struct isolated *entry = find(isolation, origin);
    if (!entry) {
        entry = make_room(isolation);
        *entry = (struct isolated){.origin = origin, .is_suspect = true};
    }
    return entry;
}

void isolation_add(struct isolation *isolation, uint64_t origin, int64_t now_ns)
{
    struct isolated *entry = get(isolation, origin);
    entry->until_ns = now_ns + (int64_t)ISOLATION_S * 1000000000;
    entry->is_suspect = false;
}

void isolation_suspect(struct isolation *isolation, uint64_t origin, int64_t now_ns)
{
    get(isolation, origin)->until_ns = now_ns + (int64_t)ISOLATION_S * 1000000000;
}

void isolation_absolve(struct isolation *isolation, uint64_t origin)
{
    struct isolated *entry = find(isolation, origin);
    if (entry && entry->is_suspect)
        *entry = isolation->origins[--isolation->count];
}

void isolation_rest(struct isolation *isolation, uint64_t origin, int64_t until_ns)
{
    struct isolated *entry = find(isolation, origin);
    if (entry)
        entry->rests_until_ns = until_ns;
}

int64_t isolation_rests_until(struct isolation *isolation, uint64_t origin, int64_t now_ns)
{
    const struct isolated *entry = find(isolation, origin);
    return entry && entry->rests_until_ns > now_ns ? entry->rests_until_ns : 0;
}

bool isolation_has(struct isolation *isolation, uint64_t origin, int64_t now_ns)
{
    struct isolated *entry = find(isolation, origin);
    if (!entry)
        return false;
    if (entry->until_ns > now_ns)
        return true;
    *entry = isolation->origins[--isolation->count];
    return false;
}
