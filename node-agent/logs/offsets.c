#include "node-agent/logs/offsets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 256 };

struct claim {
    struct offset *at; /* borrowed from the table; NULL when it was dropped */
    uint64_t end, lines;
};
struct mark {
    uint64_t seq;
    struct claim *claims; /* owned */
    size_t count;
};

struct marks {
    struct mark items[OFFSETS_MAX_MARKS]; /* by seq */
    size_t count, claim_count;
};

struct offsets {
    struct offset **slots; /* owned; a power of two of them */
    size_t slot_count, count;
    struct marks marks[2]; /* of the node's origin, of its bulk origin */
    char buffer_id[OFFSETS_BUFFER_LEN + 1];
};

static size_t hash_of(const char *key)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *key; key++)
        h = (h ^ (uint8_t)*key) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

int offsets_new(struct offsets **ret_offsets)
{
    struct offsets *o = calloc(1, sizeof *o);
    if (!o || !(o->slots = calloc(FIRST_SLOTS, sizeof(struct offset *)))) {
        free(o);
        return -ENOMEM;
    }
    o->slot_count = FIRST_SLOTS;
    *ret_offsets = o;
    return 0;
}

void offsets_free(struct offsets *o)
{
    if (!o)
        return;
    offsets_forget_marks(o);
    for (size_t i = 0; i < o->slot_count; i++) {
        for (struct offset *at = o->slots[i], *next; at; at = next) {
            next = at->next;
            free(at->key);
            free(at);
        }
    }
    free(o->slots);
    free(o);
}

const char *offsets_buffer(const struct offsets *o)
{
    return o->buffer_id;
}

void offsets_set_buffer(struct offsets *o, const char *id)
{
    snprintf(o->buffer_id, sizeof o->buffer_id, "%s", id);
}

size_t offsets_count(const struct offsets *o)
{
    return o->count;
}

struct offset *offsets_find(const struct offsets *o, const char *key)
{
    struct offset *at = o->slots[hash_of(key) & (o->slot_count - 1)];
    while (at && strcmp(at->key, key) != 0)
        at = at->next;
    return at;
}

static void grow(struct offsets *o)
{
    size_t count = o->slot_count * 2;
    struct offset **slots = calloc(count, sizeof(struct offset *));
    if (!slots)
        return; /* longer chains, no harm */
    for (size_t i = 0; i < o->slot_count; i++) {
        for (struct offset *at = o->slots[i], *next; at; at = next) {
            struct offset **slot = &slots[hash_of(at->key) & (count - 1)];
            next = at->next;
            at->next = *slot;
            *slot = at;
        }
    }
    free(o->slots);
    o->slots = slots;
    o->slot_count = count;
}

struct offset *offsets_put(struct offsets *o, const char *key)
{
    struct offset *at = offsets_find(o, key);
    if (at)
        return at;
    at = calloc(1, sizeof *at);
    if (!at || !(at->key = strdup(key))) {
        free(at);
        return NULL;
    }
    if (o->count++ >= o->slot_count)
        grow(o);
    struct offset **slot = &o->slots[hash_of(key) & (o->slot_count - 1)];
    at->next = *slot;
    *slot = at;
    return at;
}

void offsets_each(struct offsets *o, void (*fn)(void *ctx, struct offset *at), void *ctx)
{
    for (size_t i = 0; i < o->slot_count; i++)
        for (struct offset *at = o->slots[i]; at; at = at->next)
            fn(ctx, at);
}

int offsets_commit(struct offsets *o, bool is_bulk, const char *key, uint64_t end, uint64_t lines)
{
    struct offset *at = offsets_put(o, key);
    if (!at)
        return -ENOMEM;
    at->is_bulk = is_bulk;
    if (end > at->committed)
        at->committed = end;
    at->committed_lines += lines;
    return 0;
}

struct counting {
    bool is_bulk;
    size_t count;
};

static void count_open(void *ctx, struct offset *at)
{
    struct counting *counting = ctx;
    counting->count += at->is_bulk == counting->is_bulk && at->committed > at->claimed;
}

struct claiming {
    bool is_bulk;
    struct mark *mark;
};

static void claim(void *ctx, struct offset *at)
{
    struct mark *mark = ((struct claiming *)ctx)->mark;
    if (at->is_bulk != ((struct claiming *)ctx)->is_bulk || at->committed <= at->claimed)
        return;
    mark->claims[mark->count++] = (struct claim){at, at->committed, at->committed_lines};
    at->claimed = at->committed;
}

/* Joins the newer mark into the older one's place: all of both counts with the newer's seq. */
static bool merge(struct mark *older, struct mark *newer)
{
    struct claim *claims = realloc(older->claims, (older->count + newer->count) * sizeof *claims);
    if (!claims)
        return false;
    size_t old = older->count;
    older->claims = claims;
    older->seq = newer->seq;
    for (size_t i = 0; i < newer->count; i++) {
        size_t k = 0;
        while (k < old && claims[k].at != newer->claims[i].at)
            k++;
        claims[k < old ? k : older->count++] = newer->claims[i];
    }
    free(newer->claims);
    return true;
}

/* Halves the number of marks. */
static void merge_neighbours(struct marks *m)
{
    size_t kept = 0;
    m->claim_count = 0;
    for (size_t i = 0; i < m->count; kept++) {
        struct mark mark = m->items[i++];
        if (i < m->count && merge(&mark, &m->items[i]))
            i++;
        m->items[kept] = mark;
        m->claim_count += mark.count;
    }
    m->count = kept;
}

int offsets_checkpoint(struct offsets *o, bool is_bulk, uint64_t seq)
{
    struct marks *m = &o->marks[is_bulk];
    struct mark mark = {.seq = seq};
    struct counting counting = {.is_bulk = is_bulk};
    offsets_each(o, count_open, &counting);
    if (counting.count == 0)
        return 0;
    if (m->count == OFFSETS_MAX_MARKS || (m->count > 1 && m->claim_count > OFFSETS_MAX_CLAIMS))
        merge_neighbours(m);
    if (m->count == OFFSETS_MAX_MARKS || !(mark.claims = calloc(counting.count, sizeof *mark.claims)))
        return -ENOMEM;
    offsets_each(o, claim, &(struct claiming){is_bulk, &mark});
    m->items[m->count++] = mark;
    m->claim_count += mark.count;
    return 0;
}

static void settle(const struct mark *mark)
{
    for (size_t i = 0; i < mark->count; i++) {
        struct claim *c = &mark->claims[i];
        if (c->at && c->end > c->at->delivered) {
            c->at->delivered = c->end;
            c->at->delivered_lines = c->lines;
        }
    }
}

void offsets_deliver(struct offsets *o, bool is_bulk, uint64_t seq)
{
    struct marks *m = &o->marks[is_bulk];
    size_t n = 0;
    for (; n < m->count && m->items[n].seq <= seq; n++) {
        settle(&m->items[n]);
        m->claim_count -= m->items[n].count;
        free(m->items[n].claims);
    }
    m->count -= n;
    memmove(m->items, m->items + n, m->count * sizeof *m->items);
}

bool offsets_is_lost(const struct offsets *o, const char *buffer_id, bool handed_over)
{
    return o->buffer_id[0] && strcmp(o->buffer_id, buffer_id) != 0 && !handed_over;
}

static void unclaim(void *ctx, struct offset *at)
{
    (void)ctx;
    at->claimed = at->delivered;
}

void offsets_forget_marks(struct offsets *o)
{
    for (int bulk = 0; bulk < 2; bulk++) {
        struct marks *m = &o->marks[bulk];
        for (size_t i = 0; i < m->count; i++)
            free(m->items[i].claims);
        m->count = m->claim_count = 0;
    }
    offsets_each(o, unclaim, NULL);
}

static void drop_claims_of(struct mark *mark, const struct offset *at)
{
    for (size_t k = 0; k < mark->count; k++)
        if (mark->claims[k].at == at)
            mark->claims[k].at = NULL;
}

static void drop_claims(struct offsets *o, const struct offset *at)
{
    for (int bulk = 0; bulk < 2; bulk++)
        for (size_t i = 0; i < o->marks[bulk].count; i++)
            drop_claims_of(&o->marks[bulk].items[i], at);
}

static void drop(struct offsets *o, struct offset **link)
{
    struct offset *at = *link;
    drop_claims(o, at);
    *link = at->next;
    o->count--;
    free(at->key);
    free(at);
}

static struct offset **longest_away(struct offsets *o)
{
    struct offset **found = NULL;
    for (size_t i = 0; i < o->slot_count; i++)
        for (struct offset **link = &o->slots[i]; *link; link = &(*link)->next)
            if (!found || (*link)->seen_ns < (*found)->seen_ns)
                found = link;
    return found;
}

void offsets_age(struct offsets *o, const char *key, int64_t seen_ns)
{
    struct offset *at = offsets_find(o, key);
    if (at && seen_ns < at->seen_ns)
        at->seen_ns = seen_ns;
}

void offsets_sweep(struct offsets *o, int64_t now_ns, int64_t away_ns)
{
    for (size_t i = 0; i < o->slot_count; i++) {
        for (struct offset **link = &o->slots[i]; *link;) {
            const struct offset *at = *link;
            if (now_ns - at->seen_ns > away_ns && at->committed <= at->delivered)
                drop(o, link);
            else
                link = &(*link)->next;
        }
    }
    while (o->count > OFFSETS_MAX_FILES)
        drop(o, longest_away(o));
}
