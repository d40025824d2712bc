/* otlp_metrics.h - ExportMetricsServiceRequest to prometheus.WriteRequest.
 *
 * Sources: opentelemetry-proto v1 metrics/v1; the OpenTelemetry specification, "Prometheus and OpenMetrics
 * Compatibility", sections "OTLP Metric points to Prometheus", "Metric Attributes", "Resource Attributes" and
 * "Instrumentation Scope"; prometheus/prompb/types.proto (native histograms). A gauge and a sum become one
 * series a point (a monotonic sum with _total), a histogram _bucket, _count and _sum, a summary its
 * quantiles, _count and _sum, an exponential histogram one native histogram. service.namespace/service.name
 * is `job`, service.instance.id `instance`; the resource's other attributes are labels of target_info; the
 * scope is otel_scope_*. A point whose flags say "no recorded value" is a staleness marker.
 *
 * Every sample is a TimeSeries of its own, in order of time, so that no series goes back within the message.
 * Of the point's nesting only what the specification names is walked, each level by its own loop. One thread.
 */
#ifndef GATEWAY_OTLP_METRICS_H
#define GATEWAY_OTLP_METRICS_H

#include "gateway/translate/translate.h"

struct otlp_metrics; /* scratch */

/* otlp_metrics_new: NULL when memory is out. */
struct otlp_metrics *otlp_metrics_new(void);
void otlp_metrics_free(struct otlp_metrics *metrics); /* NULL is fine */

/* otlp_metrics_release: gives the memory of a large message back. */
void otlp_metrics_release(struct otlp_metrics *metrics);

/* otlp_metrics_translate: appends raw to out. delta (NULL: deltas are refused) has begun its row. 0,
 * -EBADMSG, -EMSGSIZE, -ENOMEM. */
int otlp_metrics_translate(struct otlp_metrics *metrics, const struct gateway_backend_otlp *options,
                           struct otlp_delta *delta, struct bytes raw, struct translated *out);

#endif
