#include "node-agent/ship_lane.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/refusals.h"

enum {
    BUSY_MIN_MS = 20,
    BUSY_MAX_MS = 30000,
    UNCLEAR_WAIT_MS = 2000,
    HEAD_BYTES = 4 * 1024 * 1024,
    MOST_FAILURES = 2
};
#define REPORT_WAIT_NS INT64_C(1000000000)

/* ---- states: the one place that changes them, with the timer that each one has */

static void on_timer(uv_timer_t *timer);

static void enter(struct lane *lane, enum ship_state state, int64_t timeout_ms)
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

static void wait_and_retry(struct lane *lane, int64_t wait_ms)
{
    wait_ms = wait_ms < BUSY_MIN_MS ? BUSY_MIN_MS : wait_ms > BUSY_MAX_MS ? BUSY_MAX_MS : wait_ms;
    enter(lane, SHIP_BACKOFF, wait_ms);
}

static void note_trouble(struct lane *lane, const char *what, const char *reason)
{
    snprintf(lane->trouble, sizeof lane->trouble, "%s%s%s", what, reason[0] ? ": " : "", reason);
}

static void forget_greeting(struct lane *lane)
{
    wire_resume_reply_fini(&lane->greeting);
    lane->greeting = (struct wire_resume_reply){0};
    lane->has_greeted = false;
}

static void on_timer(uv_timer_t *timer)
{
    struct lane *lane = timer->data;
    if (lane->state == SHIP_BACKOFF) {
        forget_greeting(lane);
        enter(lane, lane->is_resumed ? SHIP_READY : SHIP_HELLO, 0);
        lane_advance(lane);
    } else
        ship_leave(lane->ship, "deadline");
}

static void free_batch(struct lane *lane)
{
    batch_free(lane->batch);
    lane->batch = NULL;
    lane->was_sent = false;
}

/* It does not go out; what it was to tell does, with another one. */
static void drop_batch(struct lane *lane)
{
    refusals_take_back(ship_refusals(lane->ship), lane->batch);
    free_batch(lane);
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
        wait_and_retry(lane, UNCLEAR_WAIT_MS);
    return err == 0;
}

static bool is_own(const struct lane *lane, struct boot boot)
{
    return boot_compare(boot, ship_boot(lane->ship)) == 0;
}

static enum lane_side side_of(const struct lane *lane, const struct batch *batch)
{
    return lane->has_bulk && !strcmp(batch->origin, ship_bulk_origin(lane->ship)) ? SIDE_BULK : SIDE_OWN;
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
    bool is_for_batch = lane->is_resumed && lane->batch && !is_own(lane, lane->batch->boot);
    enum lane_side side = is_for_batch ? SIDE_OWN : next_side(lane);
    struct boot boot = is_for_batch ? lane->batch->boot : ship_boot(lane->ship);
    struct wire_resume resume = {.boot = boot, .signal = lane->signal};
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
    enter(lane, SHIP_HELLO, deadline_ms(lane));
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
            enter(lane, SHIP_DRAINED, 0);
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
    lane->batch->seq = ++lane->sides[side_of(lane, lane->batch)].seq;
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
    const struct side *side = &lane->sides[side_of(lane, lane->batch)];
    if (boot_compare(lane->batch->boot, side->admitted) != 0) {
        enter(lane, SHIP_HELLO, 0);
        send_resume(lane);
        return;
    }
    lane->batch->sent_at_ns = clock_wall_ns();
    lane->batch->acknowledged_seq = is_own(lane, lane->batch->boot) ? side->acknowledged_seq : 0;
    buf_init(&head, HEAD_BYTES);
    int err = wire_encode_batch_head(lane->batch, &head);
    if (!request(lane, err, &head, lane->batch->payload))
        return;
    lane->was_sent = true;
    enter(lane, SHIP_WAIT_ACK, deadline_ms(lane));
}

static void send_next(struct lane *lane)
{
    if (lane->is_draining)
        return; /* ship moves all lanes when each was told */
    if (!lane->batch && ship_is_going_back(lane->ship)) {
        if (!lane->is_probed) {
            enter(lane, SHIP_HELLO, 0);
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

/* ---- answers */

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
        forget_greeting(lane);
        lane->is_resumed = false;
        enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
        return;
    }
    const char *next = join_next(lane);
    lane->is_draining = true;
    lane->is_settled = !next[0];
    snprintf(lane->next_buffer_id, sizeof lane->next_buffer_id, "%s", next);
    enter(lane, SHIP_READY, 0);
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
    enter(lane, lane->is_resumed ? SHIP_READY : SHIP_HELLO, 0);
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
        free_batch(lane); /* its lines are read again, the refused ones too */
    enter(lane, SHIP_READY, 0);
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
    if (!is_own(lane, lane->asked)) {
        take_admitted(lane, reply);
    } else if (!lane->has_bulk) {
        take_greeted(lane, reply);
    } else if (lane->asked_side == SIDE_OWN) {
        forget_greeting(lane);
        lane->greeting = *reply;
        lane->has_greeted = true;
        reply->ends = NULL;
        reply->end_count = 0;
        enter(lane, SHIP_HELLO, 0);
        lane_advance(lane);
    } else if (!lane->has_greeted || strcmp(lane->greeting.buffer_id, reply->buffer_id) != 0) {
        forget_greeting(lane);
        enter(lane, SHIP_HELLO, 0);
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
    note_trouble(lane, "the gateway is busy", reason);
    lane->failures = cannot_commit ? lane->failures + 1 : 0;
    if (lane->failures >= MOST_FAILURES) {
        lane->failures = 0;
        if (ship_lane_failed(lane->ship))
            return;
    }
    wait_and_retry(lane, wait_ms);
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
    note_trouble(lane, "the gateway does not resume", reply->reason);
    log_warn("ship: the gateway does not resume", "signal=%s answer=%d reason=%s",
             telemetry_name(lane->signal), (int)reply->answer,
             log_quote(reply->reason, quoted, sizeof quoted));
    wait_and_retry(lane, UNCLEAR_WAIT_MS);
}

/* What the buffer knows by this boot's numbers. */
static void take_standing(struct lane *lane, const struct batch *batch, const struct wire_reply *reply)
{
    struct side *side = &lane->sides[side_of(lane, batch)];
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
        enter(lane, SHIP_HELLO, 0);
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
    if (is_own(lane, batch->boot))
        take_standing(lane, batch, reply);
    if (lane->source.committed && !batch_is_report(batch))
        lane->source.committed(lane->source.ctx, batch, reply);
    free_batch(lane);
    enter(lane, SHIP_READY, 0);
    ship_saw_assignment(lane->ship, reply->assignment_version, false);
    lane_advance(lane);
}

static void take_refused(struct lane *lane, const struct wire_reply *reply)
{
    static struct log_limit limit;
    unsigned held;
    char quoted[512];
    stats_add(lane->cells.refused, (int64_t)lane->batch->records);
    note_trouble(lane, "the gateway refused a batch", reply->reason);
    if (log_limit_pass(&limit, 10, &held))
        log_warn("ship: the gateway refused a batch",
                 "signal=%s seq=%llu records=%llu reason=%s held_back=%u", telemetry_name(lane->signal),
                 (unsigned long long)lane->batch->seq, (unsigned long long)lane->batch->records,
                 log_quote(reply->reason, quoted, sizeof quoted), held);
    if (lane->source.refused && !batch_is_report(lane->batch))
        lane->source.refused(lane->source.ctx, lane->batch, reply->reason);
    free_batch(lane);
    enter(lane, SHIP_READY, 0);
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
        take_draining(lane, side_of(lane, lane->batch), reply->next_buffer_id);
        return;
    case WIRE_RESUME_FIRST:
        lane->is_resumed = false;
        enter(lane, SHIP_HELLO, 0);
        if (++lane->fenced > 1) /* another agent of this origin is at it: no race between the two */
            wait_and_retry(lane, UNCLEAR_WAIT_MS);
        lane_advance(lane);
        return;
    case WIRE_UNKNOWN:
        break;
    }
    wait_and_retry(lane, UNCLEAR_WAIT_MS);
}

/* A gateway that cannot read the resume answers with a plain refusal (another version of the protocol). */
static void take_unreadable(struct lane *lane, struct bytes frame, int err)
{
    struct wire_reply reply = {0};
    char quoted[512];
    bool is_refusal = wire_decode_reply(frame, &reply) == 0 && reply.answer == WIRE_REFUSED;
    note_trouble(lane, "no agreement with the gateway", reply.reason);
    log_warn("ship: no agreement with the gateway", "signal=%s error=%d reason=%s",
             telemetry_name(lane->signal), err, log_quote(reply.reason, quoted, sizeof quoted));
    if (is_refusal)
        wait_and_retry(lane, UNCLEAR_WAIT_MS);
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
        !is_own(lane, lane->batch->boot) || (only_unsent && lane->was_sent))
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
    drop_batch(lane);
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
    forget_greeting(lane);
    enter(lane, SHIP_HELLO, 0);
    send_resume(lane);
}

void lane_reset(struct lane *lane)
{
    forget_greeting(lane);
    for (int i = 0; i < 2; i++)
        lane->sides[i].is_told = false;
    lane->is_asking = lane->is_resumed = lane->is_draining = lane->is_probed = false;
    lane->failures = 0;
    if (lane->state != SHIP_DRAINED)
        enter(lane, SHIP_HELLO, 0);
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
    forget_greeting(lane);
    free_batch(lane);
}
