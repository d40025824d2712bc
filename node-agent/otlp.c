#include "node-agent/otlp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/http_server.h"
#include "base/otlp_walk.h"
#include "base/pb.h"
#include "node-agent/metrics.h"
#include "node-agent/otlp_queue.h"

enum { STATUS_BYTES = 2048, LABEL_BYTES = 64 * 1024 };

enum rpc_code { RPC_INVALID_ARGUMENT = 3, RPC_RESOURCE_EXHAUSTED = 8, RPC_UNAVAILABLE = 14 };

static const char protobuf_type[] = "application/x-protobuf";

struct otlp {
    uv_loop_t *loop;
    const struct agent_config *config; /* borrowed */
    struct stats *stats;               /* borrowed */
    struct ship *ship;                 /* borrowed; NULL until otlp_set_ship */
    struct http_server *server;
    uv_timer_t timer;          /* the earliest deadline */
    struct buf labels;         /* config->labels as resource attributes */
    struct otlp_queue queue;   /* not yet sealed, oldest first */
    struct otlp_queue sealed;  /* of the batch that ship holds, oldest first */
    const struct batch *batch; /* borrowed from ship; NULL when it holds none */
    size_t held_bytes;         /* raw bytes of both lists */
    struct stats_cell *records, *queue_bytes, *possible_repeats;
};

/* Answers */

static void count_answer(struct otlp *otlp, int status)
{
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    stats_add(stats_cell(otlp->stats, AGENT_OTLP_REQUESTS, "traces", code), 1);
}

/* A google.rpc.Status: what OTLP answers failures with. */
static void answer_failure(struct otlp *otlp, struct http_request *request, int status, enum rpc_code code,
                           const char *message)
{
    struct buf body;
    buf_init(&body, STATUS_BYTES);
    pb_put_varint(&body, 1, code);
    pb_put_string(&body, 2, message);
    count_answer(otlp, status);
    http_answer(request, status, status == 503 ? "Retry-After: 1\r\n" : NULL, protobuf_type,
                buf_bytes(&body));
    buf_fini(&body);
}

/* An empty ExportTraceServiceResponse has no bytes. */
static void answer_success(struct otlp *otlp, struct http_request *request)
{
    count_answer(otlp, 200);
    http_answer(request, 200, NULL, protobuf_type, (struct bytes){0});
}

static void hold(struct otlp *otlp, size_t more, size_t less)
{
    otlp->held_bytes += more - less;
    stats_set(otlp->queue_bytes, (int64_t)otlp->held_bytes);
}

static void free_waiting(struct otlp *otlp, struct otlp_waiting *w)
{
    hold(otlp, 0, w->len);
    free(w->bytes);
    free(w);
}

/* Ends every request of the list: with 200 (message NULL), or as a failure. */
static void end_all(struct otlp *otlp, struct otlp_queue *list, int status, enum rpc_code code,
                    const char *message)
{
    for (struct otlp_waiting *w; (w = otlp_queue_take_first(list)); free_waiting(otlp, w)) {
        if (w->request && message)
            answer_failure(otlp, w->request, status, code, message);
        else if (w->request)
            answer_success(otlp, w->request);
    }
}

/* Deadlines */

static const char late_message[] = "not committed in time";

static void expire_queue(struct otlp *otlp, int64_t now_ms)
{
    while (otlp->queue.first && otlp->queue.first->deadline_ms <= now_ms) {
        struct otlp_waiting *w = otlp_queue_take_first(&otlp->queue);
        if (w->request)
            answer_failure(otlp, w->request, 503, RPC_UNAVAILABLE, late_message);
        free_waiting(otlp, w);
    }
}

/* The batch may be with the gateway: it stays in flight, only its clients stop waiting. */
static void leave_sealed(struct otlp *otlp, int64_t now_ms)
{
    for (struct otlp_waiting *w = otlp->sealed.first; w && w->deadline_ms <= now_ms; w = w->next) {
        if (!w->request)
            continue;
        stats_add(otlp->possible_repeats, (int64_t)w->count.records);
        answer_failure(otlp, w->request, 503, RPC_UNAVAILABLE, late_message);
        w->request = NULL;
    }
}

static void expire_sealed(struct otlp *otlp, int64_t now_ms)
{
    const struct otlp_waiting *first = otlp_queue_first_unanswered(&otlp->sealed);
    if (!first || first->deadline_ms > now_ms)
        return;
    if (ship_withdraw(otlp->ship, TELEMETRY_TRACES, otlp->batch)) {
        otlp->batch = NULL;
        end_all(otlp, &otlp->sealed, 503, RPC_UNAVAILABLE, late_message);
    } else {
        leave_sealed(otlp, now_ms);
    }
}

static void arm_timer(struct otlp *otlp);

static void on_timer(uv_timer_t *timer)
{
    struct otlp *otlp = timer->data;
    int64_t now_ms = (int64_t)uv_now(otlp->loop);
    expire_sealed(otlp, now_ms);
    expire_queue(otlp, now_ms);
    arm_timer(otlp);
}

/* All wait equally long: the earliest deadline is that of the first in flight that still has its client, else
 * of the first in the queue. */
static void arm_timer(struct otlp *otlp)
{
    const struct otlp_waiting *w = otlp_queue_first_unanswered(&otlp->sealed);
    int64_t now_ms = (int64_t)uv_now(otlp->loop);
    if (!w)
        w = otlp->queue.first;
    if (!w)
        uv_timer_stop(&otlp->timer);
    else
        uv_timer_start(&otlp->timer, on_timer,
                       w->deadline_ms > now_ms ? (uint64_t)(w->deadline_ms - now_ms) : 1, 0);
}

/* Requests */

static void on_gone(void *ctx)
{
    struct otlp_waiting *w = ctx;
    w->request = NULL;
    count_answer(w->otlp, 499); /* nginx's code for a client that left */
}

static bool is_protobuf(const char *content_type)
{
    size_t len = sizeof protobuf_type - 1;
    return content_type && strncasecmp(content_type, protobuf_type, len) == 0 &&
           strchr("; \t", content_type[len]);
}

/* Room left for what waits. */
static size_t room(const struct otlp *otlp)
{
    size_t most = (size_t)otlp->config->queue.traces_bytes;
    return otlp->held_bytes < most ? most - otlp->held_bytes : 0;
}

/* The bytes to forward: the received ones, with labels where some are configured. Owned by the caller. */
static int take_bytes(struct otlp *otlp, struct http_request *request, struct otlp_waiting *w)
{
    struct buf out;
    uint8_t *body = http_request_take_body(request, &w->len);
    int err = 0;
    buf_init(&out, room(otlp));
    if (otlp->labels.len) {
        err = otlp_add_resource_attributes((struct bytes){body, w->len}, buf_bytes(&otlp->labels), &out);
        free(body);
        body = err < 0 ? NULL : buf_detach(&out, &w->len);
    }
    buf_fini(&out);
    if (err < 0)
        return err;
    uint8_t *exact = realloc(body, w->len);
    w->bytes = exact ? exact : body;
    return 0;
}

static void queue_request(struct otlp *otlp, struct http_request *request, const struct otlp_count *count)
{
    struct otlp_waiting *w = calloc(1, sizeof *w);
    int err = w ? take_bytes(otlp, request, w) : -ENOMEM;
    if (err < 0) {
        free(w);
        if (err == -EMSGSIZE && otlp->held_bytes == 0)
            answer_failure(otlp, request, 413, RPC_RESOURCE_EXHAUSTED, "larger than the queue with labels");
        else
            answer_failure(otlp, request, 503, RPC_UNAVAILABLE, "the queue is full");
        return;
    }
    w->otlp = otlp;
    w->request = request;
    w->count = *count;
    w->deadline_ms = (int64_t)uv_now(otlp->loop) + otlp->config->otlp.ack_timeout_ms;
    hold(otlp, w->len, 0);
    stats_add(otlp->records, (int64_t)count->records);
    otlp_queue_append(&otlp->queue, w);
    http_request_on_gone(request, on_gone, w);
    arm_timer(otlp);
    if (otlp->ship)
        ship_wake(otlp->ship, TELEMETRY_TRACES);
}

static void serve_traces(struct http_request *request, void *ctx)
{
    struct otlp *otlp = ctx;
    struct otlp_count count;
    struct bytes body = http_request_body(request);
    if (!is_protobuf(http_request_header(request, "content-type")))
        answer_failure(otlp, request, 415, RPC_INVALID_ARGUMENT,
                       "content types accepted: application/x-protobuf");
    else if (otlp_walk(body, TELEMETRY_TRACES, &count) < 0)
        answer_failure(otlp, request, 400, RPC_INVALID_ARGUMENT, "not an ExportTraceServiceRequest");
    else if (count.records == 0)
        answer_success(otlp, request);
    else if (body.len > (size_t)otlp->config->queue.traces_bytes)
        answer_failure(otlp, request, 413, RPC_RESOURCE_EXHAUSTED, "larger than the queue");
    else if (body.len > room(otlp))
        answer_failure(otlp, request, 503, RPC_UNAVAILABLE, "the queue is full");
    else
        queue_request(otlp, request, &count);
}

static const struct http_route routes[] = {{"POST", "/v1/traces", serve_traces}, {0}};

/* The source of ship's lane */

static int seal(void *ctx, struct batch **ret_batch)
{
    struct otlp *otlp = ctx;
    if (otlp->batch)
        return -EAGAIN;
    /* out of memory: tried again at the next wake, or answered when late */
    if (otlp_queue_seal(&otlp->queue, &otlp->sealed, otlp->config->node, ret_batch) < 0)
        return -EAGAIN;
    otlp->batch = *ret_batch;
    return 0;
}

static void on_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct otlp *otlp = ctx;
    (void)reply;
    if (batch != otlp->batch)
        return;
    otlp->batch = NULL;
    end_all(otlp, &otlp->sealed, 200, 0, NULL);
    arm_timer(otlp);
}

static void on_refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct otlp *otlp = ctx;
    char message[512];
    if (batch != otlp->batch)
        return;
    otlp->batch = NULL;
    snprintf(message, sizeof message, "refused by the gateway: %s", reason);
    end_all(otlp, &otlp->sealed, 400, RPC_INVALID_ARGUMENT, message);
    arm_timer(otlp);
}

/* The clients still wait for the batch in flight, or its repeat is recognised: it is sent again as it is. */
static bool on_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                       const struct batch *in_flight)
{
    (void)ctx, (void)reply, (void)handed_over, (void)in_flight;
    return false;
}

struct ship_source otlp_source(struct otlp *otlp)
{
    return (struct ship_source){otlp, seal, on_committed, on_refused, on_resumed};
}

/* Life */

void otlp_set_ship(struct otlp *otlp, struct ship *ship)
{
    otlp->ship = ship;
    if (ship && otlp->queue.first)
        ship_wake(ship, TELEMETRY_TRACES);
}

int otlp_port(const struct otlp *otlp)
{
    return http_server_port(otlp->server);
}

void otlp_stop(struct otlp *otlp)
{
    http_server_stop(otlp->server);
}

static int encode_labels(const struct conf_map *labels, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < labels->count && !err; i++)
        err = otlp_put_attribute(out, labels->items[i].key, labels->items[i].value);
    return err;
}

static int listen_http(struct otlp *otlp)
{
    const struct agent_config *config = otlp->config;
    size_t body = (size_t)config->otlp.max_request_bytes, queue = (size_t)config->queue.traces_bytes;
    struct http_limits limits = {.body_bytes = body, .raw_body_bytes = body};
    /* what is being received beside what waits; always room for one body while it is received as gzip */
    limits.in_flight_bytes = (queue > body ? queue : body) + body / 4 + 64 * 1024;
    return http_server_new(otlp->loop, config->otlp.listen_http, routes, otlp, &limits, &otlp->server);
}

int otlp_new(uv_loop_t *loop, const struct agent_config *config, struct stats *stats, struct otlp **ret_otlp)
{
    struct otlp *otlp = calloc(1, sizeof *otlp);
    if (!otlp)
        return -ENOMEM;
    *otlp = (struct otlp){.loop = loop, .config = config, .stats = stats};
    otlp_queue_init(&otlp->queue);
    otlp_queue_init(&otlp->sealed);
    buf_init(&otlp->labels, LABEL_BYTES);
    int err = encode_labels(&config->labels, &otlp->labels);
    if (err == 0)
        err = listen_http(otlp);
    if (err < 0) {
        buf_fini(&otlp->labels);
        free(otlp);
        return err;
    }
    uv_timer_init(loop, &otlp->timer);
    otlp->timer.data = otlp;
    otlp->records = stats_cell(stats, AGENT_OTLP_RECORDS, "traces");
    otlp->queue_bytes = stats_cell(stats, AGENT_QUEUE_BYTES, "traces");
    otlp->possible_repeats = stats_cell(stats, AGENT_OTLP_POSSIBLE_REPEATS, "traces");
    *ret_otlp = otlp;
    return 0;
}

static void free_list(struct otlp *otlp, struct otlp_queue *list)
{
    for (struct otlp_waiting *w; (w = otlp_queue_take_first(list));)
        free_waiting(otlp, w);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct otlp *otlp = handle->data;
    buf_fini(&otlp->labels);
    free(otlp);
}

void otlp_close(struct otlp *otlp)
{
    if (!otlp)
        return;
    http_server_close(otlp->server);
    free_list(otlp, &otlp->queue);
    free_list(otlp, &otlp->sealed);
    uv_close((uv_handle_t *)&otlp->timer, on_timer_closed);
}
