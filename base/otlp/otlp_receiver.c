#include "base/otlp/otlp_receiver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/otlp/otlp_answer.h"
#include "base/otlp/otlp_depth.h"
#include "base/otlp/otlp_json.h"
#include "base/otlp/otlp_lane.h"

enum { IDLE_MS = 5 * 60 * 1000, HOST_BYTES = 64, MOST_SHRINKING = 8, QUIET_LOOK_MS = 10 };

/* Deadlines */

static void on_timer(uv_timer_t *timer)
{
    struct otlp_receiver *receiver = timer->data;
    int64_t now_ms = (int64_t)uv_now(receiver->loop);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_expire(&receiver->lanes[i], now_ms);
    otlp_receiver_arm(receiver);
}

void otlp_receiver_arm(struct otlp_receiver *receiver)
{
    int64_t now_ms = (int64_t)uv_now(receiver->loop), due_ms = INT64_MAX;
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        int64_t due = otlp_lane_due(&receiver->lanes[i]);
        due_ms = due < due_ms ? due : due_ms;
    }
    if (due_ms == INT64_MAX)
        uv_timer_stop(&receiver->timer);
    else
        uv_timer_start(&receiver->timer, on_timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 1, 0);
}

/* Requests */

/* A request that is being looked at: its message, and the memory it is in. */
struct incoming {
    struct otlp_lane *lane;
    struct http_request *request;
    uint8_t *bytes; /* owned */
    size_t len;
    char unknown_host[HOST_BYTES]; /* the sender's, when the batch is to name it; else "" */
};

static const struct otlp_options *options_of(const struct incoming *in)
{
    return &in->lane->receiver->options;
}

static void refuse(struct incoming *in, int status, const char *message)
{
    free(in->bytes);
    in->bytes = NULL;
    otlp_lane_refuse(in->lane, in->request, status, message);
}

/* The buffer's bytes become the message. */
static void replace_bytes(struct incoming *in, struct buf *by)
{
    free(in->bytes);
    in->bytes = buf_detach(by, &in->len);
}

/* Takes a gRPC message out of its frame. */
static int unframe(struct incoming *in)
{
    struct buf storage;
    struct bytes message;
    buf_init(&storage, 0);
    int err =
        grpc_message((struct bytes){in->bytes, in->len}, http_request_header(in->request, "grpc-encoding"),
                     options_of(in)->max_request_bytes, &storage, &message);
    if (err < 0) {
        buf_fini(&storage);
        return err;
    }
    if (storage.ptr) {
        replace_bytes(in, &storage);
    } else {
        in->len = message.len;
        memmove(in->bytes, message.ptr, message.len);
    }
    buf_fini(&storage);
    return 0;
}

static int transcode(struct incoming *in)
{
    struct buf out;
    buf_init(&out, options_of(in)->max_request_bytes);
    int err = otlp_json_transcode((struct bytes){in->bytes, in->len}, in->lane->signal, &out);
    if (err == 0)
        replace_bytes(in, &out);
    buf_fini(&out);
    return err;
}

/* Takes the request's body as a protobuf message; false: refused. */
static bool take_message(struct incoming *in)
{
    enum otlp_form form = otlp_form_of(in->request);
    if (form == OTLP_UNKNOWN || (form == OTLP_GRPC && !http_request_is_http2(in->request))) {
        refuse(
            in, 415,
            "content types accepted: application/x-protobuf, application/json, application/grpc over HTTP/2");
        return false;
    }
    in->bytes = http_request_take_body(in->request, &in->len);
    int err = form == OTLP_GRPC ? unframe(in) : form == OTLP_JSON ? transcode(in) : 0;
    if (err == -ENOTSUP)
        refuse(in, 415, "message encodings accepted: gzip, identity");
    else if (err == -EPROTO)
        refuse(in, 500, "a compressed message that is not as grpc-encoding says");
    else if (err == -ENOTUNIQ)
        refuse(in, 501, "a call has exactly one message");
    else if (err == -EMSGSIZE)
        refuse(in, 413, "larger than a request may be");
    else if (err == -ENOMEM)
        refuse(in, 503, "out of memory");
    else if (err < 0)
        refuse(in, 400,
               form == OTLP_GRPC ? "not one message in gRPC's frame" : "not an OTLP request in JSON");
    return err == 0;
}

/* The sender's address without its port; an IPv4 address in IPv6's clothes as it is. */
static void host_of(const struct http_request *request, char host[HOST_BYTES])
{
    const char *peer = http_request_peer(request), *colon = strrchr(peer, ':');
    size_t len = colon ? (size_t)(colon - peer) : strlen(peer);
    if (len >= 2 && peer[0] == '[') {
        peer++;
        len -= 2;
    }
    if (len > 7 && strncasecmp(peer, "::ffff:", 7) == 0 && memchr(peer, '.', len)) {
        peer += 7;
        len -= 7;
    }
    snprintf(host, HOST_BYTES, "%.*s", (int)len, peer);
}

/* The labels and what is known of the sender are put on each resource. */
static int add_attributes(struct incoming *in)
{
    const struct otlp_receiver *receiver = in->lane->receiver;
    const struct otlp_options *options = &receiver->options;
    char host[HOST_BYTES];
    struct buf attributes, out;
    buf_init(&attributes, OTLP_ATTRIBUTE_BYTES);
    host_of(in->request, host);
    int known = options->attributes ? options->attributes(options->ctx, host, &attributes) : 0;
    if (known < 0)
        buf_clear(&attributes);
    if (known == 1)
        memcpy(in->unknown_host, host, sizeof host);
    int err = buf_append(&attributes, receiver->labels.ptr, receiver->labels.len);
    if (err == 0 && attributes.len) {
        buf_init(&out, options->queue_bytes);
        err = otlp_add_resource_attributes((struct bytes){in->bytes, in->len}, buf_bytes(&attributes), &out);
        if (err == 0)
            replace_bytes(in, &out);
        buf_fini(&out);
    }
    buf_fini(&attributes);
    return err;
}

static void queue_request(struct incoming *in, const struct otlp_count *count)
{
    int err = add_attributes(in);
    if (err == -EMSGSIZE) {
        refuse(in, 413, "larger than the queue with attributes");
        return;
    }
    if (err == 0) {
        err = otlp_lane_add(in->lane, in->request, in->bytes, in->len, count, in->unknown_host);
        in->bytes = NULL;
    }
    if (err < 0)
        refuse(in, 503, "the queue is full");
}

static void serve(struct otlp_receiver *receiver, struct http_request *request, enum telemetry signal)
{
    static const char *const wrong[TELEMETRY_COUNT] = {"not an ExportMetricsServiceRequest",
                                                       "not an ExportLogsServiceRequest",
                                                       "not an ExportTraceServiceRequest"};
    struct incoming in = {.lane = &receiver->lanes[signal], .request = request};
    struct otlp_count count;
    if (!take_message(&in))
        return;
    struct bytes message = {in.bytes, in.len};
    if (otlp_walk(message, signal, &count) < 0) {
        refuse(&in, 400, wrong[signal]);
    } else if (otlp_depth_check(message, signal) < 0) {
        refuse(&in, 400, "values are nested too deep");
    } else if (count.records == 0) {
        free(in.bytes);
        otlp_lane_accept(in.lane, request);
    } else if (in.len > receiver->options.queue_bytes) {
        refuse(&in, 413, "larger than the queue");
    } else if (in.len / MOST_SHRINKING > otlp_lane_room(in.lane)) { /* not worth compressing */
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

/* Which signal a path is about; "unknown": none. */
static const char *signal_of(const char *path)
{
    size_t len = strcspn(path, "?");
    for (const struct http_route *r = routes; r->path; r++)
        if (strlen(r->path) == len && strncmp(r->path, path, len) == 0)
            return r->serve == serve_metrics ? "metrics" : r->serve == serve_logs ? "logs" : "traces";
    return "unknown";
}

/* What the server refuses by itself is counted and said as what is refused here. */
static const char *put_refusal(void *ctx, const struct http_refusal *refusal, struct buf *body)
{
    const struct otlp_options *options = &((struct otlp_receiver *)ctx)->options;
    char code[OTLP_CODE_BYTES];
    const char *type = otlp_answer_refusal(refusal, body, code);
    stats_add(stats_cell(options->stats, options->metrics.requests, signal_of(refusal->path), code), 1);
    return type;
}

/* Connections */

static void count_event(const struct otlp_options *options, enum http_event event)
{
    static const char *const causes[] = {
        [HTTP_EVENT_TLS_FAILED] = "tls_failed", [HTTP_EVENT_TLS_TIMEOUT] = "tls_timeout",
        [HTTP_EVENT_IDLE_ENDED] = "idle",       [HTTP_EVENT_UNFINISHED_ENDED] = "unfinished",
        [HTTP_EVENT_STALLED_ENDED] = "stalled", [HTTP_EVENT_TLS_RENEWED] = "renewed",
        [HTTP_EVENT_TLS_UNUSABLE] = "unusable",
    };
    bool is_file = event == HTTP_EVENT_TLS_RENEWED || event == HTTP_EVENT_TLS_UNUSABLE;
    int metric = is_file ? options->metrics.certificates : options->metrics.connections_ended;
    stats_add(stats_cell(options->stats, metric, causes[event]), 1);
}

static void on_event(void *ctx, enum http_event event, const char *words)
{
    const struct otlp_options *options = &((struct otlp_receiver *)ctx)->options;
    count_event(options, event);
    if (options->on_event)
        options->on_event(options->ctx, event, words);
}

/* Batches */

int otlp_receiver_seal(struct otlp_receiver *receiver, enum telemetry signal, const char *origin,
                       struct batch **ret_batch)
{
    return otlp_lane_seal(&receiver->lanes[signal], origin, ret_batch);
}

void otlp_receiver_committed(struct otlp_receiver *receiver, const struct batch *batch)
{
    otlp_lane_end(&receiver->lanes[batch->signal], batch, 200, NULL);
}

void otlp_receiver_refused(struct otlp_receiver *receiver, const struct batch *batch, const char *reason)
{
    otlp_lane_end(&receiver->lanes[batch->signal], batch, 400, reason);
}

void otlp_receiver_unavailable(struct otlp_receiver *receiver, const struct batch *batch)
{
    otlp_lane_end(&receiver->lanes[batch->signal], batch, 503, "not committed");
}

bool otlp_receiver_has(const struct otlp_receiver *receiver, enum telemetry signal)
{
    return receiver->lanes[signal].queue.first;
}

/* Life */

int otlp_receiver_port(const struct otlp_receiver *receiver)
{
    return http_server_port(receiver->http);
}

int otlp_receiver_grpc_port(const struct otlp_receiver *receiver)
{
    return receiver->grpc ? http_server_port(receiver->grpc) : 0;
}

static void look_whether_quiet(uv_timer_t *timer)
{
    struct otlp_receiver *receiver = timer->data;
    bool is_quiet =
        http_server_is_quiet(receiver->http) && (!receiver->grpc || http_server_is_quiet(receiver->grpc));
    if (!is_quiet && (int64_t)uv_now(receiver->loop) < receiver->quiet_until_ms)
        return;
    uv_timer_stop(timer);
    receiver->quiet(receiver->quiet_ctx);
}

void otlp_receiver_stop(struct otlp_receiver *receiver, int64_t most_ms, void (*quiet)(void *ctx), void *ctx)
{
    http_server_stop(receiver->http);
    if (receiver->grpc)
        http_server_stop(receiver->grpc);
    receiver->quiet = quiet;
    receiver->quiet_ctx = ctx;
    receiver->quiet_until_ms = (int64_t)uv_now(receiver->loop) + most_ms;
    uv_timer_start(&receiver->quiet_timer, look_whether_quiet, 0, QUIET_LOOK_MS);
}

static int encode_labels(const struct conf_map *labels, struct buf *out)
{
    int err = 0;
    for (size_t i = 0; i < labels->count && !err; i++)
        err = otlp_put_attribute(out, labels->items[i].key, labels->items[i].value);
    return err;
}

static int start_server(struct otlp_receiver *receiver, const char *address, const struct http_limits *limits,
                        struct http_server **ret_server)
{
    const struct http_tls_files *tls = &receiver->options.tls;
    struct http_server *server;
    char words[256] = "";
    int err = http_server_new(receiver->loop, address, routes, receiver, limits, &server);
    if (err < 0)
        return err;
    http_server_on_refusal(server, put_refusal);
    http_server_on_event(server, on_event);
    if (tls->cert_file && tls->cert_file[0])
        err = http_server_use_tls(server, tls, words, sizeof words);
    if (err < 0) {
        on_event(receiver, HTTP_EVENT_TLS_UNUSABLE, words);
        http_server_close(server);
        return err;
    }
    *ret_server = server;
    return 0;
}

static int start_listening(struct otlp_receiver *receiver)
{
    const struct otlp_options *options = &receiver->options;
    size_t body = options->max_request_bytes + GRPC_FRAME_BYTES, queue = options->queue_bytes;
    struct http_limits limits = {.body_bytes = body,
                                 .raw_body_bytes = body,
                                 .connections = options->connections,
                                 .age_ms = (int)options->max_connection_age_ms,
                                 .idle_ms = IDLE_MS};
    /* what is being received, beside what waits: always room for one body while it is received as gzip */
    limits.in_flight_bytes = (queue / 4 > body ? queue / 4 : body) + body / 4 + 64 * 1024;
    int err = start_server(receiver, options->listen_http, &limits, &receiver->http);
    if (err < 0 || !options->listen_grpc || !options->listen_grpc[0])
        return err;
    err = start_server(receiver, options->listen_grpc, &limits, &receiver->grpc);
    if (err < 0)
        http_server_close(receiver->http);
    return err;
}

int otlp_receiver_new(uv_loop_t *loop, const struct otlp_options *options,
                      struct otlp_receiver **ret_receiver)
{
    struct otlp_receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver)
        return -ENOMEM;
    *receiver = (struct otlp_receiver){.loop = loop, .options = *options};
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_init(&receiver->lanes[i], receiver, (enum telemetry)i);
    buf_init(&receiver->labels, OTLP_ATTRIBUTE_BYTES / 2);
    int err = encode_labels(&options->labels, &receiver->labels);
    if (err == 0)
        err = start_listening(receiver);
    if (err < 0) {
        buf_fini(&receiver->labels);
        free(receiver);
        return err;
    }
    uv_timer_init(loop, &receiver->timer);
    uv_timer_init(loop, &receiver->quiet_timer);
    receiver->timer.data = receiver->quiet_timer.data = receiver;
    receiver->handles_open = 2;
    *ret_receiver = receiver;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct otlp_receiver *receiver = handle->data;
    if (--receiver->handles_open)
        return;
    buf_fini(&receiver->labels);
    free(receiver);
}

void otlp_receiver_close(struct otlp_receiver *receiver)
{
    if (!receiver)
        return;
    http_server_close(receiver->http);
    http_server_close(receiver->grpc);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        otlp_lane_free(&receiver->lanes[i]);
    uv_close((uv_handle_t *)&receiver->timer, on_timer_closed);
    uv_close((uv_handle_t *)&receiver->quiet_timer, on_timer_closed);
}
