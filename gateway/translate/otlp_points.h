/* otlp_points.h - the data points of OTLP metrics, read from their bytes into one struct.
 *
 * Source: opentelemetry-proto v1 metrics/v1 (NumberDataPoint, HistogramDataPoint,
 * ExponentialHistogramDataPoint, SummaryDataPoint). Arrays are read into memory of the scratch, packed or
 * not, at most as many as the point's bytes can hold. One thread.
 */
#ifndef GATEWAY_OTLP_POINTS_H
#define GATEWAY_OTLP_POINTS_H

#include "base/buf.h"

enum otlp_metric_kind { /* field numbers of Metric.data */
                        OTLP_NO_KIND = 0,
                        OTLP_GAUGE = 5,
                        OTLP_SUM = 7,
                        OTLP_HISTOGRAM = 9,
                        OTLP_EXPONENTIAL = 10,
                        OTLP_SUMMARY = 11,
};

enum otlp_temporality { OTLP_TEMPORALITY_NONE = 0, OTLP_DELTA = 1, OTLP_CUMULATIVE = 2 };

struct otlp_metric { /* bytes are borrowed */
    struct bytes name, unit, content;
    enum otlp_metric_kind kind;
    enum otlp_temporality temporality; /* as a number that the sender chose */
    bool is_monotonic;
};

struct otlp_point {
    int64_t time_ns;
    bool is_stale, has_value, has_sum;
    double value; /* of a number; of the others: the sum */
    uint64_t count, zero_count;
    double zero_threshold;
    int32_t scale;
    struct bytes positive, negative; /* borrowed: Buckets messages */
    struct buf counts;               /* owned; uint64_t: bucket counts */
    struct buf bounds;               /* owned; double: explicit bounds; of a summary: quantile, value, ... */
    uint32_t attributes;             /* field number of the attributes */
    uint32_t exemplars;              /* ... of the exemplars; 0: it has none */
};

void otlp_point_init(struct otlp_point *point);
void otlp_point_fini(struct otlp_point *point);

/* otlp_metric_read: 0, -EBADMSG. */
int otlp_metric_read(struct bytes bytes, struct otlp_metric *ret_metric);

/* otlp_point_read: a point of the kind. 0, -EBADMSG, errors of buf_reserve. */
int otlp_point_read(enum otlp_metric_kind kind, struct bytes bytes, struct otlp_point *point);

#endif
