/* otlp_logs.h - ExportLogsServiceRequest to logproto.PushRequest, with Loki's documented default mapping.
 *
 * Sources: opentelemetry-proto v1 logs/v1; Loki's documentation, "Ingesting logs to Loki using OpenTelemetry
 * Collector", format considerations (what its own OTLP endpoint does by default); grafana/loki pkg/push. A
 * small fixed set of resource attributes (service.name, k8s.namespace.name, ...) are the stream's labels;
 * everything else is structured metadata of the line: the log's attributes, observed_timestamp,
 * severity_number, severity_text, dropped_attributes_count, flags, trace_id, span_id, the resource's other
 * attributes, the scope's attributes and scope_name, scope_version, scope_dropped_attributes_count; maps are
 * flattened with `_`. The body is the line. A log without a time has its observed time, without either the
 * time at which the gateway took it. Loki takes at most OTLP_LOGS_LABELS labels: attributes past them are
 * metadata. Lines over OTLP_LOGS_LINE bytes, and those more than a week older than their receipt, are
 * refused, as Loki does by default.
 *
 * The lines are in the order of the logs: one Stream a resource. Nested values are walked with a stack. One
 * thread.
 */
#ifndef GATEWAY_OTLP_LOGS_H
#define GATEWAY_OTLP_LOGS_H

#include "gateway/translate/translate.h"

enum { OTLP_LOGS_LABELS = 15, OTLP_LOGS_LINE = 256 * 1024 };

struct otlp_logs; /* scratch */

/* otlp_logs_new: NULL when memory is out. */
struct otlp_logs *otlp_logs_new(void);
void otlp_logs_free(struct otlp_logs *logs); /* NULL is fine */

/* otlp_logs_release: gives the memory of a large message back. */
void otlp_logs_release(struct otlp_logs *logs);

/* otlp_logs_translate: appends raw to out. received_ns: wall clock, of lines that carry no time. 0, -EBADMSG,
 * -EMSGSIZE, -ENOMEM. */
int otlp_logs_translate(struct otlp_logs *logs, int64_t received_ns, struct bytes raw,
                        struct translated *out);

#endif
