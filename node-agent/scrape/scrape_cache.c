#include "node-agent/scrape/scrape_cache.h"

#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_BUCKETS = 64 };

struct entry {
    struct entry *next; /* of its bucket */
    uint64_t hash;
    int64_t time_ms;      /* of its newest sample, where is_timed */
    uint32_t added, seen; /* rounds */
    uint32_t len;
    bool is_timed;
    uint8_t labels[];
};

struct scrape_cache {
    struct entry **buckets; /* owned; a power of two of them, or none yet */
    size_t bucket_count, count;
    size_t bytes, max_bytes;
    uint64_t seed;
    uint32_t round;
};

struct scrape_cache *scrape_cache_new(size_t max_bytes)
{
    struct scrape_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->max_bytes = max_bytes;
    if (getrandom(&cache->seed, sizeof cache->seed, GRND_NONBLOCK) < 0)
        cache->seed = (uintptr_t)cache; /* before the kernel has randomness: still not a constant */
    return cache;
}

/* Both halves of the product, folded. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_labels(const struct scrape_cache *cache, struct bytes labels)
{
    uint64_t hash = cache->seed ^ labels.len, word;
    const uint8_t *p = labels.ptr;
    size_t left = labels.len;
    for (; left >= sizeof word; p += sizeof word, left -= sizeof word) {
        memcpy(&word, p, sizeof word);
        hash = mix(hash ^ word, UINT64_C(0x9e3779b97f4a7c15) ^ cache->seed);
    }
    word = 0;
    if (left)
        memcpy(&word, p, left);
    return mix(hash ^ word, UINT64_C(0xd6e8feb86659fd93));
}

static size_t entry_bytes(size_t len)
{
    return sizeof(struct entry) + len + 2 * sizeof(void *);
}

static struct entry **bucket_of(const struct scrape_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

/* Doubles the buckets when there are as many entries. */
static bool make_room(struct scrape_cache *cache)
{
    if (cache->count < cache->bucket_count)
        return true;
    struct scrape_cache bigger = {.bucket_count =
                                      cache->bucket_count ? 2 * cache->bucket_count : FIRST_BUCKETS};
    bigger.buckets = calloc(bigger.bucket_count, sizeof *bigger.buckets);
    if (!bigger.buckets)
        return false;
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (struct entry *e = cache->buckets[i], *next; e; e = next) {
            struct entry **bucket = bucket_of(&bigger, e->hash);
            next = e->next;
            e->next = *bucket;
            *bucket = e;
        }
    free(cache->buckets);
    cache->buckets = bigger.buckets;
    cache->bucket_count = bigger.bucket_count;
    return true;
}

static struct entry *find(const struct scrape_cache *cache, uint64_t hash, struct bytes labels)
{
    if (cache->bucket_count == 0)
        return NULL;
    for (struct entry *e = *bucket_of(cache, hash); e; e = e->next)
        if (e->hash == hash && e->len == labels.len && memcmp(e->labels, labels.ptr, labels.len) == 0)
            return e;
    return NULL;
}

static struct entry *add(struct scrape_cache *cache, uint64_t hash, struct bytes labels)
{
    if (labels.len > UINT32_MAX || cache->bytes + entry_bytes(labels.len) > cache->max_bytes ||
        !make_room(cache))
        return NULL;
    struct entry *entry = malloc(sizeof *entry + labels.len);
    if (!entry)
        return NULL;
    struct entry **bucket = bucket_of(cache, hash);
    *entry = (struct entry){.next = *bucket,
                            .hash = hash,
                            .len = (uint32_t)labels.len,
                            .added = cache->round,
                            .seen = cache->round};
    memcpy(entry->labels, labels.ptr, labels.len);
    *bucket = entry;
    cache->count++;
    cache->bytes += entry_bytes(labels.len);
    return entry;
}

void scrape_cache_begin(struct scrape_cache *cache)
{
    cache->round++;
}

/* An entry that is there already. */
static enum scrape_seen judge(const struct scrape_cache *cache, const struct entry *e, bool is_timed,
                              int64_t time_ms)
{
    bool same_time = is_timed && e->is_timed && e->time_ms == time_ms;
    if (e->seen == cache->round)
        return same_time || is_timed != e->is_timed || !is_timed ? SCRAPE_REPEATED : SCRAPE_KNOWN;
    return same_time ? SCRAPE_UNCHANGED : SCRAPE_KNOWN;
}

enum scrape_seen scrape_cache_see(struct scrape_cache *cache, struct bytes labels, bool is_timed,
                                  int64_t time_ms)
{
    uint64_t hash = hash_labels(cache, labels);
    struct entry *entry = find(cache, hash, labels);
    enum scrape_seen seen = entry ? judge(cache, entry, is_timed, time_ms) : SCRAPE_NEW;
    if (!entry)
        entry = add(cache, hash, labels);
    if (!entry || seen == SCRAPE_REPEATED)
        return seen;
    entry->seen = cache->round;
    entry->is_timed = is_timed;
    entry->time_ms = time_ms;
    return seen;
}

/* Takes the entries out that were not seen in this round, or all. */
static void drop(struct scrape_cache *cache, bool all, void (*stale)(void *ctx, struct bytes labels),
                 void *ctx)
{
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (struct entry **at = &cache->buckets[i]; *at;) {
            struct entry *e = *at;
            if (!all && e->seen == cache->round) {
                at = &e->next;
                continue;
            }
            if (!e->is_timed && e->added != cache->round)
                stale(ctx, (struct bytes){e->labels, e->len});
            *at = e->next;
            cache->count--;
            cache->bytes -= entry_bytes(e->len);
            free(e);
        }
}

void scrape_cache_sweep(struct scrape_cache *cache, void (*stale)(void *ctx, struct bytes labels), void *ctx)
{
    drop(cache, false, stale, ctx);
}

void scrape_cache_clear(struct scrape_cache *cache, void (*stale)(void *ctx, struct bytes labels), void *ctx)
{
    drop(cache, true, stale, ctx);
    free(cache->buckets);
    cache->buckets = NULL;
    cache->bucket_count = 0;
}

static void ignore(void *ctx, struct bytes labels)
{
    (void)ctx, (void)labels;
}

void scrape_cache_free(struct scrape_cache *cache)
{
    if (!cache)
        return;
    scrape_cache_clear(cache, ignore, NULL);
    free(cache);
}
