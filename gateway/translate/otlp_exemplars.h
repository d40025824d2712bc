/* otlp_exemplars.h - the exemplars of an OTLP point as those of a remote write TimeSeries.
 *
 * Source: opentelemetry-proto v1 metrics/v1 (Exemplar), prometheus/prompb (Exemplar); OpenTelemetry's metrics
 * data model, "Exemplars" of "Prometheus compatibility": the labels trace_id and span_id in hex, then the
 * filtered attributes, left out where all would have more than the 128 characters that OpenMetrics allows. An
 * exemplar without a value is left out, as is what is nested too deep. What a point may have is bounded by
 * its bytes. One thread.
 */
#ifndef GATEWAY_OTLP_EXEMPLARS_H
#define GATEWAY_OTLP_EXEMPLARS_H

#include "gateway/translate/otlp_labels.h"

struct otlp_exemplars {
    struct buf bytes;          /* owned; encoded fields of a TimeSeries */
    struct buf items;          /* owned; where each begins, its value and time */
    struct buf taken;          /* owned; see otlp_exemplars_take */
    struct otlp_labels labels; /* of the one being written */
    size_t next;               /* not taken yet */
};

void otlp_exemplars_init(struct otlp_exemplars *exemplars);
void otlp_exemplars_fini(struct otlp_exemplars *exemplars);

/* otlp_exemplars_release: gives the memory back. */
void otlp_exemplars_release(struct otlp_exemplars *exemplars);

/* otlp_exemplars_read: forgets the former point's and reads those of point, which are its fields of that
 * number; 0: it has none. 0, -EBADMSG, errors of buf_reserve. */
int otlp_exemplars_read(struct otlp_exemplars *exemplars, struct bytes point, uint32_t number);

/* otlp_exemplars_take: the fields of those that come next and are not above bound, in order of time; borrowed
 * until the next call. 0, errors of buf_reserve. */
int otlp_exemplars_take(struct otlp_exemplars *exemplars, double bound, struct bytes *ret_fields);

#endif
