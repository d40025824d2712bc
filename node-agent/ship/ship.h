/* ship.h - brings sealed batches to one gateway, in order, at least once (design: one batch of a signal in
 * flight).
 *
 * Three lanes, one per signal, over one REQ socket per gateway and one context per signal. A lane asks its
 * source to seal the next batch when the answer to the last one is in; a source that has nothing says so and
 * calls ship_wake() later. A batch stays with the lane, under the same number, until a gateway answered it.
 * Loop thread only.
 *
 *   HELLO --resumed--> READY --seal--> SENDING --sent--> WAIT_ACK --committed--> READY
 *     ^                                   |                 |
 *     '------ next gateway, backoff <-----'--- deadline, closed pipe, resume first, draining
 */
#ifndef NODE_AGENT_SHIP_H
#define NODE_AGENT_SHIP_H

#include <uv.h>

#include "base/loop.h"
#include "base/stats.h"
#include "node-agent/config.h"
#include "proto/assignment.h"
#include "proto/wire.h"

struct ship;

/* Under which name batches are numbered: the node's, which one agent at a time may use, or, for an agent that
 * waits for its turn, the node's and this boot's, "NODE/BOOT". */
enum ship_origin { SHIP_OF_NODE, SHIP_OF_BOOT };

/* A source of batches: one per signal. All calls on the loop. */
struct ship_source {
    void *ctx;
    /* seal: the next batch without origin's number (ship sets boot, seq, sent_at, acknowledged_seq). One out
     * of the spool has boot and seq: it keeps them, and is sent after a resume of that boot. 0 with
     * *ret_batch (ship owns it), or -EAGAIN: nothing to send now. */
    int (*seal)(void *ctx, struct batch **ret_batch);
    /* committed: the batch is durable in buffer reply->buffer_id; called before the batch is freed. */
    void (*committed)(void *ctx, const struct batch *batch, const struct wire_reply *reply);
    /* refused: the gateway will never take it (counted by ship); the source goes on without it. */
    void (*refused)(void *ctx, const struct batch *batch, const char *reason);
    /* resumed: a gateway answered resume. handed_over: the former buffer drained all of ours into this one,
     * or had delivered all of it (then no rewind). in_flight: the batch that this lane still has unanswered,
     * or NULL. reply->bulk: see ship_use_bulk. Returns whether ship drops in_flight (its records will be
     * sealed again: logs after a rewind); the number of a dropped batch is not used again. */
    bool (*resumed)(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight);
};

/* What a lane is doing, for health, status and tests. */
enum ship_state { SHIP_HELLO, SHIP_READY, SHIP_SENDING, SHIP_WAIT_ACK, SHIP_BACKOFF, SHIP_DRAINED };

/* ship_new: config, stats and loop are borrowed for ship's life. boot is drawn here. sources[signal] with
 * seal == NULL: that lane is not used. 0 with *ret_ship, or a negative errno. */
int ship_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
             const struct ship_source sources[TELEMETRY_COUNT], enum ship_origin origin,
             struct ship **ret_ship);

/* ship_origin: the name; sources put it on their batches. Borrowed for ship's life. */
const char *ship_origin(const struct ship *ship);

/* ship_use_bulk: the logs' source sends under ship_bulk_origin, too (batch.h): the two are resumed together.
 * Before the loop runs. */
void ship_use_bulk(struct ship *ship);
const char *ship_bulk_origin(const struct ship *ship);

/* ship_ask: asks the gateway anew what it has delivered, if nothing is in flight; the source hears `resumed`.
 */
void ship_ask(struct ship *ship, enum telemetry signal);

/* ship_set_refusals: what the agent refused is told from now on: with each fresh batch of its signal, by
 * itself after a second without one. Borrowed for ship's life. */
struct refusals;
void ship_set_refusals(struct ship *ship, struct refusals *refusals);

/* ship_wake: the source of signal has something to seal. Cheap; call it as often as you like. */
void ship_wake(struct ship *ship, enum telemetry signal);

/* ship_is_idle: whether nothing of the signal is in flight and its gateway has answered resume: a batch
 * sealed now leaves at once. */
bool ship_is_idle(const struct ship *ship, enum telemetry signal);

/* ship_withdraw: whether the lane's batch could be taken back before a byte of it was sent; then it was
 * freed. */
bool ship_withdraw(struct ship *ship, enum telemetry signal, const struct batch *batch);

/* ship_stalled_ms: how long the signal's lane has been neither idle nor seen to get a batch committed: there
 * is no gateway, or it does not take anything. It is seen idle by this call: make it often. */
int64_t ship_stalled_ms(struct ship *ship, enum telemetry signal);

/* ship_batch: what the lane has in flight or is to send; NULL: nothing. Borrowed until the loop runs on. */
const struct batch *ship_batch(const struct ship *ship, enum telemetry signal);

/* ship_give_up: takes the numbered batch that no answer is awaited for out of the lane; the caller owns it
 * and gives it back, under its number, by seal. Never one with sources. only_unsent: only one that no gateway
 * can know. Whether there was one. */
bool ship_give_up(struct ship *ship, enum telemetry signal, bool only_unsent, struct batch **ret_batch);

/* ship_boot: of this start. */
struct boot ship_boot(const struct ship *ship);

enum ship_state ship_state(const struct ship *ship, enum telemetry signal);

/* ship_gateway: address of the gateway in use; "" when none is up. */
const char *ship_gateway(const struct ship *ship);

/* ship_trouble: why the gateway did not take the signal's last batch, in words; "" when it did. Borrowed
 * until the loop runs on. */
const char *ship_trouble(const struct ship *ship, enum telemetry signal);

/* ship_on_assignment: fn is called on the loop with every new assignment (borrowed during the call). */
void ship_on_assignment(struct ship *ship, void (*fn)(void *ctx, const struct assignment *assignment),
                        void *ctx);

/* ship_drain: seals and sends what the sources still have until they answer -EAGAIN and the last answer is
 * in, or timeout_ms has passed; then done(ctx). Called again, the later deadline and done count. */
void ship_drain(struct ship *ship, int64_t timeout_ms, void (*done)(void *ctx), void *ctx);

/* ship_close: no callback after it; frees asynchronously on the loop. NULL is fine. */
void ship_close(struct ship *ship);

#endif
