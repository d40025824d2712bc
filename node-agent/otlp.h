/* otlp.h - receives OTLP over gRPC and HTTP and answers each request only when a gateway committed it.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/ (OTLP/gRPC; OTLP/HTTP in binary protobuf). POST
 * /v1/traces, /v1/metrics, /v1/logs and the three services' Export on config->otlp.listen_http and listen_grpc
 * alike. A request is checked
 * by its outer levels, then waits with its bytes as received, plus config->labels as resource attributes;
 * ship's lane of its signal seals what waits into one batch. What waits and what is in flight together stay
 * under config->queue.traces_bytes: past it 503 with Retry-After, or UNAVAILABLE with RetryInfo (a single
 * request larger than that: 413, RESOURCE_EXHAUSTED). Loop thread only. The life of a request: otlp_lane.h.
 */
#ifndef NODE_AGENT_OTLP_H
#define NODE_AGENT_OTLP_H

#include <uv.h>

#include "base/stats.h"
#include "node-agent/config.h"
#include "node-agent/ship.h"

struct otlp;

/* otlp_new: listens. loop, config and stats are borrowed for otlp's life. 0 with *ret_otlp, or a negative
 * errno (bind, listen, labels). */
int otlp_new(uv_loop_t *loop, const struct agent_config *config, struct stats *stats, struct otlp **ret_otlp);

/* otlp_source: the record for ship_new, as its source of the signal. */
struct ship_source otlp_source(struct otlp *otlp, enum telemetry signal);

/* otlp_set_ship: whom to wake when a request waits; borrowed. Until then requests only wait. */
void otlp_set_ship(struct otlp *otlp, struct ship *ship);

/* otlp_port, otlp_grpc_port: where it listens (when port 0 was configured). */
int otlp_port(const struct otlp *otlp);
int otlp_grpc_port(const struct otlp *otlp);

/* otlp_stop: takes no further connections; requests that wait are still sealed and answered. */
void otlp_stop(struct otlp *otlp);

/* otlp_close: after ship_close, or with the lane drained. Requests still waiting end with their connections;
 * frees asynchronously on the loop. NULL is fine. */
void otlp_close(struct otlp *otlp);

#endif
