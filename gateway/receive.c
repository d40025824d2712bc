/* receive.c - what is asked at the door, and what the buffers answer. */
#include "gateway/receive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "gateway/door.h"
#include "gateway/metrics.h"
#include "gateway/origins.h"

enum { FULL_WAIT_MS = 1000, CROWDED_WAIT_MS = 100, DRAINING_WAIT_MS = 1000, BURY_MS = 5, TICK_MS = 1000 };
enum { IN_FLIGHT_BYTES = 128 * 1024 * 1024 }; /* of batches that wait for their commit, all agents together */
enum { MAX_FRAME_BYTES = 15 * 1024 * 1024 };  /* of an answer; agents take 16 MiB */
#define AGENT_AWAY_NS (INT64_C(300) * 1000000000)

struct receive {
    struct loop *loop; /* borrowed */
    const struct gateway_config *config;
    struct buffer *buffers[TELEMETRY_COUNT]; /* borrowed */
    struct stats *stats;                     /* borrowed */
    struct receive_assignments assignments;
    struct {
        int (*tell)(void *ctx, const struct question *question, struct buf *text);
        void *ctx;
    } tellers[QUESTION_VERBS];
    struct door *door; /* owned; NULL once closed */
    struct origins origins;
    int under_way;          /* requests that a buffer has */
    size_t bytes_under_way; /* of batches among them */
    bool is_draining, is_closed;
    void (*drained)(void *ctx);
    void *drained_ctx;
    const char *(*went)(void *ctx, const char *origin, enum telemetry signal); /* NULL: not handed over */
    void *went_ctx;
    uv_timer_t timer; /* gauges; after the close, the burial */
};

/* ---- answering */

static void answer(struct desk *desk, int encode_error, struct buf *frame)
{
    if (encode_error < 0)
        log_error("receive: no answer can be written", "peer=%s error=%d", desk->peer, encode_error);
    desk_answer(desk, encode_error < 0 ? (struct bytes){0} : buf_bytes(frame));
    buf_fini(frame);
}

static uint64_t assignment_version(struct receive *receive, const char *origin)
{
    const struct receive_assignments *a = &receive->assignments;
    return a->version ? a->version(a->ctx, origin) : 0;
}

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
    reply->assignment_version = assignment_version(receive, desk->batch->origin);
    buf_init(&frame, MAX_FRAME_BYTES);
    answer(desk, wire_encode_reply(reply, &frame), &frame);
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
                               .retry_after_ms = FULL_WAIT_MS,
                               .reason = "the buffer cannot commit",
                               .cannot_commit = true};
    answer_batch(receive, desk, &reply);
}

/* ---- what cannot be served */

static const char *cause_of(int error)
{
    switch (-error) {
    case EPROTONOSUPPORT:
        return "version";
    case EILSEQ:
        return "checksum";
    case EINVAL:
        return "value";
    case E2BIG:
        return "too_large";
    case EUSERS:
        return "too_many";
    case ENOMEM:
        return "memory";
    default:
        return "format";
    }
}

static void refuse(struct receive *receive, struct desk *desk, int error, const char *reason)
{
    static struct log_limit limit;
    struct wire_reply reply = {.answer = WIRE_REFUSED};
    struct buf frame;
    unsigned held;
    stats_add(stats_cell(receive->stats, GATEWAY_MALFORMED, cause_of(error)), 1);
    if (log_limit_pass(&limit, 10, &held))
        log_warn("receive: a message is refused", "peer=%s cause=%s bytes=%zu held_back=%u", desk->peer,
                 cause_of(error), desk->bytes, held);
    snprintf(reply.reason, sizeof reply.reason, "%s", reason);
    if (error == -ENOMEM) { /* ours, not the message's */
        reply.answer = WIRE_BUSY;
        reply.retry_after_ms = FULL_WAIT_MS;
    }
    buf_init(&frame, MAX_FRAME_BYTES);
    answer(desk, wire_encode_reply(&reply, &frame), &frame);
}

static void refuse_undecoded(struct receive *receive, struct desk *desk)
{
    char reason[64];
    snprintf(reason, sizeof reason, "message not accepted: %s (protocol version %d)", cause_of(desk->error),
             WIRE_VERSION);
    refuse(receive, desk, desk->error, reason);
}

/* ---- batches */

static void finish_if_drained(struct receive *receive)
{
    void (*drained)(void *ctx) = receive->drained;
    if (!receive->is_draining || receive->under_way || !drained)
        return;
    receive->drained = NULL;
    drained(receive->drained_ctx);
}

static void note_origin(struct receive *receive, const struct desk *desk)
{
    const struct batch *batch = desk->batch;
    struct origin *origin = batch->handed_over ? NULL : origins_get(&receive->origins, batch->origin);
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
    stats_add(stats_cell(receive->stats, GATEWAY_COMMITTED_RECORDS, name), (int64_t)desk->batch->records);
    stats_add(stats_cell(receive->stats, GATEWAY_COMMITTED_BYTES, name), (int64_t)desk->batch->payload.len);
    stats_observe(stats_cell(receive->stats, GATEWAY_COMMIT_SECONDS, name),
                  clock_mono_ns() - desk->received_ns);
}

static void report_missing(struct receive *receive, const struct desk *desk, uint64_t missing)
{
    stats_add(stats_cell(receive->stats, GATEWAY_MISSING_SEQS, telemetry_name(desk->batch->signal)),
              (int64_t)missing);
    if (missing) /* said once after a resume */
        log_error("receive: the buffer misses batches that it acknowledged",
                  "origin=%s signal=%s boot=%016llx seq=%llu-%llu missing=%llu", desk->batch->origin,
                  telemetry_name(desk->batch->signal), (unsigned long long)desk->batch->boot.id,
                  (unsigned long long)(desk->batch->acknowledged_seq - missing + 1),
                  (unsigned long long)desk->batch->acknowledged_seq, (unsigned long long)missing);
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
        answer_busy(receive, desk, FULL_WAIT_MS, "the buffer is full");
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
    finish_if_drained(receive);
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
        answer_busy(receive, desk, DRAINING_WAIT_MS, "draining");
        return;
    }
    struct wire_reply reply = {.answer = WIRE_DRAINING};
    snprintf(reply.next_buffer_id, sizeof reply.next_buffer_id, "%s",
             receive->went(receive->went_ctx, batch->origin, batch->signal));
    answer_batch(receive, desk, &reply);
}

static void serve_batch(struct receive *receive, struct desk *desk)
{
    struct batch *batch = desk->batch;
    note_origin(receive, desk);
    if (receive->is_draining)
        answer_draining(receive, desk);
    else if (!may_commit(receive, batch)) {
        struct wire_reply reply = {.answer = WIRE_RESUME_FIRST};
        answer_batch(receive, desk, &reply);
    } else if (!is_sound(batch))
        refuse(receive, desk, -EINVAL, "the payload is not the snappy block that the envelope describes");
    else if (receive->bytes_under_way && receive->bytes_under_way + desk->bytes > IN_FLIGHT_BYTES)
        answer_busy(receive, desk, CROWDED_WAIT_MS, "too many batches wait for their commit");
    else {
        desk->append = (struct buffer_append){.letter.open = on_appended,
                                              .reply_to = &receive->loop->mailbox,
                                              .batch = batch,
                                              .is_in_order = !batch->handed_over};
        receive->under_way++;
        receive->bytes_under_way += desk->bytes;
        buffer_append(receive->buffers[batch->signal], &desk->append);
    }
}

/* ---- resumes */

static void take_ends(struct buffer_resume *work, struct wire_resume_reply *reply)
{
    size_t count = work->end_count < WIRE_MAX_ENDS ? work->end_count : WIRE_MAX_ENDS;
    reply->ends = count ? calloc(count, sizeof *reply->ends) : NULL;
    if (count && !reply->ends) {
        reply->answer = WIRE_BUSY;
        reply->retry_after_ms = FULL_WAIT_MS;
        return;
    }
    for (size_t i = 0; i < count; i++)
        reply->ends[i] = (struct wire_end){work->ends[i].file, work->ends[i].end};
    reply->end_count = count;
}

static void free_ends(struct buffer_resume *work)
{
    for (size_t i = 0; i < work->end_count; i++)
        free(work->ends[i].file);
    free(work->ends);
    work->ends = NULL;
    work->end_count = 0;
}

static void answer_resume(struct receive *receive, struct desk *desk, struct wire_resume_reply *reply)
{
    struct buf frame;
    snprintf(reply->buffer_id, sizeof reply->buffer_id, "%s",
             buffer_id(receive->buffers[desk->resume.signal]));
    reply->assignment_version = assignment_version(receive, desk->resume.origin);
    buf_init(&frame, MAX_FRAME_BYTES);
    answer(desk, wire_encode_resume_reply(reply, &frame), &frame);
}

static void on_resumed(struct letter *letter)
{
    struct buffer_resume *work = (struct buffer_resume *)letter;
    struct desk *desk = desk_of_resume(work);
    struct receive *receive = desk->owner;
    struct wire_resume_reply reply = {
        .answer = work->error < 0 ? WIRE_BUSY : WIRE_COMMITTED,
        .retry_after_ms = work->error < 0 ? FULL_WAIT_MS : 0,
        .cannot_commit = work->error < 0 && work->error != -ENOSPC,
        .delivered_seq = work->standing.delivered_seq,
        .holds_undelivered = work->standing.holds_undelivered,
    };
    receive->under_way--;
    if (work->error == 0)
        take_ends(work, &reply);
    answer_resume(receive, desk, &reply);
    free(reply.ends); /* its strings are the work's */
    free_ends(work);
    finish_if_drained(receive);
}

static void serve_resume(struct receive *receive, struct desk *desk)
{
    struct origin *origin = origins_get(&receive->origins, desk->resume.origin);
    enum telemetry signal = desk->resume.signal;
    if (!origin || receive->is_draining) {
        struct wire_resume_reply reply = {.answer = WIRE_BUSY, .retry_after_ms = DRAINING_WAIT_MS};
        snprintf(reply.reason, sizeof reply.reason, "%s", origin ? "draining" : "out of memory");
        if (origin && receive->went) {
            reply.answer = WIRE_DRAINING;
            snprintf(reply.next_buffer_id, sizeof reply.next_buffer_id, "%s",
                     receive->went(receive->went_ctx, origin->name, signal));
        }
        answer_resume(receive, desk, &reply);
        return;
    }
    origin->last_seen_ns = desk->received_wall_ns;
    origin->fence[signal] =
        desk->resume.boot; /* batches of other boots that come after this are not committed */
    origin->has_fence[signal] = true;
    desk->resume_work = (struct buffer_resume){
        .letter.open = on_resumed,
        .reply_to = &receive->loop->mailbox,
        .origin = desk->resume.origin,
        .boot = desk->resume.boot,
        .held_buffer_id = desk->resume.buffer_id[0] ? desk->resume.buffer_id : NULL,
    };
    receive->under_way++;
    buffer_resume(receive->buffers[signal], &desk->resume_work);
}

/* ---- assignments */

static void serve_assignment(struct receive *receive, struct desk *desk)
{
    struct assignment assignment = {.answer = WIRE_COMMITTED, .unchanged = true};
    struct buf frame;
    if (receive->assignments.get)
        receive->assignments.get(receive->assignments.ctx, &desk->assignment, &assignment);
    buf_init(&frame, MAX_FRAME_BYTES);
    answer(desk, assignment_encode(&assignment, &frame), &frame);
    assignment_fini(&assignment);
}

/* ---- questions of other gateways */

static void serve_question(struct receive *receive, struct desk *desk)
{
    struct buf text, frame;
    buf_init(&text, QUESTION_MAX_ANSWER);
    buf_init(&frame, MAX_FRAME_BYTES);
    int status = 503;
    enum question_verb verb = desk->question.verb;
    if (receive->tellers[verb].tell)
        status = receive->tellers[verb].tell(receive->tellers[verb].ctx, &desk->question, &text);
    answer(desk, question_encode_answer(status, buf_bytes(&text), &frame), &frame);
    buf_fini(&text);
}

void receive_on_question(struct receive *receive, enum question_verb verb,
                         int (*tell)(void *ctx, const struct question *question, struct buf *text), void *ctx)
{
    receive->tellers[verb].tell = tell;
    receive->tellers[verb].ctx = ctx;
}

static void serve(void *ctx, struct desk *desk)
{
    struct receive *receive = ctx;
    if (desk->error < 0) {
        refuse_undecoded(receive, desk);
        return;
    }
    switch (desk->kind) {
    case WIRE_BATCH:
        serve_batch(receive, desk);
        return;
    case WIRE_RESUME:
        serve_resume(receive, desk);
        return;
    case WIRE_ASSIGNMENT_REQUEST:
        serve_assignment(receive, desk);
        return;
    case WIRE_QUESTION:
        serve_question(receive, desk);
        return;
    case WIRE_QUESTION_ANSWER:
    case WIRE_REPLY:
    case WIRE_RESUME_REPLY:
    case WIRE_ASSIGNMENT:
        return; /* the door lets no answers in */
    }
}

/* ---- public */

static void count_agent(void *ctx, const struct origin *origin)
{
    int64_t *count = ctx;
    *count += clock_wall_ns() - origin->last_seen_ns < AGENT_AWAY_NS;
}

static void on_tick(uv_timer_t *timer)
{
    struct receive *receive = timer->data;
    int64_t agents = 0;
    door_sweep(receive->door);
    origins_each(&receive->origins, count_agent, &agents);
    stats_set(stats_cell(receive->stats, GATEWAY_AGENTS), agents);
}

int receive_new(struct loop *loop, const struct gateway_config *config,
                struct buffer *const buffers[TELEMETRY_COUNT], struct stats *stats,
                struct receive_assignments assignments, struct receive **ret_receive, struct buf *errors)
{
    struct receive *receive = calloc(1, sizeof *receive);
    if (!receive)
        return -ENOMEM;
    receive->loop = loop;
    receive->config = config;
    receive->stats = stats;
    receive->assignments = assignments;
    memcpy(receive->buffers, buffers, sizeof receive->buffers);
    int err =
        door_open(&(struct door_options){config, &loop->mailbox, serve, receive}, &receive->door, errors);
    if (err < 0) {
        free(receive);
        return err;
    }
    uv_timer_init(&loop->uv, &receive->timer);
    receive->timer.data = receive;
    uv_timer_start(&receive->timer, on_tick, TICK_MS, TICK_MS);
    *ret_receive = receive;
    return 0;
}

int receive_port(const struct receive *receive, size_t i)
{
    return door_port(receive->door, i);
}

bool receive_is_open(const struct receive *receive)
{
    return !receive->is_draining;
}

struct listing {
    struct receive_agent *agents;
    size_t count, most;
};

static void list_agent(void *ctx, const struct origin *origin)
{
    struct listing *listing = ctx;
    if (listing->count < listing->most) {
        struct receive_agent *agent = &listing->agents[listing->count];
        snprintf(agent->origin, sizeof agent->origin, "%s", origin->name);
        agent->last_seen_ns = origin->last_seen_ns;
        agent->clock_skew_ns = origin->clock_skew_ns;
        memcpy(agent->batches, origin->batches, sizeof agent->batches);
    }
    listing->count++;
}

size_t receive_agents(const struct receive *receive, struct receive_agent *agents, size_t most)
{
    struct listing listing = {agents, 0, most};
    origins_each(&receive->origins, list_agent, &listing);
    return listing.count;
}

void receive_drain(struct receive *receive, void (*done)(void *ctx), void *ctx)
{
    receive->is_draining = true;
    receive->drained = done;
    receive->drained_ctx = ctx;
    finish_if_drained(receive);
}

void receive_set_handed(struct receive *receive,
                        const char *(*went)(void *ctx, const char *origin, enum telemetry signal), void *ctx)
{
    receive->went = went;
    receive->went_ctx = ctx;
}

int receive_connections(const struct receive *receive)
{
    return door_pipes(receive->door);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct receive *receive = handle->data;
    door_free(receive->door);
    origins_fini(&receive->origins);
    free(receive);
}

/* The desks' letters are still to be opened, even when the loop's own mailbox handle is closed. */
static void on_bury(uv_timer_t *timer)
{
    struct receive *receive = timer->data;
    mailbox_drain(&receive->loop->mailbox);
    if (receive->under_way == 0)
        uv_close((uv_handle_t *)timer, on_timer_closed);
}

void receive_close(struct receive *receive)
{
    if (!receive)
        return;
    receive->drained = NULL;
    door_close(receive->door);
    uv_timer_start(&receive->timer, on_bury, 0, BURY_MS);
}
