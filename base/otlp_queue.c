#include "base/otlp_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/snap.h"

void otlp_queue_init(struct otlp_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

void otlp_queue_append(struct otlp_queue *queue, struct otlp_waiting *w)
{
    w->next = NULL;
    *queue->end = w;
    queue->end = &w->next;
}

struct otlp_waiting *otlp_queue_take_first(struct otlp_queue *queue)
{
    struct otlp_waiting *w = queue->first;
    if (w && !(queue->first = w->next))
        queue->end = &queue->first;
    return w;
}

struct otlp_waiting *otlp_queue_first_unanswered(const struct otlp_queue *queue)
{
    struct otlp_waiting *w = queue->first;
    while (w && !w->request)
        w = w->next;
    return w;
}

struct sealing {
    struct buf raw, block;
    struct otlp_count count;
};

static void add_times(struct otlp_count *sum, const struct otlp_count *one)
{
    sum->records += one->records;
    if (one->earliest_ns && (!sum->earliest_ns || one->earliest_ns < sum->earliest_ns))
        sum->earliest_ns = one->earliest_ns;
    if (one->latest_ns > sum->latest_ns)
        sum->latest_ns = one->latest_ns;
}

/* How many raw bytes the next batch takes: whole requests up to the limit, the first one in any case. */
static size_t measure_batch(const struct otlp_queue *queue)
{
    const struct otlp_waiting *w = queue->first;
    size_t len = w->len;
    while ((w = w->next) && len + w->len <= OTLP_BATCH_RAW_BYTES)
        len += w->len;
    return len;
}

/* Concatenated requests are one request: all their top-level fields are repeated ones. */
static int compress(const struct otlp_queue *queue, size_t raw_len, struct sealing *s)
{
    const struct otlp_waiting *first = queue->first;
    int err = 0;
    buf_init(&s->raw, raw_len);
    buf_init(&s->block, raw_len + raw_len / 4 + 1024); /* beyond what snappy may need: 32 + n + n / 6 */
    if (first->len == raw_len)
        return snap_compress((struct bytes){first->bytes, first->len}, &s->block);
    for (const struct otlp_waiting *w = first; !err && s->raw.len < raw_len; w = w->next)
        err = buf_append(&s->raw, w->bytes, w->len);
    return err < 0 ? err : snap_compress(buf_bytes(&s->raw), &s->block);
}

/* The sealed requests move to their list and give up their bytes. */
static void move(struct otlp_queue *queue, struct otlp_queue *sealed, size_t raw_len,
                 struct otlp_count *ret_count)
{
    while (raw_len > 0) {
        struct otlp_waiting *w = otlp_queue_take_first(queue);
        raw_len -= w->len;
        add_times(ret_count, &w->count);
        free(w->bytes);
        w->bytes = NULL;
        otlp_queue_append(sealed, w);
    }
}

static void fill_batch(struct batch *b, enum telemetry signal, size_t raw_len, const struct otlp_count *count,
                       struct buf *block)
{
    static const enum batch_format formats[TELEMETRY_COUNT] = {
        [TELEMETRY_METRICS] = FORMAT_OTLP_METRICS,
        [TELEMETRY_LOGS] = FORMAT_OTLP_LOGS,
        [TELEMETRY_TRACES] = FORMAT_OTLP_TRACES,
    };
    size_t len;
    uint8_t *payload = buf_detach(block, &len);
    uint8_t *exact = realloc(payload, len);
    b->signal = signal;
    b->format = formats[signal];
    b->records = count->records;
    b->raw_bytes = raw_len;
    b->earliest_ns = count->earliest_ns ? count->earliest_ns : clock_wall_ns();
    b->latest_ns = count->latest_ns > b->earliest_ns ? count->latest_ns : b->earliest_ns;
    batch_take_payload(b, exact ? exact : payload, len);
}

int otlp_queue_seal(struct otlp_queue *queue, struct otlp_queue *sealed, enum telemetry signal,
                    const char *origin, struct batch **ret_batch)
{
    struct sealing s = {0};
    if (!queue->first)
        return -EAGAIN;
    size_t raw_len = measure_batch(queue);
    struct batch *b = batch_new(origin);
    int err = b ? compress(queue, raw_len, &s) : -ENOMEM;
    if (err == 0) {
        move(queue, sealed, raw_len, &s.count);
        fill_batch(b, signal, raw_len, &s.count, &s.block);
        *ret_batch = b;
    } else {
        batch_free(b);
    }
    buf_fini(&s.raw);
    buf_fini(&s.block);
    return err;
}
