/* otlp_lane.h - the OTLP requests of one signal from their arrival to their answer. Internal to otlp*.c.
 *
 *   WAITING --seal--> SEALED --committed--> answered 200     refused --> answered 400
 *      | ack_timeout      | ack_timeout
 *      v                  v
 *   withdrawn, 503     not yet sent: the batch is withdrawn, 503; sent: 503, and a repeat by the client is
 *                      possible (counted in tributary_agent_otlp_possible_repeats_total)
 *
 * A request whose connection is gone stays in its batch. What all lanes hold together stays under
 * config->queue.traces_bytes. Loop thread only.
 */
#ifndef NODE_AGENT_OTLP_LANE_H
#define NODE_AGENT_OTLP_LANE_H

#include "node-agent/otlp_queue.h"
#include "node-agent/ship.h"

struct otlp_lane {
    struct otlp *otlp; /* borrowed, as all but the lists */
    enum telemetry signal;
    struct otlp_queue queue;   /* not yet sealed, oldest first */
    struct otlp_queue sealed;  /* of the batch that ship holds, oldest first */
    const struct batch *batch; /* borrowed from ship; NULL when it holds none */
    size_t held_bytes;         /* raw bytes of both lists */
    struct stats_cell *records, *queue_bytes, *possible_repeats;
};

struct otlp {
    uv_loop_t *loop;
    const struct agent_config *config; /* borrowed */
    struct stats *stats;               /* borrowed */
    struct ship *ship;                 /* borrowed; NULL until otlp_set_ship */
    struct http_server *http, *grpc;   /* owned; grpc may be NULL */
    uv_timer_t timer;                  /* the earliest deadline */
    struct buf labels;                 /* config->labels as resource attributes */
    struct otlp_lane lanes[TELEMETRY_COUNT];
    size_t held_bytes; /* of all lanes */
};

/* otlp_lane_init: nothing waits. */
void otlp_lane_init(struct otlp_lane *lane, struct otlp *otlp, enum telemetry signal);

/* otlp_lane_free: forgets all requests without an answer. */
void otlp_lane_free(struct otlp_lane *lane);

/* otlp_lane_room: bytes that may still wait. */
size_t otlp_lane_room(const struct otlp *otlp);

/* otlp_lane_add: the request waits with its bytes (the lane becomes their owner, whatever happens). 0, or
 * -ENOMEM. */
int otlp_lane_add(struct otlp_lane *lane, struct http_request *request, uint8_t *bytes, size_t len,
                  const struct otlp_count *count);

/* otlp_lane_source: the record for ship. */
struct ship_source otlp_lane_source(struct otlp_lane *lane);

/* otlp_lane_expire: answers what waits too long. */
void otlp_lane_expire(struct otlp_lane *lane, int64_t now_ms);

/* otlp_lane_due: the earliest deadline of uv_now, INT64_MAX when there is none. */
int64_t otlp_lane_due(const struct otlp_lane *lane);

/* otlp_arm: the timer is set to the earliest deadline of all lanes. */
void otlp_arm(struct otlp *otlp);

#endif
