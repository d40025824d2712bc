/* otlp_lane.h - the OTLP requests of one signal from their arrival to their answer. Internal to otlp*.c.
 *
 *   WAITING --seal--> SEALED --committed--> answered 200     refused --> answered 400
 *      | deadline         | deadline
 *      v                  v
 *   withdrawn, 503     not yet sent: the batch is withdrawn, 503; sent: 503, and a repeat by the client is
 *                      possible (counted in metrics.possible_repeats)
 *
 * The deadline is ack_timeout after the request came, or nine tenths of the time that a gRPC client gives the
 * call (grpc-timeout), where that is shorter: so the client hears that it is to retry, and what was not sent
 * is not delivered beside the repeat. A batch is withdrawn when a request of it has waited for ack_timeout,
 * or when all clients of it are late; one client in a hurry does not take it from the others.
 *
 * Several senders that wait for their answers send again as soon as they have them. So after a batch of
 * several requests the next one is sealed when as many are there as waited then, at the latest after as long
 * as that batch took to be committed and never more than OTLP_GATHER_MS. After a batch of one, nothing waits.
 *
 * A request whose connection is gone stays in its batch; one that was answered when it was queued waits
 * without a deadline. Loop thread only.
 */
#ifndef BASE_OTLP_LANE_H
#define BASE_OTLP_LANE_H

#include "base/http/http_server.h"
#include "base/otlp/otlp_queue.h"
#include "base/otlp/otlp_receiver.h"

enum { OTLP_GATHER_MS = 5, OTLP_GATHER_RAW_BYTES = 1024 * 1024 };

struct otlp_lane {
    struct otlp_receiver *receiver; /* borrowed, as all but the lists */
    enum telemetry signal;
    struct otlp_queue queue;   /* not yet sealed, oldest first */
    struct otlp_queue sealed;  /* of the batch that is out, oldest first */
    const struct batch *batch; /* borrowed; NULL when none is out */
    size_t held_bytes;         /* what both lists wait with */
    int64_t due_ms;            /* of uv_now: no deadline is earlier */
    int64_t sealed_ns;         /* of the monotonic clock: when batch was */
    int64_t gather_until_ms;   /* of uv_now: the next batch waits for company; 0: it does not */
    size_t gather_count;       /* of requests, that it waits for */
    struct stats_cell *records, *queue_bytes, *possible_repeats;
};

struct otlp_receiver {
    uv_loop_t *loop;
    struct otlp_options options;
    struct http_server *http, *grpc; /* owned; grpc may be NULL */
    uv_timer_t timer;                /* the earliest deadline */
    struct buf labels;               /* options.labels as resource attributes */
    uv_timer_t quiet_timer;          /* stopped: looks whether all requests are answered */
    int64_t quiet_until_ms;          /* of uv_now */
    void (*quiet)(void *ctx);
    void *quiet_ctx;
    int handles_open;
    struct otlp_lane lanes[TELEMETRY_COUNT];
    size_t held_bytes; /* of all lanes */
};

/* otlp_lane_init: nothing waits. */
void otlp_lane_init(struct otlp_lane *lane, struct otlp_receiver *receiver, enum telemetry signal);

/* otlp_lane_free: forgets all requests without an answer. */
void otlp_lane_free(struct otlp_lane *lane);

/* otlp_lane_room: bytes that may still wait. A lane that holds nothing may take all that is left. */
size_t otlp_lane_room(const struct otlp_lane *lane);

/* otlp_lane_add: the request waits with its bytes (the lane becomes their owner, whatever happens).
 * unknown_host: its sender, to be named to whom the batch goes; NULL or "": not. 0, -ENOBUFS: no room, or
 * -ENOMEM. */
int otlp_lane_add(struct otlp_lane *lane, struct http_request *request, uint8_t *bytes, size_t len,
                  const struct otlp_count *count, const char *unknown_host);

/* otlp_lane_seal, _end: as otlp_receiver_seal; the batch that is out is over, and its clients are told: with
 * success (status 200), or that failure. */
int otlp_lane_seal(struct otlp_lane *lane, const char *origin, struct batch **ret_batch);
void otlp_lane_end(struct otlp_lane *lane, const struct batch *batch, int status, const char *message);

/* otlp_lane_expire: answers what waits too long, ends the wait for company. */
void otlp_lane_expire(struct otlp_lane *lane, int64_t now_ms);

/* otlp_lane_due: when otlp_lane_expire has something to do, of uv_now, INT64_MAX when there is none. */
int64_t otlp_lane_due(const struct otlp_lane *lane);

/* otlp_lane_refuse: answers a request that is not taken. */
void otlp_lane_refuse(struct otlp_lane *lane, struct http_request *request, int status, const char *message);

/* otlp_lane_accept: answers a request with success. */
void otlp_lane_accept(struct otlp_lane *lane, struct http_request *request);

/* otlp_receiver_arm: the timer is set to the earliest deadline of all lanes. */
void otlp_receiver_arm(struct otlp_receiver *receiver);

#endif
