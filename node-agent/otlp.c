#include "node-agent/otlp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "node-agent/metrics.h"

/* One signal's side of ship. */
struct side {
    struct otlp *otlp; /* borrowed */
    enum telemetry signal;
};

struct otlp {
    struct otlp_receiver *receiver; /* owned; freed by itself */
    const struct senders *senders;  /* borrowed */
    struct ship *ship;              /* borrowed; NULL until otlp_set_ship */
    struct spool *spool;            /* borrowed; NULL: none */
    struct side sides[TELEMETRY_COUNT];
};

/* What the receiver asks */

static void wake(void *ctx, enum telemetry signal)
{
    struct otlp *otlp = ctx;
    if (otlp->ship)
        ship_wake(otlp->ship, signal);
}

static bool withdraw(void *ctx, enum telemetry signal, const struct batch *batch)
{
    struct otlp *otlp = ctx;
    return ship_withdraw(otlp->ship, signal, batch) || spool_withdraw(otlp->spool, signal, batch);
}

static int attributes(void *ctx, const char *host, struct buf *out)
{
    const struct otlp *otlp = ctx;
    if (!otlp->senders) /* not wanted */
        return 0;
    struct bytes known = senders_find(otlp->senders, host);
    return known.len ? buf_append(out, known.ptr, known.len) : 1;
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

/* What ship asks */

static int seal(void *ctx, struct batch **ret_batch)
{
    const struct side *side = ctx;
    return otlp_receiver_seal(side->otlp->receiver, side->signal, ship_origin(side->otlp->ship), ret_batch);
}

static void on_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    const struct side *side = ctx;
    (void)reply;
    otlp_receiver_committed(side->otlp->receiver, batch);
}

static void on_refused(void *ctx, const struct batch *batch, const char *reason)
{
    const struct side *side = ctx;
    char message[512];
    snprintf(message, sizeof message, "refused by the gateway: %s", reason);
    otlp_receiver_refused(side->otlp->receiver, batch, message);
}

/* The clients still wait for the batch in flight, or its repeat is recognised: it is sent again as it is. */
static bool on_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                       const struct batch *in_flight)
{
    (void)ctx, (void)reply, (void)handed_over, (void)in_flight;
    return false;
}

struct ship_source otlp_source(struct otlp *otlp, enum telemetry signal)
{
    return (struct ship_source){&otlp->sides[signal], seal, on_committed, on_refused, on_resumed};
}

/* Life */

void otlp_set_ship(struct otlp *otlp, struct ship *ship, struct spool *spool)
{
    otlp->ship = ship;
    otlp->spool = spool;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        if (ship && otlp_receiver_has(otlp->receiver, (enum telemetry)i))
            ship_wake(ship, (enum telemetry)i);
}

int otlp_port(const struct otlp *otlp)
{
    return otlp_receiver_port(otlp->receiver);
}

int otlp_grpc_port(const struct otlp *otlp)
{
    return otlp_receiver_grpc_port(otlp->receiver);
}

void otlp_stop(struct otlp *otlp, int64_t most_ms, void (*quiet)(void *ctx), void *ctx)
{
    otlp_receiver_stop(otlp->receiver, most_ms, quiet, ctx);
}

int otlp_new(uv_loop_t *loop, const struct agent_config *config, struct stats *stats,
             const struct senders *senders, struct otlp **ret_otlp)
{
    struct otlp *otlp = calloc(1, sizeof *otlp);
    if (!otlp)
        return -ENOMEM;
    struct otlp_options options = {
        .listen_http = config->otlp.listen_http,
        .listen_grpc = config->otlp.listen_grpc,
        .tls = config->otlp.tls,
        .labels = config->labels,
        .max_request_bytes = (size_t)config->otlp.max_request_bytes,
        .queue_bytes = (size_t)config->queue.traces_bytes,
        .batch_raw_bytes = agent_config_batch_bytes(config, TELEMETRY_TRACES, SIZE_MAX),
        .connections = (int)config->otlp.max_connections,
        .ack_timeout_ms = config->otlp.ack_timeout_ms,
        .max_connection_age_ms = config->otlp.max_connection_age_ms,
        .answers_when_queued = config->otlp.ack == AGENT_ACK_QUEUED,
        .stats = stats,
        .metrics = {AGENT_OTLP_REQUESTS, AGENT_OTLP_RECORDS, AGENT_OTLP_QUEUE_BYTES,
                    AGENT_OTLP_POSSIBLE_REPEATS, AGENT_OTLP_ENDED, AGENT_OTLP_CERTIFICATES},
        .ctx = otlp,
        .wake = wake,
        .withdraw = withdraw,
        .attributes = attributes,
        .on_event = on_event,
    };
    otlp->senders = senders;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp->sides[i] = (struct side){otlp, (enum telemetry)i};
    int err = otlp_receiver_new(loop, &options, &otlp->receiver);
    if (err < 0) {
        free(otlp);
        return err;
    }
    *ret_otlp = otlp;
    return 0;
}

/* The receiver calls nothing back once it is closed. */
void otlp_close(struct otlp *otlp)
{
    if (!otlp)
        return;
    otlp_receiver_close(otlp->receiver);
    free(otlp);
}
