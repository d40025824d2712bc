#include "node-agent/otlp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/http_server.h"
#include "base/otlp_walk.h"
#include "node-agent/otlp_answer.h"
#include "node-agent/otlp_lane.h"

enum { LABEL_BYTES = 64 * 1024, IDLE_MS = 5 * 60 * 1000 };

/* Deadlines */

static void on_timer(uv_timer_t *timer)
{
    struct otlp *otlp = timer->data;
    int64_t now_ms = (int64_t)uv_now(otlp->loop);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_expire(&otlp->lanes[i], now_ms);
    otlp_arm(otlp);
}

void otlp_arm(struct otlp *otlp)
{
    int64_t now_ms = (int64_t)uv_now(otlp->loop), due_ms = INT64_MAX;
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        int64_t due = otlp_lane_due(&otlp->lanes[i]);
        due_ms = due < due_ms ? due : due_ms;
    }
    if (due_ms == INT64_MAX)
        uv_timer_stop(&otlp->timer);
    else
        uv_timer_start(&otlp->timer, on_timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 1, 0);
}

/* Requests */

/* A request that is being looked at: its message, and the memory it is in. */
struct incoming {
    struct otlp *otlp;
    struct http_request *request;
    enum telemetry signal;
    uint8_t *bytes; /* owned */
    size_t len;
};

static void refuse(struct incoming *in, int status, const char *message)
{
    free(in->bytes);
    in->bytes = NULL;
    otlp_answer_failure(in->otlp->stats, in->signal, in->request, status, message);
}

/* Takes a gRPC message out of its frame. */
static int unframe(struct incoming *in)
{
    struct buf storage;
    struct bytes message;
    buf_init(&storage, 0);
    int err =
        grpc_message((struct bytes){in->bytes, in->len}, http_request_header(in->request, "grpc-encoding"),
                     (size_t)in->otlp->config->otlp.max_request_bytes, &storage, &message);
    if (err < 0) {
        buf_fini(&storage);
        return err;
    }
    if (storage.ptr) {
        free(in->bytes);
        in->bytes = buf_detach(&storage, &in->len);
    } else {
        in->len = message.len;
        memmove(in->bytes, message.ptr, message.len);
    }
    buf_fini(&storage);
    return 0;
}

/* Takes the request's body as a protobuf message; false: refused. */
static bool take_message(struct incoming *in)
{
    enum otlp_form form = otlp_form_of(in->request);
    if (form == OTLP_UNKNOWN || form == OTLP_JSON ||
        (form == OTLP_GRPC && !http_request_is_http2(in->request))) {
        refuse(in, 415, "content types accepted: application/x-protobuf, application/grpc over HTTP/2");
        return false;
    }
    in->bytes = http_request_take_body(in->request, &in->len);
    int err = form == OTLP_GRPC ? unframe(in) : 0;
    if (err == -ENOTSUP)
        refuse(in, 415, "message encodings accepted: gzip, identity");
    else if (err == -EMSGSIZE)
        refuse(in, 413, "larger than a request may be");
    else if (err == -ENOMEM)
        refuse(in, 503, "out of memory");
    else if (err < 0)
        refuse(in, 400, "not one message in gRPC's frame");
    return err == 0;
}

/* The labels that are put on each resource. */
static int add_labels(struct incoming *in)
{
    struct otlp *otlp = in->otlp;
    struct buf out;
    if (!otlp->labels.len)
        return 0;
    buf_init(&out, otlp_lane_room(otlp));
    int err =
        otlp_add_resource_attributes((struct bytes){in->bytes, in->len}, buf_bytes(&otlp->labels), &out);
    if (err == 0) {
        free(in->bytes);
        in->bytes = buf_detach(&out, &in->len);
    }
    buf_fini(&out);
    return err;
}

static void queue_request(struct incoming *in, const struct otlp_count *count)
{
    struct otlp *otlp = in->otlp;
    int err = add_labels(in);
    if (err == -EMSGSIZE && otlp->held_bytes == 0) {
        refuse(in, 413, "larger than the queue with labels");
        return;
    }
    if (err == 0) {
        err = otlp_lane_add(&otlp->lanes[in->signal], in->request, in->bytes, in->len, count);
        in->bytes = NULL;
    }
    if (err < 0)
        refuse(in, 503, "the queue is full");
}

static void serve(struct otlp *otlp, struct http_request *request, enum telemetry signal)
{
    static const char *const wrong[TELEMETRY_COUNT] = {"not an ExportMetricsServiceRequest",
                                                       "not an ExportLogsServiceRequest",
                                                       "not an ExportTraceServiceRequest"};
    struct incoming in = {otlp, request, signal, NULL, 0};
    struct otlp_count count;
    if (!take_message(&in))
        return;
    if (otlp_walk((struct bytes){in.bytes, in.len}, signal, &count) < 0) {
        refuse(&in, 400, wrong[signal]);
    } else if (count.records == 0) {
        free(in.bytes);
        otlp_answer_success(otlp->stats, signal, request);
    } else if (in.len > (size_t)otlp->config->queue.traces_bytes) {
        refuse(&in, 413, "larger than the queue");
    } else if (in.len > otlp_lane_room(otlp)) {
        refuse(&in, 503, "the queue is full");
    } else {
        queue_request(&in, &count);
    }
}

static void serve_metrics(struct http_request *request, void *ctx)
{
    serve(ctx, request, TELEMETRY_METRICS);
}

static void serve_logs(struct http_request *request, void *ctx)
{
    serve(ctx, request, TELEMETRY_LOGS);
}

static void serve_traces(struct http_request *request, void *ctx)
{
    serve(ctx, request, TELEMETRY_TRACES);
}

static const struct http_route routes[] = {
    {"POST", "/v1/metrics", serve_metrics},
    {"POST", "/v1/logs", serve_logs},
    {"POST", "/v1/traces", serve_traces},
    {"POST", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", serve_metrics},
    {"POST", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", serve_logs},
    {"POST", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", serve_traces},
    {0},
};

/* Life */

struct ship_source otlp_source(struct otlp *otlp, enum telemetry signal)
{
    return otlp_lane_source(&otlp->lanes[signal]);
}

void otlp_set_ship(struct otlp *otlp, struct ship *ship)
{
    otlp->ship = ship;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        if (ship && otlp->lanes[i].queue.first)
            ship_wake(ship, (enum telemetry)i);
}

int otlp_port(const struct otlp *otlp)
{
    return http_server_port(otlp->http);
}

int otlp_grpc_port(const struct otlp *otlp)
{
    return otlp->grpc ? http_server_port(otlp->grpc) : 0;
}

void otlp_stop(struct otlp *otlp)
{
    http_server_stop(otlp->http);
    if (otlp->grpc)
        http_server_stop(otlp->grpc);
}

static int encode_labels(const struct conf_map *labels, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < labels->count && !err; i++)
        err = otlp_put_attribute(out, labels->items[i].key, labels->items[i].value);
    return err;
}

static int start_listening(struct otlp *otlp)
{
    const struct agent_config *config = otlp->config;
    size_t body = (size_t)config->otlp.max_request_bytes + GRPC_FRAME_BYTES;
    size_t queue = (size_t)config->queue.traces_bytes;
    struct http_limits limits = {.body_bytes = body, .raw_body_bytes = body, .idle_ms = IDLE_MS};
    limits.age_ms = (int)config->otlp.max_connection_age_ms;
    /* what is being received beside what waits; always room for one body while it is received as gzip */
    limits.in_flight_bytes = (queue > body ? queue : body) + body / 4 + 64 * 1024;
    int err = http_server_new(otlp->loop, config->otlp.listen_http, routes, otlp, &limits, &otlp->http);
    if (err < 0 || !config->otlp.listen_grpc || !config->otlp.listen_grpc[0])
        return err;
    err = http_server_new(otlp->loop, config->otlp.listen_grpc, routes, otlp, &limits, &otlp->grpc);
    if (err < 0)
        http_server_close(otlp->http);
    return err;
}

int otlp_new(uv_loop_t *loop, const struct agent_config *config, struct stats *stats, struct otlp **ret_otlp)
{
    struct otlp *otlp = calloc(1, sizeof *otlp);
    if (!otlp)
        return -ENOMEM;
    *otlp = (struct otlp){.loop = loop, .config = config, .stats = stats};
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_init(&otlp->lanes[i], otlp, (enum telemetry)i);
    buf_init(&otlp->labels, LABEL_BYTES);
    int err = encode_labels(&config->labels, &otlp->labels);
    if (err == 0)
        err = start_listening(otlp);
    if (err < 0) {
        buf_fini(&otlp->labels);
        free(otlp);
        return err;
    }
    uv_timer_init(loop, &otlp->timer);
    otlp->timer.data = otlp;
    *ret_otlp = otlp;
    return 0;
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
    http_server_close(otlp->http);
    http_server_close(otlp->grpc);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_free(&otlp->lanes[i]);
    uv_close((uv_handle_t *)&otlp->timer, on_timer_closed);
}
