/* otlp.h - the agent's OTLP receiver as ship's source of batches, one for each signal.
 *
 * What is received waits in base/otlp/otlp_receiver.h; ship's lanes seal it and tell what became of it. Loop
 * thread only.
 */
#ifndef NODE_AGENT_OTLP_H
#define NODE_AGENT_OTLP_H

#include "base/otlp/otlp_receiver.h"
#include "node-agent/config.h"
#include "node-agent/ship/ship.h"
#include "node-agent/ship/spool.h"
#include "proto/senders.h"

struct otlp;

/* otlp_new: listens. loop, config, stats and senders are borrowed for otlp's life. 0 with *ret_otlp, or a
 * negative errno (bind, listen, labels). */
int otlp_new(uv_loop_t *loop, const struct agent_config *config, struct stats *stats,
             const struct senders *senders, struct otlp **ret_otlp);

/* otlp_source: the record for ship_new, as its source of the signal. */
struct ship_source otlp_source(struct otlp *otlp, enum telemetry signal);

/* otlp_set_ship: whom to wake when a request waits, and the spool before it (NULL: none); borrowed. Until
 * then requests only wait. */
void otlp_set_ship(struct otlp *otlp, struct ship *ship, struct spool *spool);

/* otlp_port, otlp_grpc_port: where it listens (when port 0 was configured). */
int otlp_port(const struct otlp *otlp);
int otlp_grpc_port(const struct otlp *otlp);

/* otlp_stop: as otlp_receiver_stop. */
void otlp_stop(struct otlp *otlp, int64_t most_ms, void (*quiet)(void *ctx), void *ctx);

/* otlp_close: after ship_close, or with the lane drained. Requests still waiting end with their connections.
 * NULL is fine. */
void otlp_close(struct otlp *otlp);

#endif
