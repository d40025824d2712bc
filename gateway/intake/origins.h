/* origins.h - what the gateway remembers of each origin while it runs: who may commit, when it was heard of,
 * its clock. At most ORIGINS_MAX; past that the one not heard of for longest is forgotten (its agent is told
 * to resume first). Loop thread only.
 */
#ifndef GATEWAY_ORIGINS_H
#define GATEWAY_ORIGINS_H

#include "base/batch.h"
#include "base/stats.h"

enum { ORIGINS_MAX = 8192, ORIGINS_BUCKETS = 4096 };

struct origin {
    struct origin *next;                /* of the bucket */
    char *name;                         /* owned */
    struct boot fence[TELEMETRY_COUNT]; /* the boot whose resume was answered last */
    bool has_fence[TELEMETRY_COUNT];
    int64_t last_seen_ns, clock_skew_ns; /* wall clock; skew: sent minus received */
    int64_t came_ns; /* wall clock: when its logs came from another gateway, or it was heard of first; 0:
                        there is no other gateway */
    uint64_t batches[TELEMETRY_COUNT];
    struct origin_missing {
        uint64_t batches, first, last; /* how many in all; the numbers of those told last */
    } missing[TELEMETRY_COUNT];        /* acknowledged by a buffer that lost them */
    struct stats_cell *skew;           /* borrowed; NULL until a batch came */
};

struct origins {
    struct origin *buckets[ORIGINS_BUCKETS]; /* owned chains */
    size_t count;
};

void origins_fini(struct origins *origins);

/* origins_get: the origin of that name, made when new. NULL when memory is out. */
struct origin *origins_get(struct origins *origins, const char *name);

/* origins_find: NULL when it is not known. */
struct origin *origins_find(const struct origins *origins, const char *name);

/* origins_each: calls fn(ctx, origin) for all. */
void origins_each(const struct origins *origins, void (*fn)(void *ctx, const struct origin *origin),
                  void *ctx);

#endif
