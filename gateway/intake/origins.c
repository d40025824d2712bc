#include "gateway/intake/origins.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rendezvous.h"

static struct origin **bucket_of(const struct origins *origins, const char *name)
{
    return (struct origin **)&origins->buckets[rendezvous_weight("", name) % ORIGINS_BUCKETS];
}

static void free_origin(struct origin *origin)
{
    free(origin->name);
    free(origin);
}

void origins_fini(struct origins *origins)
{
    for (size_t i = 0; i < ORIGINS_BUCKETS; i++)
        while (origins->buckets[i]) {
            struct origin *next = origins->buckets[i]->next;
            free_origin(origins->buckets[i]);
            origins->buckets[i] = next;
        }
    origins->count = 0;
}

/* A linear search: only somebody who makes up names ever gets here. */
static void forget_oldest(struct origins *origins)
{
    struct origin **oldest = NULL;
    for (size_t i = 0; i < ORIGINS_BUCKETS; i++)
        for (struct origin **at = &origins->buckets[i]; *at; at = &(*at)->next)
            if (!oldest || (*at)->last_seen_ns < (*oldest)->last_seen_ns)
                oldest = at;
    if (!oldest)
        return;
    struct origin *gone = *oldest;
    *oldest = gone->next;
    free_origin(gone);
    origins->count--;
}

struct origin *origins_find(const struct origins *origins, const char *name)
{
    struct origin *at = *bucket_of(origins, name);
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

struct origin *origins_get(struct origins *origins, const char *name)
{
    struct origin *origin = origins_find(origins, name);
    if (origin)
        return origin;
    if (origins->count >= ORIGINS_MAX)
        forget_oldest(origins);
    origin = calloc(1, sizeof *origin);
    if (!origin || !(origin->name = strdup(name))) {
        free(origin);
        return NULL;
    }
    struct origin **bucket = bucket_of(origins, name);
    origin->came_ns = clock_wall_ns();
    origin->next = *bucket;
    *bucket = origin;
    origins->count++;
    return origin;
}

void origins_each(const struct origins *origins, void (*fn)(void *ctx, const struct origin *origin),
                  void *ctx)
{
    for (size_t i = 0; i < ORIGINS_BUCKETS; i++)
        for (const struct origin *at = origins->buckets[i]; at; at = at->next)
            fn(ctx, at);
}
