/* otlp_delta.h - sums and histograms of delta temporality, cumulated: what Prometheus can use.
 *
 * A row may be translated more than once (a request is built again), so each series keeps its value before
 * the last row that touched it beside the value after it: the same row begins from the former again. A
 * backend has at most one row of an origin under way, so that is enough. The state lives in memory only:
 * after a restart, or another gateway, a series begins anew, which Prometheus sees as a counter's reset.
 * Holds at most memory_bytes; when full, series without a point for an hour go, else new ones are refused.
 * One thread.
 */
#ifndef GATEWAY_OTLP_DELTA_H
#define GATEWAY_OTLP_DELTA_H

#include <stddef.h>
#include <stdint.h>

enum { OTLP_DELTA_MAX_COUNTS = 512 };

struct otlp_delta;

struct otlp_delta_point {
    uint64_t series; /* hash of its labels */
    uint64_t shape;  /* hash of its bounds; another one begins the series anew */
    int64_t time_ns;
    double sum;       /* in: the delta; out: the cumulated value */
    uint64_t *counts; /* likewise; borrowed */
    size_t count;     /* at most OTLP_DELTA_MAX_COUNTS */
};

/* otlp_delta_new: NULL when memory is out. */
struct otlp_delta *otlp_delta_new(size_t memory_bytes);
void otlp_delta_free(struct otlp_delta *delta); /* NULL is fine */

/* otlp_delta_begin: the points that follow are of this row. now_ns: monotonic. */
void otlp_delta_begin(struct otlp_delta *delta, int64_t row_id, int64_t now_ns);

/* otlp_delta_add: cumulates the point in place. 0; -ESTALE: its time is not after its series' last one;
 * -ENOSPC: too many series; -ENOMEM; then the point is as it was. */
int otlp_delta_add(struct otlp_delta *delta, struct otlp_delta_point *point);

/* otlp_delta_series: how many are held. */
size_t otlp_delta_series(const struct otlp_delta *delta);

#endif
