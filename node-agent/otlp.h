/* otlp.h - receives traces by OTLP/HTTP and answers each request only when a gateway committed it.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/ (OTLP/HTTP, binary protobuf). POST /v1/traces on
 * config->otlp.listen_http. A request is checked by its outer levels (400 with a google.rpc.Status), then
 * waits with its bytes as received, plus config->labels as resource attributes; ship's lane of traces seals
 * what waits into one batch. What waits and what is in flight together stay under config->queue.traces_bytes:
 * past it 503 with Retry-After (a single request larger than that: 413). Loop thread only.
 *
 *   WAITING --seal--> SEALED --committed--> answered 200     refused --> answered 400
 *      | ack_timeout      | ack_timeout
 *      v                  v
 *   withdrawn, 503     not yet sent: the batch is withdrawn, 503; sent: 503, and a repeat by the client is
 *                      possible (counted in tributary_agent_otlp_possible_repeats_total)
 *
 * A request whose connection is gone stays in its batch.
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

/* otlp_source: the record for ship_new, as its source of traces. */
struct ship_source otlp_source(struct otlp *otlp);

/* otlp_set_ship: whom to wake when a request waits; borrowed. Until then requests only wait. */
void otlp_set_ship(struct otlp *otlp, struct ship *ship);

/* otlp_port: where it listens (when port 0 was configured). */
int otlp_port(const struct otlp *otlp);

/* otlp_stop: takes no further connections; requests that wait are still sealed and answered. */
void otlp_stop(struct otlp *otlp);

/* otlp_close: after ship_close, or with the lane drained. Requests still waiting end with their connections;
 * frees asynchronously on the loop. NULL is fine. */
void otlp_close(struct otlp *otlp);

#endif
