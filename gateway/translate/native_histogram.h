/* native_histogram.h - an exponential histogram of OTLP as a native histogram of Prometheus.
 *
 * Sources: opentelemetry-proto v1 metrics/v1 (ExponentialHistogramDataPoint.Buckets), prometheus/prompb
 * types.proto (Histogram), OpenTelemetry specification, Prometheus compatibility, "Exponential Histograms":
 * OTLP's bucket i holds (base^i, base^(i+1)], Prometheus' bucket i (base^(i-1), base^i], so indexes move by
 * one; scales above 8 are merged down to 8, scales below -4 cannot be had. Pure functions, any thread.
 */
#ifndef GATEWAY_NATIVE_HISTOGRAM_H
#define GATEWAY_NATIVE_HISTOGRAM_H

#include "base/buf.h"

struct native_histogram {
    int32_t scale;
    uint64_t count, zero_count;
    double zero_threshold;           /* 0: not given */
    uint64_t sum_bits;               /* of a double; 0 when it was not recorded */
    struct bytes positive, negative; /* OTLP's Buckets messages, borrowed; may be empty */
    bool is_stale;
    int64_t time_ms;
};

/* native_histogram_put: appends the fields of a prometheus Histogram. 0, -ERANGE (scale below -4), -EBADMSG,
 * errors of buf_reserve; on failure out is as it was. */
int native_histogram_put(const struct native_histogram *h, struct buf *out);

#endif
