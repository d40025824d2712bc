#include "base/otlp/otlp_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/pb.h"
#include "base/snap.h"

void otlp_queue_init(struct otlp_queue *queue, size_t batch_raw_bytes)
{
    bool is_limit = batch_raw_bytes && batch_raw_bytes < OTLP_BATCH_RAW_BYTES;
    *queue = (struct otlp_queue){.end = &queue->first,
                                 .batch_raw_bytes = is_limit ? batch_raw_bytes : OTLP_BATCH_RAW_BYTES};
}

void otlp_queue_append(struct otlp_queue *queue, struct otlp_waiting *w)
{
    w->next = NULL;
    *queue->end = w;
    queue->end = &w->next;
    queue->count++;
    queue->raw_bytes += w->raw_len;
}

struct otlp_waiting *otlp_queue_take_first(struct otlp_queue *queue)
{
    struct otlp_waiting *w = queue->first;
    if (!w)
        return NULL;
    if (!(queue->first = w->next))
        queue->end = &queue->first;
    queue->count--;
    queue->raw_bytes -= w->raw_len;
    return w;
}

int64_t otlp_queue_earliest(const struct otlp_queue *queue, bool all)
{
    int64_t earliest_ms = INT64_MAX;
    for (const struct otlp_waiting *w = queue->first; w; w = w->next)
        if ((all || w->request) && w->deadline_ms < earliest_ms)
            earliest_ms = w->deadline_ms;
    return earliest_ms;
}

void otlp_queue_compress(struct otlp_waiting *w)
{
    struct buf block;
    size_t len;
    if (w->is_block || w->len < OTLP_SMALL_BYTES)
        return;
    buf_init(&block, 32 + w->len + w->len / 6); /* the most that snappy makes of it */
    if (snap_compress((struct bytes){w->bytes, w->len}, &block) == 0 && block.len < w->len) {
        uint8_t *bytes = buf_detach(&block, &len), *exact = realloc(bytes, len);
        free(w->bytes);
        w->bytes = exact ? exact : bytes;
        w->len = len;
        w->is_block = true;
    }
    buf_fini(&block);
}

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
    size_t len = w->raw_len;
    while ((w = w->next) && len + w->raw_len <= queue->batch_raw_bytes)
        len += w->raw_len;
    return len;
}

static int append_body(struct bytes block, struct buf *out)
{
    struct bytes body;
    size_t raw_len;
    int err = snap_body(block, &body, &raw_len);
    return err < 0 ? err : buf_append(out, body.ptr, body.len);
}

/* Requests that are not compressed yet, one after the other from w on, as one body; *ret_next is what follows
 * them. */
static int append_run(const struct otlp_waiting *w, size_t raw_left, struct buf *out,
                      const struct otlp_waiting **ret_next)
{
    struct buf raw, block;
    int err = 0;
    buf_init(&raw, raw_left);
    for (; w && !w->is_block && raw.len + w->raw_len <= raw_left && !err; w = w->next)
        err = buf_append(&raw, w->bytes, w->len);
    buf_init(&block, 32 + raw.len + raw.len / 6);
    if (err == 0)
        err = snap_compress(buf_bytes(&raw), &block);
    if (err == 0)
        err = append_body(buf_bytes(&block), out);
    buf_fini(&raw);
    buf_fini(&block);
    *ret_next = w;
    return err;
}

/* The requests that have raw_len bytes together, as one block. */
static int join(const struct otlp_queue *queue, size_t raw_len, struct buf *out)
{
    size_t left = raw_len;
    int err = buf_reserve(out, PB_MAX_VARINT);
    if (err < 0)
        return err;
    out->len = (size_t)(pb_write_varint(out->ptr, raw_len) - out->ptr);
    for (const struct otlp_waiting *w = queue->first, *next; left && !err; w = next) {
        next = w->next;
        if (w->is_block)
            err = append_body((struct bytes){w->bytes, w->len}, out);
        else
            err = append_run(w, left, out, &next);
        for (; w != next; w = w->next)
            left -= w->raw_len;
    }
    return err;
}

/* The sealed requests move to their list and give up their bytes. A batch without room for one more sender
 * goes without. */
static void move(struct otlp_queue *queue, struct otlp_queue *sealed, size_t raw_len, struct batch *b,
                 struct otlp_count *ret_count)
{
    for (size_t at = 0; at < raw_len;) {
        struct otlp_waiting *w = otlp_queue_take_first(queue);
        if (w->unknown_host)
            (void)batch_add_sender(b, w->unknown_host, at, at + w->raw_len);
        at += w->raw_len;
        add_times(ret_count, &w->count);
        free(w->bytes);
        free(w->unknown_host);
        w->bytes = NULL;
        w->unknown_host = NULL;
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
    struct buf block;
    struct otlp_count count = {0};
    if (!queue->first)
        return -EAGAIN;
    size_t raw_len = measure_batch(queue);
    buf_init(&block, raw_len + raw_len / 4 + 1024);
    struct batch *b = batch_new(origin);
    int err = b ? join(queue, raw_len, &block) : -ENOMEM;
    if (err == 0) {
        move(queue, sealed, raw_len, b, &count);
        fill_batch(b, signal, raw_len, &count, &block);
        *ret_batch = b;
    } else {
        batch_free(b);
    }
    buf_fini(&block);
    return err;
}
