/* ship_lane_answers.c - what a gateway's answer means for a lane. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship_lane.h"

enum { MOST_FAILURES = 2 };

/* Where the rows of all origins went: "" none were held, "several" not to one buffer. */
static const char *join_next(const struct lane *lane)
{
    const char *own = lane->sides[SIDE_OWN].next_buffer_id, *bulk = lane->sides[SIDE_BULK].next_buffer_id;
    if (!lane->has_bulk || !bulk[0])
        return own;
    return !own[0] || !strcmp(own, bulk) ? bulk : "several";
}

static void take_draining(struct lane *lane, enum lane_side side, const char *next_buffer_id)
{
    lane->sides[side].is_told = true;
    snprintf(lane->sides[side].next_buffer_id, sizeof lane->sides[side].next_buffer_id, "%s", next_buffer_id);
    if (lane->has_bulk && !lane->sides[!side].is_told) {
        lane_forget_greeting(lane);
        lane->is_resumed = false;
        lane_enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
        return;
    }
    const char *next = join_next(lane);
    lane->is_draining = true;
    lane->is_settled = !next[0];
    snprintf(lane->next_buffer_id, sizeof lane->next_buffer_id, "%s", next);
    lane_enter(lane, SHIP_READY, 0);
    ship_lane_drained(lane->ship);
}

/* What went with a buffer is counted. */
static void forget_undelivered(struct lane *lane)
{
    stats_add(lane->cells.lost, (int64_t)undelivered_take(&lane->undelivered));
}

/* Records without a second copy; lines of files are read again. */
static uint64_t count_unique(const struct batch *batch)
{
    return batch->source_count ? 0 : batch->records;
}

/* Another buffer than the one that this lane's batches went to. */
static bool change_buffer(struct lane *lane, const char *buffer_id)
{
    bool is_first = !lane->buffer_id[0], is_same = !strcmp(lane->buffer_id, buffer_id);
    bool was_handed_over =
        lane->is_settled || (lane->next_buffer_id[0] && !strcmp(lane->next_buffer_id, buffer_id));
    if (!is_first && !is_same && !was_handed_over)
        forget_undelivered(lane);
    for (int i = 0; i < 2 && !is_same; i++)
        lane->sides[i].acknowledged_seq = lane->sides[i].missing = 0;
    snprintf(lane->buffer_id, sizeof lane->buffer_id, "%s", buffer_id);
    lane->next_buffer_id[0] = '\0';
    lane->is_settled = false;
    return was_handed_over;
}

/* The batch out of the spool may go, as long as this is the buffer that was greeted as this boot. */
static void take_admitted(struct lane *lane, const struct wire_resume_reply *reply)
{
    lane->is_resumed = !strcmp(reply->buffer_id, lane->buffer_id);
    lane_enter(lane, lane->is_resumed ? SHIP_READY : SHIP_HELLO, 0);
    lane_advance(lane);
}

static void take_greeted(struct lane *lane, const struct wire_resume_reply *reply)
{
    bool was_handed_over = change_buffer(lane, reply->buffer_id);
    stats_add(lane->cells.resumes, 1);
    if (!was_handed_over) /* the former buffer's batches are not counted by this one's number */
        undelivered_settle(&lane->undelivered, reply->delivered_seq);
    lane->is_resumed = true;
    const struct batch *in_flight = lane->batch && !batch_is_report(lane->batch) ? lane->batch : NULL;
    if (lane->source.resumed && lane->source.resumed(lane->source.ctx, reply, was_handed_over, in_flight))
        lane_free_batch(lane); /* its lines are read again, the refused ones too */
    lane_enter(lane, SHIP_READY, 0);
    ship_saw_assignment(lane->ship, reply->assignment_version, true);
    if (ship_is_going_back(lane->ship) && !lane->batch) {
        lane->is_probed = true;
        lane->holds = reply->holds_undelivered || (reply->bulk && reply->bulk->holds_undelivered);
        ship_lane_probed(lane->ship);
    }
    lane_advance(lane);
}

/* The own origin's answer waits for the bulk's, so that the source hears of both at once. */
static void take_resumed(struct lane *lane, struct wire_resume_reply *reply)
{
    lane->sides[lane->asked_side].admitted = lane->asked;
    lane->sides[SIDE_OWN].is_told = lane->sides[SIDE_BULK].is_told = false;
    if (!lane_is_own(lane, lane->asked)) {
        take_admitted(lane, reply);
    } else if (!lane->has_bulk) {
        take_greeted(lane, reply);
    } else if (lane->asked_side == SIDE_OWN) {
        lane_forget_greeting(lane);
        lane->greeting = *reply;
        lane->has_greeted = true;
        reply->ends = NULL;
        reply->end_count = 0;
        lane_enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
    } else if (!lane->has_greeted || strcmp(lane->greeting.buffer_id, reply->buffer_id) != 0) {
        lane_forget_greeting(lane);
        lane_enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
    } else {
        struct wire_resume_reply greeting = lane->greeting;
        lane->greeting = (struct wire_resume_reply){0};
        lane->has_greeted = false;
        greeting.bulk = reply;
        take_greeted(lane, &greeting);
        wire_resume_reply_fini(&greeting);
    }
}

/* A disk that fails once may work again at once; one that goes on failing is another gateway's turn. */
static void take_busy(struct lane *lane, const char *reason, bool cannot_commit, int64_t wait_ms)
{
    lane_note_trouble(lane, "the gateway is busy", reason);
    lane->failures = cannot_commit ? lane->failures + 1 : 0;
    if (lane->failures >= MOST_FAILURES) {
        lane->failures = 0;
        if (ship_lane_failed(lane->ship))
            return;
    }
    lane_back_off(lane, wait_ms);
}

static void take_resume_reply(struct lane *lane, struct wire_resume_reply *reply)
{
    switch (reply->answer) {
    case WIRE_COMMITTED:
        take_resumed(lane, reply);
        return;
    case WIRE_DRAINING:
        take_draining(lane, lane->asked_side, reply->next_buffer_id);
        return;
    case WIRE_BUSY:
        take_busy(lane, reply->reason, reply->cannot_commit, reply->retry_after_ms);
        return;
    case WIRE_UNKNOWN:
    case WIRE_REFUSED:
    case WIRE_RESUME_FIRST:
        break;
    }
    char quoted[256];
    lane_note_trouble(lane, "the gateway does not resume", reply->reason);
    log_warn("ship: the gateway does not resume", "signal=%s answer=%d reason=%s",
             telemetry_name(lane->signal), (int)reply->answer,
             log_quote(reply->reason, quoted, sizeof quoted));
    lane_back_off(lane, LANE_UNCLEAR_WAIT_MS);
}

/* What the buffer knows by this boot's numbers. */
static void take_standing(struct lane *lane, const struct batch *batch, const struct wire_reply *reply)
{
    struct side *side = &lane->sides[lane_side_of(lane, batch)];
    if (reply->missing_seqs > side->missing)
        stats_add(lane->cells.missing, (int64_t)(reply->missing_seqs - side->missing));
    side->missing = reply->missing_seqs;
    side->acknowledged_seq = batch->seq;
    if (side != &lane->sides[SIDE_OWN]) /* nothing unique is in it */
        return;
    undelivered_add(&lane->undelivered, batch->seq, count_unique(batch));
    undelivered_settle(&lane->undelivered, reply->delivered_seq);
}

static void take_committed(struct lane *lane, const struct wire_reply *reply)
{
    if (strcmp(reply->buffer_id, lane->buffer_id) !=
        0) { /* never greeted: greet it; the batch is sent again */
        lane->is_resumed = false;
        lane_enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
        return;
    }
    const struct batch *batch = lane->batch;
    lane->trouble[0] = '\0';
    stats_add(lane->cells.committed_batches, 1);
    stats_add(lane->cells.committed_records, (int64_t)batch->records);
    stats_add(lane->cells.committed_bytes, (int64_t)batch->payload.len);
    stats_add(lane->cells.repeats, reply->repeated);
    stats_observe(lane->cells.ack_seconds, clock_mono_ns() - lane->sealed_ns);
    lane->moving_ns = clock_mono_ns();
    lane->fenced = lane->failures = 0;
    if (lane_is_own(lane, batch->boot))
        take_standing(lane, batch, reply);
    if (lane->source.committed && !batch_is_report(batch))
        lane->source.committed(lane->source.ctx, batch, reply);
    lane_free_batch(lane);
    lane_enter(lane, SHIP_READY, 0);
    ship_saw_assignment(lane->ship, reply->assignment_version, false);
    lane_advance(lane);
}

static void take_refused(struct lane *lane, const struct wire_reply *reply)
{
    static struct log_limit limit;
    unsigned held;
    char quoted[512];
    stats_add(lane->cells.refused, (int64_t)lane->batch->records);
    lane_note_trouble(lane, "the gateway refused a batch", reply->reason);
    if (log_limit_pass(&limit, 10, &held))
        log_warn("ship: the gateway refused a batch",
                 "signal=%s seq=%llu records=%llu reason=%s held_back=%u", telemetry_name(lane->signal),
                 (unsigned long long)lane->batch->seq, (unsigned long long)lane->batch->records,
                 log_quote(reply->reason, quoted, sizeof quoted), held);
    if (lane->source.refused && !batch_is_report(lane->batch))
        lane->source.refused(lane->source.ctx, lane->batch, reply->reason);
    lane_free_batch(lane);
    lane_enter(lane, SHIP_READY, 0);
    lane_advance(lane);
}

static void take_reply(struct lane *lane, const struct wire_reply *reply)
{
    switch (reply->answer) {
    case WIRE_COMMITTED:
        take_committed(lane, reply);
        return;
    case WIRE_BUSY:
        take_busy(lane, reply->reason, reply->cannot_commit, reply->retry_after_ms);
        return;
    case WIRE_REFUSED:
        take_refused(lane, reply);
        return;
    case WIRE_DRAINING:
        take_draining(lane, lane_side_of(lane, lane->batch), reply->next_buffer_id);
        return;
    case WIRE_RESUME_FIRST:
        lane->is_resumed = false;
        lane_enter(lane, SHIP_HELLO, 0);
        if (++lane->fenced > 1) /* another agent of this origin is at it: no race between the two */
            lane_back_off(lane, LANE_UNCLEAR_WAIT_MS);
        lane_advance(lane);
        return;
    case WIRE_UNKNOWN:
        break;
    }
    lane_back_off(lane, LANE_UNCLEAR_WAIT_MS);
}

/* A gateway that cannot read the resume answers with a plain refusal (another version of the protocol). */
static void take_unreadable(struct lane *lane, struct bytes frame, int err)
{
    struct wire_reply reply = {0};
    char quoted[512];
    bool is_refusal = wire_decode_reply(frame, &reply) == 0 && reply.answer == WIRE_REFUSED;
    lane_note_trouble(lane, "no agreement with the gateway", reply.reason);
    log_warn("ship: no agreement with the gateway", "signal=%s error=%d reason=%s",
             telemetry_name(lane->signal), err, log_quote(reply.reason, quoted, sizeof quoted));
    if (is_refusal)
        lane_back_off(lane, LANE_UNCLEAR_WAIT_MS);
    else
        ship_leave(lane->ship, "malformed");
}

void lane_take_answer(struct lane *lane, struct bytes frame)
{
    struct wire_resume_reply resumed;
    struct wire_reply reply;
    bool was_asking = lane->is_asking;
    lane->is_asking = false;
    int err = was_asking ? wire_decode_resume_reply(frame, &resumed) : wire_decode_reply(frame, &reply);
    if (err < 0)
        take_unreadable(lane, frame, err);
    else if (was_asking) {
        take_resume_reply(lane, &resumed);
        wire_resume_reply_fini(&resumed);
    } else
        take_reply(lane, &reply);
}
