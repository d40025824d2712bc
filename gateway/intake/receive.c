/* receive.c - what is asked at the door, and what the buffers answer. */
#include "gateway/intake/receive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/intake/receive_inside.h"
#include "gateway/metrics.h"

enum { BURY_MS = 5, TICK_MS = 1000 };
#define AGENT_AWAY_NS (INT64_C(300) * 1000000000)

/* ---- answering */

void receive_answer(struct desk *desk, int encode_error, struct buf *frame)
{
    if (encode_error < 0)
        log_error("receive: no answer can be written", "peer=%s error=%d", desk->peer, encode_error);
    desk_answer(desk, encode_error < 0 ? (struct bytes){0} : buf_bytes(frame));
    buf_fini(frame);
}

uint64_t receive_assignment_version(struct receive *receive, const char *origin)
{
    const struct receive_assignments *a = &receive->assignments;
    return a->version ? a->version(a->ctx, origin) : 0;
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

void receive_refuse(struct receive *receive, struct desk *desk, int error, const char *reason)
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
        reply.retry_after_ms = RECEIVE_FULL_WAIT_MS;
    }
    buf_init(&frame, RECEIVE_MAX_FRAME_BYTES);
    receive_answer(desk, wire_encode_reply(&reply, &frame), &frame);
}

static void refuse_undecoded(struct receive *receive, struct desk *desk)
{
    char reason[64];
    snprintf(reason, sizeof reason, "message not accepted: %s (protocol version %d)", cause_of(desk->error),
             WIRE_VERSION);
    receive_refuse(receive, desk, desk->error, reason);
}

void receive_finish(struct receive *receive)
{
    void (*drained)(void *ctx) = receive->drained;
    if (!receive->is_draining || receive->under_way || !drained)
        return;
    receive->drained = NULL;
    drained(receive->drained_ctx);
}

/* ---- assignments */

static void serve_assignment(struct receive *receive, struct desk *desk)
{
    struct assignment assignment = {.answer = WIRE_COMMITTED, .unchanged = true};
    struct buf frame;
    if (receive->assignments.get)
        receive->assignments.get(receive->assignments.ctx, &desk->assignment, &assignment);
    buf_init(&frame, RECEIVE_MAX_FRAME_BYTES);
    receive_answer(desk, assignment_encode(&assignment, &frame), &frame);
    assignment_fini(&assignment);
}

/* ---- questions of other gateways */

static void serve_question(struct receive *receive, struct desk *desk)
{
    struct buf text, frame;
    buf_init(&text, QUESTION_MAX_ANSWER);
    buf_init(&frame, RECEIVE_MAX_FRAME_BYTES);
    char token[QUESTION_MAX_TOKEN] = "";
    struct receive_question asked = {&desk->question, desk->peer, &text, token};
    int status = 503;
    enum question_verb verb = desk->question.verb;
    if (receive->tellers[verb].tell)
        status = receive->tellers[verb].tell(receive->tellers[verb].ctx, &asked);
    receive_answer(desk, question_encode_answer(status, buf_bytes(&text), token, &frame), &frame);
    buf_fini(&text);
}

void receive_on_question(struct receive *receive, enum question_verb verb,
                         int (*tell)(void *ctx, const struct receive_question *asked), void *ctx)
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
        receive_batch_serve(receive, desk);
        return;
    case WIRE_RESUME:
        receive_resume_serve(receive, desk);
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
    *count += !batch_is_bulk(origin->name) && clock_wall_ns() - origin->last_seen_ns < AGENT_AWAY_NS;
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
    if (batch_is_bulk(origin->name)) /* told with its home */
        return;
    if (listing->count < listing->most) {
        struct receive_agent *agent = &listing->agents[listing->count];
        snprintf(agent->origin, sizeof agent->origin, "%s", origin->name);
        agent->last_seen_ns = origin->last_seen_ns;
        agent->clock_skew_ns = origin->clock_skew_ns;
        memcpy(agent->batches, origin->batches, sizeof agent->batches);
        memcpy(agent->missing, origin->missing, sizeof agent->missing);
    }
    listing->count++;
}

size_t receive_agents(const struct receive *receive, struct receive_agent *agents, size_t most)
{
    struct listing listing = {agents, 0, most};
    origins_each(&receive->origins, list_agent, &listing);
    return listing.count;
}

struct telling {
    void (*each)(void *ctx, const struct receive_origin *origin);
    void *ctx;
};

static void tell_origin(void *ctx, const struct origin *origin)
{
    const struct telling *telling = ctx;
    const struct receive_origin told = {origin->name, origin->last_seen_ns, origin->came_ns};
    telling->each(telling->ctx, &told);
}

size_t receive_count_origins(const struct receive *receive)
{
    return receive->origins.count;
}

void receive_each_origin(const struct receive *receive,
                         void (*each)(void *ctx, const struct receive_origin *origin), void *ctx)
{
    struct telling telling = {each, ctx};
    origins_each(&receive->origins, tell_origin, &telling);
}

void receive_find_senders_with(struct receive *receive,
                               struct bytes (*find)(const struct pods *pods, const char *host),
                               const struct pods *pods)
{
    receive->find_sender = find;
    receive->pods = pods;
}

void receive_drain(struct receive *receive, void (*done)(void *ctx), void *ctx)
{
    receive->is_draining = true;
    receive->drained = done;
    receive->drained_ctx = ctx;
    receive_finish(receive);
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
