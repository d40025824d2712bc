#include "gateway/intake/otlp_intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/otlp/otlp_receiver.h"
#include "gateway/metrics.h"

enum { QUIET_MS = 5000 }; /* for clients in the middle of a request, when it drains */

/* One signal's way into its buffer. */
struct way {
    struct buffer_append append;
    struct otlp_intake *intake; /* borrowed */
    bool is_out;                /* the append is with the buffer */
    uint64_t seq, acknowledged_seq;
    int64_t began_ns;
};

struct otlp_intake {
    struct loop *loop; /* borrowed, as all but the receiver */
    struct buffer *const *buffers;
    struct stats *stats;
    struct pods *pods;
    struct otlp_receiver *receiver; /* owned; NULL once closed */
    char origin[BATCH_MAX_ORIGIN + 1];
    struct boot boot;
    struct way ways[TELEMETRY_COUNT];
    void (*drained)(void *ctx);
    void *drained_ctx;
    bool is_quiet;   /* no client is in the middle of a request any more */
    bool is_drained; /* what arrives now is not taken; its connection ends without an answer */
    bool is_closed;
};

static void advance(struct way *way);

/* Ends */

static bool is_idle(const struct otlp_intake *intake)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        if (intake->ways[s].is_out ||
            (intake->receiver && otlp_receiver_has(intake->receiver, (enum telemetry)s)))
            return false;
    return true;
}

static void finish_if_idle(struct otlp_intake *intake)
{
    void (*drained)(void *ctx) = intake->drained;
    if (!is_idle(intake))
        return;
    if (intake->is_closed) {
        free(intake);
    } else if (drained && intake->is_quiet) {
        intake->drained = NULL;
        intake->is_drained = true;
        drained(intake->drained_ctx);
    }
}

/* Commits */

static void count(struct otlp_intake *intake, const struct way *way)
{
    const struct batch *batch = way->append.batch;
    const char *name = telemetry_name(batch->signal);
    stats_add(stats_cell(intake->stats, GATEWAY_COMMITTED_RECORDS, name), (int64_t)batch->records);
    stats_add(stats_cell(intake->stats, GATEWAY_COMMITTED_BYTES, name), (int64_t)batch->payload.len);
    stats_observe(stats_cell(intake->stats, GATEWAY_COMMIT_SECONDS, name), clock_mono_ns() - way->began_ns);
}

static void tell(struct otlp_intake *intake, const struct way *way)
{
    const struct batch *batch = way->append.batch;
    if (!intake->receiver)
        return;
    switch (way->append.outcome) {
    case BUFFER_COMMITTED:
    case BUFFER_REPEATED:
    case BUFFER_LATE: /* not asked for */
        otlp_receiver_committed(intake->receiver, batch);
        return;
    case BUFFER_FULL:
    case BUFFER_FAILED:
        otlp_receiver_unavailable(intake->receiver, batch);
        return;
    }
}

static void on_appended(struct letter *letter)
{
    struct way *way = (struct way *)letter; /* the append is its first member, the letter the append's */
    struct otlp_intake *intake = way->intake;
    way->is_out = false;
    if (way->append.outcome == BUFFER_COMMITTED) {
        way->acknowledged_seq = way->append.batch->seq;
        count(intake, way);
    }
    tell(intake, way);
    batch_free(way->append.batch);
    way->append.batch = NULL;
    if (!intake->is_closed)
        advance(way);
    finish_if_idle(intake);
}

/* Seals and commits what waits, unless a batch of the signal is on its way. */
static void advance(struct way *way)
{
    struct otlp_intake *intake = way->intake;
    enum telemetry signal = (enum telemetry)(way - intake->ways);
    struct batch *batch;
    if (way->is_out || otlp_receiver_seal(intake->receiver, signal, intake->origin, &batch) < 0)
        return;
    batch->boot = intake->boot;
    batch->seq = ++way->seq;
    batch->acknowledged_seq = way->acknowledged_seq;
    batch->sent_at_ns = clock_wall_ns();
    way->append = (struct buffer_append){
        .letter.open = on_appended, .reply_to = &intake->loop->mailbox, .batch = batch};
    way->is_out = true;
    way->began_ns = clock_mono_ns();
    buffer_append(intake->buffers[signal], &way->append);
}

/* What the receiver asks */

static void wake(void *ctx, enum telemetry signal)
{
    struct otlp_intake *intake = ctx;
    if (!intake->is_drained)
        advance(&intake->ways[signal]);
}

/* A batch is with the buffer as soon as it is sealed. */
static bool withdraw(void *ctx, enum telemetry signal, const struct batch *batch)
{
    (void)ctx, (void)signal, (void)batch;
    return false;
}

static int attributes(void *ctx, const char *host, struct buf *out)
{
    const struct otlp_intake *intake = ctx;
    struct bytes known = intake->pods ? pods_find_sender(intake->pods, host) : (struct bytes){0};
    return buf_append(out, known.ptr, known.len);
}

static void on_event(void *ctx, enum http_event event, const char *words)
{
    static struct log_limit limit, full;
    char quoted[512];
    unsigned held;
    (void)ctx;
    switch (event) {
    case HTTP_EVENT_TLS_FAILED:
    case HTTP_EVENT_TLS_TIMEOUT:
        if (log_limit_pass(&limit, 10, &held))
            log_warn("an OTLP client did not get through TLS", "why=%s held_back=%u",
                     log_quote(words[0] ? words : "too slow", quoted, sizeof quoted), held);
        return;
    case HTTP_EVENT_IDLE_ENDED:
    case HTTP_EVENT_UNFINISHED_ENDED:
    case HTTP_EVENT_STALLED_ENDED:
        if (log_limit_pass(&full, 60, &held))
            log_warn("the OTLP listener is full: connections or requests that stand still give way",
                     "held_back=%u", held);
        return;
    case HTTP_EVENT_TLS_RENEWED:
        log_info("the OTLP listener's certificate was read again", NULL);
        return;
    case HTTP_EVENT_TLS_UNUSABLE:
        log_error("the OTLP listener's certificate cannot be used", "why=%s",
                  log_quote(words, quoted, sizeof quoted));
        return;
    }
}

/* Life */

int otlp_intake_port(const struct otlp_intake *intake)
{
    return otlp_receiver_port(intake->receiver);
}

int otlp_intake_grpc_port(const struct otlp_intake *intake)
{
    return otlp_receiver_grpc_port(intake->receiver);
}

static int draw_boot(struct boot *ret_boot)
{
    struct boot boot = {.started_ns = clock_wall_ns()};
    if (getrandom(&boot.id, sizeof boot.id, 0) != sizeof boot.id)
        return -EIO;
    *ret_boot = boot;
    return 0;
}

static int start_receiver(struct otlp_intake *intake, const struct gateway_config *config)
{
    struct otlp_options options = {
        .listen_http = config->otlp.listen_http,
        .listen_grpc = config->otlp.listen_grpc,
        .tls = config->otlp.tls,
        .max_request_bytes = (size_t)config->otlp.max_request_bytes,
        .queue_bytes = (size_t)config->otlp.queue_bytes,
        .connections = (int)config->otlp.max_connections,
        .ack_timeout_ms = config->otlp.ack_timeout_ms,
        .max_connection_age_ms = config->otlp.max_connection_age_ms,
        .stats = intake->stats,
        .metrics = {GATEWAY_OTLP_REQUESTS, GATEWAY_OTLP_RECORDS, GATEWAY_OTLP_QUEUE_BYTES,
                    GATEWAY_OTLP_POSSIBLE_REPEATS, GATEWAY_OTLP_ENDED, GATEWAY_OTLP_CERTIFICATES},
        .ctx = intake,
        .wake = wake,
        .withdraw = withdraw,
        .attributes = attributes,
        .on_event = on_event,
    };
    return otlp_receiver_new(&intake->loop->uv, &options, &intake->receiver);
}

int otlp_intake_new(struct loop *loop, const struct gateway_config *config,
                    struct buffer *const buffers[TELEMETRY_COUNT], struct stats *stats, struct pods *pods,
                    struct otlp_intake **ret_intake)
{
    struct otlp_intake *intake = calloc(1, sizeof *intake);
    if (!intake)
        return -ENOMEM;
    *intake = (struct otlp_intake){.loop = loop, .buffers = buffers, .stats = stats, .pods = pods};
    snprintf(intake->origin, sizeof intake->origin, "gateway/%s", config->name);
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        intake->ways[s].intake = intake;
    int err = draw_boot(&intake->boot);
    if (err == 0)
        err = start_receiver(intake, config);
    if (err < 0) {
        free(intake);
        return err;
    }
    *ret_intake = intake;
    return 0;
}

static void on_quiet(void *ctx)
{
    struct otlp_intake *intake = ctx;
    intake->is_quiet = true;
    finish_if_idle(intake);
}

void otlp_intake_drain(struct otlp_intake *intake, void (*done)(void *ctx), void *ctx)
{
    intake->drained = done;
    intake->drained_ctx = ctx;
    otlp_receiver_stop(intake->receiver, QUIET_MS, on_quiet, intake);
}

void otlp_intake_close(struct otlp_intake *intake)
{
    if (!intake)
        return;
    otlp_receiver_close(intake->receiver);
    intake->receiver = NULL;
    intake->is_closed = true;
    finish_if_idle(intake);
}
