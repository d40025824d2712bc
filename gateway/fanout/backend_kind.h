/* backend_kind.h - what a backend's configuration says of it: what is spoken, what it takes, how much at
 * once. Pure functions, any thread. */
#ifndef GATEWAY_BACKEND_KIND_H
#define GATEWAY_BACKEND_KIND_H

#include "base/batch.h"
#include "gateway/config.h"
#include "gateway/fanout/verdict.h"

/* backend_kind_of: what protocol a backend of the signal speaks: what its URL says. grpc:// and grpcs:// are
 * OTLP over gRPC; a path that ends in /v1/metrics or /v1/logs, and any of traces, OTLP over HTTP; else remote
 * write and Loki's push. Pure. */
enum backend_kind backend_kind_of(const struct gateway_backend_config *config, enum telemetry signal);

/* backend_kind_formats: the formats that the backend takes (a bit set of enum batch_format): what `takes`
 * says, or all that its kind can. Pure. */
uint32_t backend_kind_formats(const struct gateway_backend_config *config, enum telemetry signal);

/* backend_kind_limit: decoded bytes that a joined request may have. Pure. */
uint64_t backend_kind_limit(const struct gateway_backend_config *config, enum telemetry signal);

#endif
