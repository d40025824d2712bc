#include "base/otlp/otlp_lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/otlp/otlp_answer.h"

static const char late_message[] = "not committed in time";

void otlp_lane_init(struct otlp_lane *lane, struct otlp_receiver *receiver, enum telemetry signal)
{
    const char *name = telemetry_name(signal);
    struct stats *stats = receiver->options.stats;
    const struct otlp_metrics *metrics = &receiver->options.metrics;
    *lane = (struct otlp_lane){.receiver = receiver, .signal = signal, .due_ms = INT64_MAX};
    otlp_queue_init(&lane->queue, receiver->options.batch_raw_bytes);
    otlp_queue_init(&lane->sealed, 0);
    lane->records = stats_cell(stats, metrics->records, name);
    lane->queue_bytes = stats_cell(stats, metrics->queue_bytes, name);
    lane->possible_repeats = stats_cell(stats, metrics->possible_repeats, name);
}

static void hold(struct otlp_lane *lane, size_t more, size_t less)
{
    lane->held_bytes += more - less;
    lane->receiver->held_bytes += more - less;
    stats_set(lane->queue_bytes, (int64_t)lane->held_bytes);
}

size_t otlp_lane_room(const struct otlp_lane *lane)
{
    size_t most = lane->receiver->options.queue_bytes, held = lane->receiver->held_bytes;
    size_t room = held < most ? most - held : 0;
    if (!lane->held_bytes)
        return room;
    size_t own = lane->held_bytes < most / 2 ? most / 2 - lane->held_bytes : 0;
    return own < room ? own : room;
}

/* Answers */

static void count_answer(struct otlp_lane *lane, const char *code)
{
    const struct otlp_options *options = &lane->receiver->options;
    stats_add(stats_cell(options->stats, options->metrics.requests, telemetry_name(lane->signal), code), 1);
}

void otlp_lane_refuse(struct otlp_lane *lane, struct http_request *request, int status, const char *message)
{
    char code[OTLP_CODE_BYTES];
    otlp_answer_failure(request, status, message, code);
    count_answer(lane, code);
}

void otlp_lane_accept(struct otlp_lane *lane, struct http_request *request)
{
    char code[OTLP_CODE_BYTES];
    otlp_answer_success(request, code);
    count_answer(lane, code);
}

static void free_waiting(struct otlp_lane *lane, struct otlp_waiting *w)
{
    hold(lane, 0, w->len);
    free(w->bytes);
    free(w->unknown_host);
    free(w);
}

static void fail(struct otlp_lane *lane, struct otlp_waiting *w, int status, const char *message)
{
    if (w->request)
        otlp_lane_refuse(lane, w->request, status, message);
    w->request = NULL;
}

/* Ends every request of the list: with 200, or as a failure. */
static void end_all(struct otlp_lane *lane, struct otlp_queue *list, int status, const char *message)
{
    for (struct otlp_waiting *w; (w = otlp_queue_take_first(list)); free_waiting(lane, w)) {
        if (status != 200)
            fail(lane, w, status, message);
        else if (w->request)
            otlp_lane_accept(lane, w->request);
    }
}

/* Waiting for company */

static bool is_gathering(const struct otlp_lane *lane)
{
    const struct otlp_receiver *receiver = lane->receiver;
    return lane->gather_until_ms > (int64_t)uv_now(receiver->loop) && !receiver->quiet &&
           lane->queue.count < lane->gather_count && lane->queue.raw_bytes < OTLP_GATHER_RAW_BYTES;
}

/* After a batch: count requests were in it or came while it was out. */
static void start_gathering(struct otlp_lane *lane, size_t count)
{
    int64_t took_ms = (clock_mono_ns() - lane->sealed_ns) / 1000000 + 1;
    lane->gather_count = count;
    lane->gather_until_ms =
        (int64_t)uv_now(lane->receiver->loop) + (took_ms < OTLP_GATHER_MS ? took_ms : OTLP_GATHER_MS);
}

static void wake(struct otlp_lane *lane)
{
    const struct otlp_options *options = &lane->receiver->options;
    if (is_gathering(lane))
        return;
    lane->gather_until_ms = 0;
    if (lane->queue.first)
        options->wake(options->ctx, lane->signal);
}

/* Deadlines */

static void expire_queue(struct otlp_lane *lane, int64_t now_ms)
{
    for (size_t left = lane->queue.count; left; left--) {
        struct otlp_waiting *w = otlp_queue_take_first(&lane->queue);
        if (w->deadline_ms > now_ms) {
            otlp_queue_append(&lane->queue, w); /* once round: in its old order */
            continue;
        }
        fail(lane, w, 503, late_message);
        free_waiting(lane, w);
    }
}

/* The batch may be with the gateway: it stays in flight, only its clients stop waiting. */
static void leave_sealed(struct otlp_lane *lane, int64_t now_ms)
{
    for (struct otlp_waiting *w = lane->sealed.first; w; w = w->next) {
        if (!w->request || w->deadline_ms > now_ms)
            continue;
        stats_add(lane->possible_repeats, (int64_t)w->count.records);
        fail(lane, w, 503, late_message);
    }
}

/* Whether the batch is to be taken back, if it can be: header. */
static bool is_given_up(const struct otlp_lane *lane, int64_t now_ms)
{
    bool all_late = true;
    for (const struct otlp_waiting *w = lane->sealed.first; w; w = w->next) {
        if (w->request && now_ms - w->since_ms >= lane->receiver->options.ack_timeout_ms)
            return true;
        all_late = all_late && (!w->request || w->deadline_ms <= now_ms);
    }
    return all_late;
}

static void expire_sealed(struct otlp_lane *lane, int64_t now_ms)
{
    if (otlp_queue_earliest(&lane->sealed, false) > now_ms)
        return;
    const struct otlp_options *options = &lane->receiver->options;
    if (is_given_up(lane, now_ms) && options->withdraw(options->ctx, lane->signal, lane->batch)) {
        lane->batch = NULL;
        end_all(lane, &lane->sealed, 503, late_message);
    } else {
        leave_sealed(lane, now_ms);
    }
}

void otlp_lane_expire(struct otlp_lane *lane, int64_t now_ms)
{
    if (lane->due_ms <= now_ms) {
        expire_sealed(lane, now_ms);
        expire_queue(lane, now_ms);
        int64_t sealed_ms = otlp_queue_earliest(&lane->sealed, false);
        int64_t queue_ms = otlp_queue_earliest(&lane->queue, true);
        lane->due_ms = sealed_ms < queue_ms ? sealed_ms : queue_ms;
    }
    if (lane->gather_until_ms && lane->gather_until_ms <= now_ms)
        wake(lane);
}

int64_t otlp_lane_due(const struct otlp_lane *lane)
{
    int64_t due = lane->sealed.first || lane->queue.first ? lane->due_ms : INT64_MAX;
    return lane->queue.first && lane->gather_until_ms && lane->gather_until_ms < due ? lane->gather_until_ms
                                                                                     : due;
}

/* Requests */

static void on_gone(void *ctx)
{
    struct otlp_waiting *w = ctx;
    w->request = NULL;
    count_answer(w->lane, "499"); /* nginx's code for a client that left */
}

/* How long the request may wait for its answer. */
static int64_t patience_ms(const struct otlp_options *options, const struct http_request *request)
{
    if (otlp_form_of(request) != OTLP_GRPC)
        return options->ack_timeout_ms;
    int64_t client_ms = grpc_timeout_ms(http_request_header(request, "grpc-timeout"));
    client_ms = client_ms < INT64_MAX ? client_ms - client_ms / 10 : INT64_MAX;
    return client_ms < options->ack_timeout_ms ? client_ms : options->ack_timeout_ms;
}

int otlp_lane_add(struct otlp_lane *lane, struct http_request *request, uint8_t *bytes, size_t len,
                  const struct otlp_count *count, const char *unknown_host)
{
    struct otlp_receiver *receiver = lane->receiver;
    const struct otlp_options *options = &receiver->options;
    struct otlp_waiting *w = calloc(1, sizeof *w);
    if (!w) {
        free(bytes);
        return -ENOMEM;
    }
    *w = (struct otlp_waiting){.lane = lane, .bytes = bytes, .len = len, .raw_len = len, .count = *count};
    otlp_queue_compress(w);
    if (w->len > otlp_lane_room(lane)) {
        free(w->bytes);
        free(w);
        return -ENOBUFS;
    }
    if (!w->is_block) {
        uint8_t *exact = realloc(w->bytes, len);
        w->bytes = exact ? exact : w->bytes;
    }
    if (unknown_host && unknown_host[0])
        w->unknown_host = strdup(unknown_host); /* without memory: not named */
    hold(lane, w->len, 0);
    stats_add(lane->records, (int64_t)count->records);
    otlp_queue_append(&lane->queue, w);
    if (options->answers_when_queued) {
        w->deadline_ms = INT64_MAX;
        otlp_lane_accept(lane, request);
    } else {
        w->since_ms = (int64_t)uv_now(receiver->loop);
        w->deadline_ms = w->since_ms + patience_ms(options, request);
        w->request = request;
        lane->due_ms = w->deadline_ms < lane->due_ms ? w->deadline_ms : lane->due_ms;
        http_request_on_gone(request, on_gone, w);
    }
    otlp_receiver_arm(receiver);
    wake(lane);
    return 0;
}

static void free_list(struct otlp_lane *lane, struct otlp_queue *list)
{
    for (struct otlp_waiting *w; (w = otlp_queue_take_first(list));)
        free_waiting(lane, w);
}

void otlp_lane_free(struct otlp_lane *lane)
{
    free_list(lane, &lane->queue);
    free_list(lane, &lane->sealed);
}

/* Batches */

int otlp_lane_seal(struct otlp_lane *lane, const char *origin, struct batch **ret_batch)
{
    if (lane->batch || is_gathering(lane))
        return -EAGAIN;
    /* out of memory: tried again at the next wake, or answered when late */
    if (otlp_queue_seal(&lane->queue, &lane->sealed, lane->signal, origin, ret_batch) < 0)
        return -EAGAIN;
    lane->batch = *ret_batch;
    lane->sealed_ns = clock_mono_ns();
    lane->gather_until_ms = 0;
    return 0;
}

void otlp_lane_end(struct otlp_lane *lane, const struct batch *batch, int status, const char *message)
{
    if (batch != lane->batch)
        return;
    lane->batch = NULL;
    size_t count = lane->sealed.count + lane->queue.count;
    end_all(lane, &lane->sealed, status, message);
    if (count > 1 && status == 200)
        start_gathering(lane, count);
    otlp_receiver_arm(lane->receiver);
}
