/* receive_batch.c - a batch: who may commit it, what the buffer says, and the answer. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "gateway/intake/enrich.h"
#include "gateway/intake/receive_inside.h"
#include "gateway/metrics.h"

enum { IN_FLIGHT_BYTES = 128 * 1024 * 1024 }; /* of batches that wait for their commit, all agents together */

/* ---- answers */

static const char *answer_name(enum wire_answer answer)
{
    switch (answer) {
    case WIRE_COMMITTED:
        return "committed";
    case WIRE_BUSY:
        return "busy";
    case WIRE_REFUSED:
        return "refused";
    case WIRE_RESUME_FIRST:
        return "resume_first";
    case WIRE_DRAINING:
        return "draining";
    case WIRE_UNKNOWN:
        break;
    }
    return "unknown";
}

static void answer_batch(struct receive *receive, struct desk *desk, struct wire_reply *reply)
{
    enum telemetry signal = desk->batch->signal;
    const char *name = reply->repeated ? "repeated" : answer_name(reply->answer);
    struct buf frame;
    stats_add(stats_cell(receive->stats, GATEWAY_RECEIVED_BATCHES, telemetry_name(signal), name), 1);
    snprintf(reply->buffer_id, sizeof reply->buffer_id, "%s", buffer_id(receive->buffers[signal]));
    reply->assignment_version = receive_assignment_version(receive, desk->batch->origin);
    buf_init(&frame, RECEIVE_MAX_FRAME_BYTES);
    receive_answer(desk, wire_encode_reply(reply, &frame), &frame);
}

static void answer_busy(struct receive *receive, struct desk *desk, uint32_t wait_ms, const char *reason)
{
    struct wire_reply reply = {.answer = WIRE_BUSY, .retry_after_ms = wait_ms};
    snprintf(reply.reason, sizeof reply.reason, "%s", reason);
    answer_batch(receive, desk, &reply);
}

static void answer_failed(struct receive *receive, struct desk *desk)
{
    struct wire_reply reply = {.answer = WIRE_BUSY,
                               .retry_after_ms = RECEIVE_FULL_WAIT_MS,
                               .reason = "the buffer cannot commit",
                               .cannot_commit = true};
    answer_batch(receive, desk, &reply);
}

/* An agent's batches are told together, those of its bulk origin too. */
static void note_origin(struct receive *receive, const struct desk *desk)
{
    const struct batch *batch = desk->batch;
    char home[BATCH_MAX_ORIGIN + 1];
    struct origin *origin = origins_get(&receive->origins, batch->origin);
    if (!origin)
        return;
    if (batch->handed_over) {
        origin->came_ns = desk->received_wall_ns;
        return;
    }
    origin->last_seen_ns = desk->received_wall_ns;
    batch_home(batch->origin, home);
    origin = origins_get(&receive->origins, home);
    if (!origin)
        return;
    origin->last_seen_ns = desk->received_wall_ns;
    origin->clock_skew_ns = batch->sent_at_ns - desk->received_wall_ns;
    origin->batches[batch->signal]++;
    if (!origin->skew) { /* NODE/BOOT, while an agent waits for its turn: the node's clock all the same */
        char node[BATCH_MAX_ORIGIN + 1];
        snprintf(node, sizeof node, "%.*s", (int)strcspn(origin->name, "/"), origin->name);
        origin->skew = stats_cell(receive->stats, GATEWAY_CLOCK_SKEW, node);
    }
    stats_set(origin->skew, origin->clock_skew_ns);
}

static void count_committed(struct receive *receive, const struct desk *desk)
{
    const char *name = telemetry_name(desk->batch->signal);
    uint64_t refused = 0;
    for (size_t i = 0; i < desk->batch->refusal_count; i++)
        refused += desk->batch->refusals[i].records;
    stats_add(stats_cell(receive->stats, GATEWAY_AGENT_REFUSED, name), (int64_t)refused);
    stats_add(stats_cell(receive->stats, GATEWAY_COMMITTED_RECORDS, name), (int64_t)desk->batch->records);
    stats_add(stats_cell(receive->stats, GATEWAY_COMMITTED_BYTES, name), (int64_t)desk->batch->payload.len);
    stats_observe(stats_cell(receive->stats, GATEWAY_COMMIT_SECONDS, name),
                  clock_mono_ns() - desk->received_ns);
}

/* Said once after a resume. */
static void report_missing(struct receive *receive, const struct desk *desk, uint64_t missing)
{
    const struct batch *batch = desk->batch;
    const char *signal = telemetry_name(batch->signal);
    char home[BATCH_MAX_ORIGIN + 1];
    batch_home(batch->origin, home);
    struct origin *origin = origins_find(&receive->origins, home);
    stats_add(stats_cell(receive->stats, GATEWAY_MISSING_SEQS, signal), (int64_t)missing);
    if (!missing)
        return;
    uint64_t first = batch->acknowledged_seq - missing + 1, last = batch->acknowledged_seq;
    if (origin) {
        uint64_t before = origin->missing[batch->signal].batches;
        origin->missing[batch->signal] = (struct origin_missing){before + missing, first, last};
    }
    log_error("receive: the buffer misses batches that it acknowledged",
              "origin=%s signal=%s boot=%016llx seq=%llu-%llu missing=%llu", batch->origin, signal,
              (unsigned long long)batch->boot.id, (unsigned long long)first, (unsigned long long)last,
              (unsigned long long)missing);
}

/* It was under way when its sender left, whose kernel went on trying after a cut. Committed, it would go out
 * after what is newer, long after another gateway had it. Nobody waits for the answer. */
static void answer_late(struct receive *receive, struct desk *desk)
{
    static struct log_limit limit;
    const struct batch *batch = desk->batch;
    struct wire_reply reply = {.answer = WIRE_REFUSED};
    unsigned held;
    snprintf(reply.reason, sizeof reply.reason, "batches after this one were committed before it");
    stats_add(stats_cell(receive->stats, GATEWAY_LATE_BATCHES, telemetry_name(batch->signal)), 1);
    if (log_limit_pass(&limit, 10, &held))
        log_info("receive: a batch came too late", "origin=%s signal=%s seq=%llu records=%llu held_back=%u",
                 batch->origin, telemetry_name(batch->signal), (unsigned long long)batch->seq,
                 (unsigned long long)batch->records, held);
    answer_batch(receive, desk, &reply);
}

static void answer_append(struct receive *receive, struct desk *desk, const struct buffer_append *append)
{
    struct wire_reply reply = {
        .delivered_seq = append->standing.delivered_seq,
        .holds_undelivered = append->standing.holds_undelivered,
        .missing_seqs = append->standing.missing_seqs,
    };
    switch (append->outcome) {
    case BUFFER_COMMITTED:
        count_committed(receive, desk);
        /* fall through */
    case BUFFER_REPEATED:
        reply.answer = WIRE_COMMITTED;
        reply.repeated = append->outcome == BUFFER_REPEATED;
        report_missing(receive, desk, reply.missing_seqs);
        answer_batch(receive, desk, &reply);
        return;
    case BUFFER_LATE:
        answer_late(receive, desk);
        return;
    case BUFFER_FULL:
        answer_busy(receive, desk, RECEIVE_FULL_WAIT_MS, "the buffer is full");
        return;
    case BUFFER_FAILED:
        answer_failed(receive, desk);
        return;
    }
}

static void on_appended(struct letter *letter)
{
    struct buffer_append *append = (struct buffer_append *)letter;
    struct desk *desk = desk_of_append(append);
    struct receive *receive = desk->owner;
    receive->under_way--;
    receive->bytes_under_way -= desk->bytes;
    answer_append(receive, desk, append);
    receive_finish(receive);
}

/* Whether the batch's boot is the one whose resume was answered last for its origin. */
static bool may_commit(struct receive *receive, const struct batch *batch)
{
    const struct origin *origin = origins_find(&receive->origins, batch->origin);
    return batch->handed_over || (origin && origin->has_fence[batch->signal] &&
                                  boot_compare(origin->fence[batch->signal], batch->boot) == 0);
}

static bool is_sound(const struct batch *batch)
{
    size_t raw_bytes;
    return snap_raw_size(batch->payload, &raw_bytes) == 0 && raw_bytes == batch->raw_bytes &&
           batch->largest_stream_bytes <= batch->raw_bytes;
}

/* Handed-over rows of another gateway that drains, too, are not taken any more. */
static void answer_draining(struct receive *receive, struct desk *desk)
{
    const struct batch *batch = desk->batch;
    if (!receive->went || batch->handed_over) {
        answer_busy(receive, desk, RECEIVE_DRAINING_WAIT_MS, "draining");
        return;
    }
    struct wire_reply reply = {.answer = WIRE_DRAINING};
    snprintf(reply.next_buffer_id, sizeof reply.next_buffer_id, "%s",
             receive->went(receive->went_ctx, batch->origin, batch->signal));
    answer_batch(receive, desk, &reply);
}

static void enrich(struct receive *receive, struct batch *batch)
{
    uint64_t enriched = 0;
    int err = enrich_batch(batch, receive->find_sender, receive->pods, &enriched);
    if (err < 0)
        log_warn("receive: a batch goes without its senders' attributes", "origin=%s error=%d", batch->origin,
                 err);
    stats_add(stats_cell(receive->stats, GATEWAY_ENRICHED_BYTES, telemetry_name(batch->signal)),
              (int64_t)enriched);
}

void receive_batch_serve(struct receive *receive, struct desk *desk)
{
    struct batch *batch = desk->batch;
    note_origin(receive, desk);
    if (receive->is_draining)
        answer_draining(receive, desk);
    else if (!may_commit(receive, batch)) {
        struct wire_reply reply = {.answer = WIRE_RESUME_FIRST};
        answer_batch(receive, desk, &reply);
    } else if (!is_sound(batch))
        receive_refuse(receive, desk, -EINVAL,
                       "the payload is not the snappy block that the envelope describes");
    else if (receive->bytes_under_way && receive->bytes_under_way + desk->bytes > IN_FLIGHT_BYTES)
        answer_busy(receive, desk, RECEIVE_CROWDED_WAIT_MS, "too many batches wait for their commit");
    else {
        if (receive->find_sender && batch->sender_count)
            enrich(receive, batch);
        desk->append = (struct buffer_append){.letter.open = on_appended,
                                              .reply_to = &receive->loop->mailbox,
                                              .batch = batch,
                                              .is_in_order = !batch->handed_over};
        receive->under_way++;
        receive->bytes_under_way += desk->bytes;
        buffer_append(receive->buffers[batch->signal], &desk->append);
    }
}
