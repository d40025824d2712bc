#include "gateway/fanout/pace.h"

#include <errno.h>
#include <stdlib.h>

void pace_init(struct pace *pace, int64_t rate_bytes, int64_t burst_bytes)
{
    *pace = (struct pace){.rate = (double)rate_bytes, .burst = (double)burst_bytes};
    if (pace->burst < 1)
        pace->burst = 1;
}

void pace_fini(struct pace *pace)
{
    free(pace->buckets);
    *pace = (struct pace){0};
}

uint64_t pace_origin(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3ULL;
    return hash;
}

static void refill(const struct pace *pace, struct pace_bucket *bucket, int64_t now_ns)
{
    bucket->tokens += pace->rate * (double)(now_ns - bucket->at_ns) / 1e9;
    bucket->at_ns = now_ns;
    if (bucket->tokens > pace->burst)
        bucket->tokens = pace->burst;
}

static struct pace_bucket *find(struct pace *pace, uint64_t origin, int64_t now_ns)
{
    for (size_t i = 0; i < pace->count; i++) {
        if (pace->buckets[i].origin == origin) {
            refill(pace, &pace->buckets[i], now_ns);
            return &pace->buckets[i];
        }
    }
    return NULL;
}

int64_t pace_wait(struct pace *pace, uint64_t origin, uint64_t bytes, int64_t now_ns)
{
    if (pace->rate <= 0)
        return 0;
    struct pace_bucket *bucket = find(pace, origin, now_ns);
    double need = (double)bytes < pace->burst ? (double)bytes : pace->burst;
    if (!bucket || bucket->tokens >= need)
        return 0;
    return (int64_t)((need - bucket->tokens) / pace->rate * 1e9) + 1;
}

/* A full bucket says the same as none. */
static void forget_full(struct pace *pace, int64_t now_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < pace->count; i++) {
        refill(pace, &pace->buckets[i], now_ns);
        if (pace->buckets[i].tokens < pace->burst)
            pace->buckets[kept++] = pace->buckets[i];
    }
    pace->count = kept;
}

static struct pace_bucket *add(struct pace *pace, uint64_t origin, int64_t now_ns)
{
    if (pace->count == pace->room)
        forget_full(pace, now_ns);
    if (pace->count == pace->room) {
        size_t room = pace->room ? pace->room * 2 : 64;
        struct pace_bucket *grown = realloc(pace->buckets, room * sizeof *grown);
        if (!grown)
            return NULL;
        pace->buckets = grown;
        pace->room = room;
    }
    struct pace_bucket *bucket = &pace->buckets[pace->count++];
    *bucket = (struct pace_bucket){origin, pace->burst, now_ns};
    return bucket;
}

int pace_charge(struct pace *pace, uint64_t origin, uint64_t bytes, int64_t now_ns)
{
    if (pace->rate <= 0)
        return 0;
    struct pace_bucket *bucket = find(pace, origin, now_ns);
    if (!bucket && !(bucket = add(pace, origin, now_ns)))
        return -ENOMEM;
    bucket->tokens -= (double)bytes;
    return 0;
}
