/* series_queue.c - samples that wait for the gateway, and how they are sealed. */
#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "node-agent/metrics.h"
#include "node-agent/scrape/series_internal.h"

enum {
    BATCH_RAW_BYTES = SERIES_CHUNK_BYTES,
};

struct series_queue {
    const struct agent_config *config;
    struct series_chunk *first, *last; /* owned; oldest first */
    struct batch *sealed;              /* owned; the forward part, when samples that go back went before it */
    size_t bytes;                      /* memory of the chunks and of sealed */
    int64_t top_ms;                    /* latest time sealed so far */
    struct refusals *refusals;         /* borrowed; the producers' */
    struct stats_cell *queue_bytes, *queue_full, *faults[SERIES_FAULTS];
};

static const char *const fault_names[SERIES_FAULTS] = {
    [SERIES_NO_NAME] = "no_name",
    [SERIES_DUPLICATE_LABEL] = "duplicate_label",
    [SERIES_INVALID_UTF8] = "invalid_utf8",
    [SERIES_TOO_MANY_LABELS] = "too_many_labels",
    [SERIES_REPEATED_SAMPLE] = "repeated_sample",
    [SERIES_OUT_OF_BOUNDS] = "out_of_bounds",
    [SERIES_TOO_LARGE] = "too_large",
};

int series_queue_new(const struct agent_config *config, struct stats *stats, struct series_queue **ret_queue)
{
    struct series_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ENOMEM;
    queue->config = config;
    queue->top_ms = INT64_MIN;
    queue->queue_bytes = stats_cell(stats, AGENT_QUEUE_BYTES, "metrics");
    queue->queue_full = stats_cell(stats, AGENT_DROPPED_RECORDS, "metrics", "queue_full");
    for (int i = 0; i < SERIES_FAULTS; i++)
        queue->faults[i] = stats_cell(stats, AGENT_DROPPED_RECORDS, "metrics", fault_names[i]);
    *ret_queue = queue;
    return 0;
}

static void remove_first(struct series_queue *queue)
{
    struct series_chunk *chunk = queue->first;
    queue->first = chunk->next;
    if (!queue->first)
        queue->last = NULL;
    queue->bytes -= series_chunk_footprint(chunk);
    series_chunk_free(chunk);
}

void series_queue_free(struct series_queue *queue)
{
    if (!queue)
        return;
    while (queue->first)
        remove_first(queue);
    batch_free(queue->sealed);
    free(queue);
}

/* Gives back what the chunk reserved but does not use. A realloc that fails leaves it as it was. */
static void trim(struct series_chunk *chunk)
{
    buf_fini(&chunk->labels);
    uint8_t *bytes = realloc(chunk->bytes.ptr, chunk->bytes.len);
    if (bytes) {
        chunk->bytes.ptr = bytes;
        chunk->bytes.cap = chunk->bytes.len;
    }
}

void series_queue_take(struct series_queue *queue, struct series_chunk **chunk)
{
    struct series_chunk *taken = *chunk;
    *chunk = NULL;
    for (int i = 0; i < SERIES_FAULTS; i++)
        stats_add(queue->faults[i], (int64_t)taken->faults[i]);
    if (taken->samples == 0) {
        series_chunk_free(taken);
        return;
    }
    trim(taken);
    taken->next = NULL;
    if (queue->last)
        queue->last->next = taken;
    else
        queue->first = taken;
    queue->last = taken;
    queue->bytes += series_chunk_footprint(taken);
    while (queue->first && queue->bytes > (size_t)queue->config->queue.metrics_bytes) {
        stats_add(queue->queue_full, (int64_t)queue->first->samples);
        remove_first(queue);
    }
    stats_set(queue->queue_bytes, (int64_t)queue->bytes);
}

bool series_queue_is_filling(const struct series_queue *queue)
{
    return queue->bytes > (size_t)queue->config->queue.metrics_bytes / 2;
}

/* ---- sealing ---- */

struct piece { /* a run of one of the chunks to be sealed */
    int64_t time_ms;
    size_t order; /* of arrival */
    struct bytes bytes;
    uint64_t samples;
};

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

/* How many of the oldest chunks fit into one batch (at least one), and how many runs they have. */
static size_t choose(const struct series_queue *queue, size_t *ret_pieces)
{
    size_t chunks = 0, bytes = 0, pieces = 0;
    size_t most = agent_config_batch_bytes(queue->config, TELEMETRY_METRICS, BATCH_RAW_BYTES);
    for (const struct series_chunk *c = queue->first; c; c = c->next) {
        bytes += c->bytes.len;
        if (chunks && bytes > most)
            break;
        pieces += c->run_count;
        chunks++;
    }
    *ret_pieces = pieces;
    return chunks;
}

static void cut(const struct series_queue *queue, size_t chunks, struct piece *pieces)
{
    size_t count = 0;
    for (const struct series_chunk *c = queue->first; chunks > 0; c = c->next, chunks--)
        for (size_t i = 0; i < c->run_count; i++, count++) {
            const struct series_run *run = &c->runs[i];
            pieces[count] = (struct piece){.time_ms = run->time_ms,
                                           .order = count,
                                           .bytes = {c->bytes.ptr + run->begin, run->end - run->begin},
                                           .samples = run->samples};
        }
    qsort(pieces, count, sizeof *pieces, compare_pieces);
}

/* A time that a page made up may not fit into nanoseconds. */
static int64_t ns_of_ms(int64_t ms)
{
    int64_t ns;
    if (__builtin_mul_overflow(ms, INT64_C(1000000), &ns))
        return ms < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

/* The pieces one after the other; a single piece is borrowed as it is. */
static int join(const struct piece *pieces, size_t count, struct buf *storage, struct bytes *ret_raw)
{
    if (count == 1) {
        *ret_raw = pieces[0].bytes;
        return 0;
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].bytes.len;
    storage->max = size;
    int err = buf_reserve(storage, size);
    for (size_t i = 0; i < count && err == 0; i++)
        err = buf_append(storage, pieces[i].bytes.ptr, pieces[i].bytes.len);
    *ret_raw = buf_bytes(storage);
    return err;
}

static int compress(struct bytes raw, struct batch *batch)
{
    struct buf block;
    buf_init(&block, 32 + raw.len + raw.len / 6); /* the most that snappy makes of it */
    int err = snap_compress(raw, &block);
    if (err < 0) {
        buf_fini(&block);
        return err;
    }
    size_t len;
    uint8_t *bytes = buf_detach(&block, &len);
    uint8_t *exact = realloc(bytes, len);
    batch_take_payload(batch, exact ? exact : bytes, len);
    return 0;
}

/* Seals pieces, sorted by time, into one batch; none: NULL. */
static int seal_pieces(const struct series_queue *queue, const struct piece *pieces, size_t count,
                       struct batch **ret_batch)
{
    *ret_batch = NULL;
    if (count == 0)
        return 0;
    struct batch *batch = batch_new(queue->config->node);
    if (!batch)
        return -ENOMEM;
    struct buf storage;
    struct bytes raw;
    buf_init(&storage, 0);
    int err = join(pieces, count, &storage, &raw);
    if (err == 0)
        err = compress(raw, batch);
    buf_fini(&storage);
    if (err < 0) {
        batch_free(batch);
        return err;
    }
    batch->signal = TELEMETRY_METRICS;
    batch->format = FORMAT_REMOTE_WRITE_1;
    batch->raw_bytes = raw.len;
    for (size_t i = 0; i < count; i++)
        batch->records += pieces[i].samples;
    batch->earliest_ns = ns_of_ms(pieces[0].time_ms);
    batch->latest_ns = ns_of_ms(pieces[count - 1].time_ms);
    *ret_batch = batch;
    return 0;
}

/* Seals what goes back behind the latest time sealed so far apart from what goes forward: both or nothing. */
static int seal_both(struct series_queue *queue, const struct piece *pieces, size_t count,
                     struct batch **ret_back, struct batch **ret_forward)
{
    size_t back = 0;
    while (back < count && pieces[back].time_ms < queue->top_ms)
        back++;
    int err = seal_pieces(queue, pieces, back, ret_back);
    if (err < 0)
        return err;
    err = seal_pieces(queue, pieces + back, count - back, ret_forward);
    if (err < 0) {
        batch_free(*ret_back);
        return err;
    }
    if (back < count)
        queue->top_ms = pieces[count - 1].time_ms;
    return 0;
}

static int seal(void *ctx, struct batch **ret_batch)
{
    struct series_queue *queue = ctx;
    struct batch *back = NULL, *forward = queue->sealed;
    if (forward) {
        queue->sealed = NULL;
        queue->bytes -= forward->payload.len;
    } else {
        size_t count, chunks = choose(queue, &count);
        struct piece *pieces = chunks ? calloc(count, sizeof *pieces) : NULL;
        if (!pieces)
            return -EAGAIN;
        cut(queue, chunks, pieces);
        int err = seal_both(queue, pieces, count, &back, &forward);
        free(pieces);
        if (err < 0)
            return -EAGAIN; /* out of memory: the samples stay queued, the next take wakes ship again */
        while (chunks-- > 0)
            remove_first(queue);
        if (back && forward) {
            queue->sealed = forward;
            queue->bytes += forward->payload.len;
        }
    }
    stats_set(queue->queue_bytes, (int64_t)queue->bytes);
    *ret_batch = back ? back : forward;
    return 0;
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    (void)ctx, (void)batch, (void)reply; /* samples are forgotten once sealed */
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    (void)ctx, (void)batch, (void)reason;
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    (void)ctx, (void)reply, (void)handed_over, (void)in_flight;
    return false; /* the batch in flight stays, under its number */
}

void series_queue_set_refusals(struct series_queue *queue, struct refusals *refusals)
{
    queue->refusals = refusals;
}

struct refusals *series_queue_refusals(const struct series_queue *queue)
{
    return queue->refusals;
}

struct ship_source series_queue_source(struct series_queue *queue)
{
    return (struct ship_source){queue, seal, committed, refused, resumed};
}
