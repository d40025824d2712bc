/* record_source.h - where a record came from, out of its own labels: for who looks for the sender of a bad
 * one. Pure. */
#ifndef GATEWAY_RECORD_SOURCE_H
#define GATEWAY_RECORD_SOURCE_H

#include "gateway/fanout/records.h"

enum { RECORD_SOURCE_MAX = 1025 };

/* record_source: "pod NAMESPACE/POD/CONTAINER" of lines, and of spans by their k8s.* attributes; "target JOB
 * INSTANCE" of samples; of what applications send by its k8s.* attributes, else "service NAME"
 * ("service_name" and "k8s_*" as labels of Loki); "" when no label tells. Cut to fit. */
void record_source(const struct record *record, char storage[RECORD_SOURCE_MAX]);

/* record_source_of: of the first record of a raw message; "" when there is none, or it cannot be read. */
void record_source_of(enum batch_format format, struct bytes raw, char storage[RECORD_SOURCE_MAX]);

#endif
