#include "gateway/translate/otlp_delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };
#define IDLE_NS (INT64_C(3600) * 1000000000)

struct series {
    struct series *next;
    uint64_t key, shape;
    int64_t row_id;     /* the last row that touched it */
    uint64_t pass;      /* and the last translation */
    int64_t touched_ns; /* monotonic */
    int64_t before_ns, after_ns;
    double before_sum, after_sum;
    size_t count;
    uint64_t counts[]; /* before, then after */
};

struct otlp_delta {
    size_t memory_bytes, used_bytes, series_count;
    int64_t row_id, now_ns;
    uint64_t pass;
    struct series *buckets[BUCKETS]; /* owned */
};

struct otlp_delta *otlp_delta_new(size_t memory_bytes)
{
    struct otlp_delta *delta = calloc(1, sizeof *delta);
    if (delta)
        delta->memory_bytes = memory_bytes;
    return delta;
}

static size_t size_of(size_t count)
{
    return sizeof(struct series) + 2 * count * sizeof(uint64_t);
}

static void remove_at(struct otlp_delta *delta, struct series **at)
{
    struct series *series = *at;
    *at = series->next;
    delta->used_bytes -= size_of(series->count);
    delta->series_count--;
    free(series);
}

void otlp_delta_free(struct otlp_delta *delta)
{
    if (!delta)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (delta->buckets[i])
            remove_at(delta, &delta->buckets[i]);
    }
    free(delta);
}

void otlp_delta_begin(struct otlp_delta *delta, int64_t row_id, int64_t now_ns)
{
    delta->row_id = row_id;
    delta->now_ns = now_ns;
    delta->pass++;
}

static void remove_idle(struct otlp_delta *delta)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct series **at = &delta->buckets[i]; *at;) {
            if (delta->now_ns - (*at)->touched_ns > IDLE_NS)
                remove_at(delta, at);
            else
                at = &(*at)->next;
        }
    }
}

static struct series **find(struct otlp_delta *delta, uint64_t key)
{
    struct series **at = &delta->buckets[key % BUCKETS];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static int add_series(struct otlp_delta *delta, const struct otlp_delta_point *point,
                      struct series **ret_series)
{
    size_t size = size_of(point->count);
    if (delta->used_bytes + size > delta->memory_bytes)
        remove_idle(delta);
    if (delta->used_bytes + size > delta->memory_bytes)
        return -ENOSPC;
    struct series *series = calloc(1, size);
    if (!series)
        return -ENOMEM;
    series->key = point->series;
    series->shape = point->shape;
    series->count = point->count;
    series->row_id = delta->row_id;
    series->pass = delta->pass;
    struct series **bucket = &delta->buckets[point->series % BUCKETS];
    series->next = *bucket;
    *bucket = series;
    delta->used_bytes += size;
    delta->series_count++;
    *ret_series = series;
    return 0;
}

/* The first point of the series in this translation: the row's own earlier translation is undone, or what it
 * came to becomes the past. */
static void begin_row(struct otlp_delta *delta, struct series *series)
{
    uint64_t *before = series->counts, *after = series->counts + series->count;
    size_t bytes = series->count * sizeof *before;
    if (series->pass == delta->pass)
        return;
    series->pass = delta->pass;
    if (series->row_id == delta->row_id) {
        series->after_sum = series->before_sum;
        series->after_ns = series->before_ns;
        memcpy(after, before, bytes);
    } else {
        series->before_sum = series->after_sum;
        series->before_ns = series->after_ns;
        memcpy(before, after, bytes);
        series->row_id = delta->row_id;
    }
}

int otlp_delta_add(struct otlp_delta *delta, struct otlp_delta_point *point)
{
    struct series **at = find(delta, point->series), *series = *at;
    if (point->count > OTLP_DELTA_MAX_COUNTS)
        return -ENOSPC;
    if (series && (series->shape != point->shape || series->count != point->count)) {
        remove_at(delta, at);
        series = NULL;
    }
    if (!series) {
        int err = add_series(delta, point, &series);
        if (err < 0)
            return err;
    }
    begin_row(delta, series);
    if (point->time_ns <= series->after_ns)
        return -ESTALE;
    uint64_t *after = series->counts + series->count;
    series->touched_ns = delta->now_ns;
    series->after_ns = point->time_ns;
    point->sum = series->after_sum += point->sum;
    for (size_t i = 0; i < point->count; i++)
        point->counts[i] = after[i] += point->counts[i];
    return 0;
}

size_t otlp_delta_series(const struct otlp_delta *delta)
{
    return delta->series_count;
}
