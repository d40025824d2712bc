#include "node-agent/ship/ship_lane.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/refusals.h"

enum { BUSY_MIN_MS = 20, BUSY_MAX_MS = 30000, HEAD_BYTES = 4 * 1024 * 1024 };
#define REPORT_WAIT_NS INT64_C(1000000000)

/* ---- states: the one place that changes them, with the timer that each one has */

static void on_timer(uv_timer_t *timer);

void lane_enter(struct lane *lane, enum ship_state state, int64_t timeout_ms)
{
    if (lane->state != state)
        log_debug("ship: lane changes its state", "signal=%s from=%d to=%d", telemetry_name(lane->signal),
                  (int)lane->state, (int)state);
    lane->state = state;
    if (timeout_ms > 0)
        uv_timer_start(&lane->timer, on_timer, (uint64_t)timeout_ms, 0);
    else
        uv_timer_stop(&lane->timer);
}

void lane_back_off(struct lane *lane, int64_t wait_ms)
{
    wait_ms = wait_ms < BUSY_MIN_MS ? BUSY_MIN_MS : wait_ms > BUSY_MAX_MS ? BUSY_MAX_MS : wait_ms;
    lane_enter(lane, SHIP_BACKOFF, wait_ms);
}

void lane_note_trouble(struct lane *lane, const char *what, const char *reason)
{
    snprintf(lane->trouble, sizeof lane->trouble, "%s%s%s", what, reason[0] ? ": " : "", reason);
}

static void on_timer(uv_timer_t *timer)
{
    struct lane *lane = timer->data;
    if (lane->state == SHIP_BACKOFF) {
        lane_forget_greeting(lane);
        lane_enter(lane, lane->is_resumed ? SHIP_READY : SHIP_HELLO, 0);
        lane_advance(lane);
    } else
        ship_leave(lane->ship, "deadline");
}

void lane_free_batch(struct lane *lane)
{
    batch_free(lane->batch);
    lane->batch = NULL;
    lane->was_sent = false;
}

/* It does not go out; what it was to tell does, with another one. */
void lane_drop_batch(struct lane *lane)
{
    refusals_take_back(ship_refusals(lane->ship), lane->batch);
    lane_free_batch(lane);
}

/* ---- sending */

static int64_t deadline_ms(const struct lane *lane)
{
    return ship_config(lane->ship)->gateway.ack_deadline_ms;
}

/* Hands a frame to the link; what cannot be sent now is tried again when the channel or the link comes back.
 */
static bool request(struct lane *lane, int encode_error, struct buf *head, struct bytes payload)
{
    struct link *link = ship_link(lane->ship);
    int err = encode_error;
    if (err == 0)
        err = link_request(link, (int)lane->signal, buf_bytes(head), payload);
    buf_fini(head);
    if (err < 0 && err != -EAGAIN)
        lane_back_off(lane, LANE_UNCLEAR_WAIT_MS);
    return err == 0;
}

bool lane_is_own(const struct lane *lane, struct boot boot)
{
    return boot_compare(boot, ship_boot(lane->ship)) == 0;
}

enum lane_side lane_side_of(const struct lane *lane, const struct batch *batch)
{
    return lane->has_bulk && !strcmp(batch->origin, ship_bulk_origin(lane->ship)) ? SIDE_BULK : SIDE_OWN;
}

void lane_forget_greeting(struct lane *lane)
{
    wire_resume_reply_fini(&lane->greeting);
    lane->greeting = (struct wire_resume_reply){0};
    lane->has_greeted = false;
}

/* A gateway that drains is asked of the origin that it has said nothing of yet. */
static enum lane_side next_side(const struct lane *lane)
{
    bool is_drained = lane->sides[SIDE_OWN].is_told && !lane->sides[SIDE_BULK].is_told;
    return lane->has_bulk && (lane->has_greeted || is_drained) ? SIDE_BULK : SIDE_OWN;
}

/* A gateway is greeted as this boot first, by each origin, then as the boot whose batch is to be sent. */
static void send_resume(struct lane *lane)
{
    struct link *link = ship_link(lane->ship);
    bool is_for_batch = lane->is_resumed && lane->batch && !lane_is_own(lane, lane->batch->boot);
    enum lane_side side = is_for_batch ? SIDE_OWN : next_side(lane);
    struct boot boot = is_for_batch ? lane->batch->boot : ship_boot(lane->ship);
    struct wire_resume resume = {
        .boot = boot, .signal = lane->signal, .is_only_gateway = ship_has_one_gateway(lane->ship)};
    struct buf head;
    if (lane->is_asking || !link || !link_can_take(link, (int)lane->signal))
        return;
    snprintf(resume.origin, sizeof resume.origin, "%s",
             side == SIDE_BULK ? ship_bulk_origin(lane->ship) : ship_origin(lane->ship));
    snprintf(resume.buffer_id, sizeof resume.buffer_id, "%s", lane->buffer_id);
    buf_init(&head, HEAD_BYTES);
    int err = wire_encode_resume(&resume, &head);
    if (!request(lane, err, &head, (struct bytes){0}))
        return;
    lane->is_asking = true;
    lane->asked = boot;
    lane->asked_side = side;
    lane_enter(lane, SHIP_HELLO, deadline_ms(lane));
}

/* A batch that only tells what was refused: not more than one a second. */
static struct batch *make_report(struct lane *lane)
{
    int64_t now = clock_mono_ns();
    if (now - lane->told_ns < REPORT_WAIT_NS && !ship_is_draining(lane->ship))
        return NULL;
    struct batch *batch = refusals_report(ship_refusals(lane->ship), ship_origin(lane->ship), lane->signal);
    lane->told_ns = batch ? now : lane->told_ns;
    return batch;
}

static bool seal(struct lane *lane)
{
    if (lane->source.seal(lane->source.ctx, &lane->batch) < 0 && !(lane->batch = make_report(lane))) {
        if (ship_is_draining(lane->ship)) {
            lane_enter(lane, SHIP_DRAINED, 0);
            ship_lane_finished(lane->ship);
        }
        return false;
    }
    lane->sealed_ns = clock_mono_ns();
    if (lane->batch->seq) /* out of the spool, where it has its number */
        return true;
    lane->batch->signal = lane->signal;
    if (!batch_is_report(lane->batch))
        refusals_attach(ship_refusals(lane->ship), lane->batch);
    lane->batch->boot = ship_boot(lane->ship);
    lane->batch->seq = ++lane->sides[lane_side_of(lane, lane->batch)].seq;
    stats_add(lane->cells.sealed_batches, 1);
    stats_add(lane->cells.sealed_records, (int64_t)lane->batch->records);
    return true;
}

static void send_batch(struct lane *lane)
{
    struct link *link = ship_link(lane->ship);
    struct buf head;
    if (!link || !link_can_take(link, (int)lane->signal))
        return;
    const struct side *side = &lane->sides[lane_side_of(lane, lane->batch)];
    if (boot_compare(lane->batch->boot, side->admitted) != 0) {
        lane_enter(lane, SHIP_HELLO, 0);
        send_resume(lane);
        return;
    }
    lane->batch->sent_at_ns = clock_wall_ns();
    lane->batch->acknowledged_seq = lane_is_own(lane, lane->batch->boot) ? side->acknowledged_seq : 0;
    buf_init(&head, HEAD_BYTES);
    int err = wire_encode_batch_head(lane->batch, &head);
    if (!request(lane, err, &head, lane->batch->payload))
        return;
    lane->was_sent = true;
    lane_enter(lane, SHIP_WAIT_ACK, deadline_ms(lane));
}

static void send_next(struct lane *lane)
{
    if (lane->is_draining)
        return; /* ship moves all lanes when each was told */
    if (!lane->batch && ship_is_going_back(lane->ship)) {
        if (!lane->is_probed) {
            lane_enter(lane, SHIP_HELLO, 0);
            send_resume(lane);
        }
        return;
    }
    if (lane->batch || seal(lane))
        send_batch(lane);
}

void lane_advance(struct lane *lane)
{
    if (!lane_is_used(lane))
        return;
    switch (lane->state) {
    case SHIP_HELLO:
        send_resume(lane);
        break;
    case SHIP_READY:
        send_next(lane);
        break;
    case SHIP_SENDING:
    case SHIP_WAIT_ACK:
    case SHIP_BACKOFF:
    case SHIP_DRAINED:
        break;
    }
}

/* ---- what the spool asks */

int64_t lane_stalled_ms(struct lane *lane)
{
    int64_t now = clock_mono_ns();
    if (lane->state == SHIP_READY && lane->is_resumed && !lane->batch)
        lane->moving_ns = now;
    return (now - lane->moving_ns) / 1000000;
}

bool lane_give_up(struct lane *lane, bool only_unsent, struct batch **ret_batch)
{
    bool waits = lane->state == SHIP_WAIT_ACK || lane->state == SHIP_SENDING;
    if (!lane->batch || batch_is_report(lane->batch) || waits || lane->batch->source_count ||
        !lane_is_own(lane, lane->batch->boot) || (only_unsent && lane->was_sent))
        return false;
    refusals_take_back(ship_refusals(lane->ship), lane->batch);
    *ret_batch = lane->batch;
    lane->batch = NULL;
    lane->was_sent = false;
    return true;
}

bool lane_withdraw(struct lane *lane)
{
    if (lane->was_sent)
        return false;
    lane_drop_batch(lane);
    return true;
}

void lane_tell_refusals(struct lane *lane)
{
    if (lane_is_used(lane) && lane->state == SHIP_READY && !lane->batch &&
        refusals_waiting(ship_refusals(lane->ship), lane->signal))
        lane_advance(lane);
}

/* ---- life cycle */

bool lane_is_used(const struct lane *lane)
{
    return lane->source.seal != NULL;
}

void lane_ask(struct lane *lane)
{
    if (lane->state != SHIP_READY || lane->batch || lane->is_draining || !lane->is_resumed)
        return;
    lane_forget_greeting(lane);
    lane_enter(lane, SHIP_HELLO, 0);
    send_resume(lane);
}

void lane_reset(struct lane *lane)
{
    lane_forget_greeting(lane);
    for (int i = 0; i < 2; i++)
        lane->sides[i].is_told = false;
    lane->is_asking = lane->is_resumed = lane->is_draining = lane->is_probed = false;
    lane->failures = 0;
    if (lane->state != SHIP_DRAINED)
        lane_enter(lane, SHIP_HELLO, 0);
}

static void find_cells(struct lane *lane, struct stats *stats)
{
    const char *name = telemetry_name(lane->signal);
    lane->cells = (struct lane_cells){
        .sealed_batches = stats_cell(stats, AGENT_SEALED_BATCHES, name),
        .sealed_records = stats_cell(stats, AGENT_SEALED_RECORDS, name),
        .committed_batches = stats_cell(stats, AGENT_COMMITTED_BATCHES, name),
        .committed_records = stats_cell(stats, AGENT_COMMITTED_RECORDS, name),
        .committed_bytes = stats_cell(stats, AGENT_COMMITTED_BYTES, name),
        .refused = stats_cell(stats, AGENT_REFUSED_RECORDS, name, "gateway"),
        .resumes = stats_cell(stats, AGENT_RESUMES, name),
        .repeats = stats_cell(stats, AGENT_REPEATS, name),
        .ack_seconds = stats_cell(stats, AGENT_ACK_SECONDS, name),
        .missing = stats_cell(stats, AGENT_MISSING_SEQS, name),
        .lost = stats_cell(stats, AGENT_UNDELIVERED_LOST, name),
    };
}

int lane_init(struct lane *lane, struct ship *ship, enum telemetry signal, const struct ship_source *source)
{
    *lane = (struct lane){.ship = ship, .signal = signal, .source = *source, .state = SHIP_HELLO};
    lane->moving_ns = clock_mono_ns();
    find_cells(lane, ship_stats(ship));
    lane->timer.data = lane;
    return uv_timer_init(&ship_loop(ship)->uv, &lane->timer);
}

void lane_fini(struct lane *lane)
{
    lane_forget_greeting(lane);
    lane_free_batch(lane);
}
