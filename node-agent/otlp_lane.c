#include "node-agent/otlp_lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/metrics.h"
#include "node-agent/otlp_answer.h"

static const char late_message[] = "not committed in time";

void otlp_lane_init(struct otlp_lane *lane, struct otlp *otlp, enum telemetry signal)
{
    const char *name = telemetry_name(signal);
    *lane = (struct otlp_lane){.otlp = otlp, .signal = signal};
    otlp_queue_init(&lane->queue);
    otlp_queue_init(&lane->sealed);
    lane->records = stats_cell(otlp->stats, AGENT_OTLP_RECORDS, name);
    lane->queue_bytes = stats_cell(otlp->stats, AGENT_OTLP_QUEUE_BYTES, name);
    lane->possible_repeats = stats_cell(otlp->stats, AGENT_OTLP_POSSIBLE_REPEATS, name);
}

static void hold(struct otlp_lane *lane, size_t more, size_t less)
{
    lane->held_bytes += more - less;
    lane->otlp->held_bytes += more - less;
    stats_set(lane->queue_bytes, (int64_t)lane->held_bytes);
}

size_t otlp_lane_room(const struct otlp *otlp)
{
    size_t most = (size_t)otlp->config->queue.traces_bytes;
    return otlp->held_bytes < most ? most - otlp->held_bytes : 0;
}

static void free_waiting(struct otlp_lane *lane, struct otlp_waiting *w)
{
    hold(lane, 0, w->len);
    free(w->bytes);
    free(w);
}

static void fail(struct otlp_lane *lane, struct otlp_waiting *w, int status, const char *message)
{
    if (w->request)
        otlp_answer_failure(lane->otlp->stats, lane->signal, w->request, status, message);
    w->request = NULL;
}

/* Ends every request of the list: with 200 (message NULL), or as a failure. */
static void end_all(struct otlp_lane *lane, struct otlp_queue *list, int status, const char *message)
{
    for (struct otlp_waiting *w; (w = otlp_queue_take_first(list)); free_waiting(lane, w)) {
        if (message)
            fail(lane, w, status, message);
        else if (w->request)
            otlp_answer_success(lane->otlp->stats, lane->signal, w->request);
    }
}

/* Deadlines */

static void expire_queue(struct otlp_lane *lane, int64_t now_ms)
{
    while (lane->queue.first && lane->queue.first->deadline_ms <= now_ms) {
        struct otlp_waiting *w = otlp_queue_take_first(&lane->queue);
        fail(lane, w, 503, late_message);
        free_waiting(lane, w);
    }
}

/* The batch may be with the gateway: it stays in flight, only its clients stop waiting. */
static void leave_sealed(struct otlp_lane *lane, int64_t now_ms)
{
    for (struct otlp_waiting *w = lane->sealed.first; w && w->deadline_ms <= now_ms; w = w->next) {
        if (!w->request)
            continue;
        stats_add(lane->possible_repeats, (int64_t)w->count.records);
        fail(lane, w, 503, late_message);
    }
}

static void expire_sealed(struct otlp_lane *lane, int64_t now_ms)
{
    const struct otlp_waiting *first = otlp_queue_first_unanswered(&lane->sealed);
    if (!first || first->deadline_ms > now_ms)
        return;
    if (ship_withdraw(lane->otlp->ship, lane->signal, lane->batch)) {
        lane->batch = NULL;
        end_all(lane, &lane->sealed, 503, late_message);
    } else {
        leave_sealed(lane, now_ms);
    }
}

void otlp_lane_expire(struct otlp_lane *lane, int64_t now_ms)
{
    expire_sealed(lane, now_ms);
    expire_queue(lane, now_ms);
}

/* All wait equally long: the earliest deadline is that of the first in flight that still has its client, else
 * of the first in the queue. */
int64_t otlp_lane_due(const struct otlp_lane *lane)
{
    const struct otlp_waiting *w = otlp_queue_first_unanswered(&lane->sealed);
    if (!w)
        w = lane->queue.first;
    return w ? w->deadline_ms : INT64_MAX;
}

/* Requests */

static void on_gone(void *ctx)
{
    struct otlp_waiting *w = ctx;
    w->request = NULL;
    otlp_count_answer(w->lane->otlp->stats, w->lane->signal, "499"); /* nginx's code for a client that left */
}

int otlp_lane_add(struct otlp_lane *lane, struct http_request *request, uint8_t *bytes, size_t len,
                  const struct otlp_count *count)
{
    struct otlp *otlp = lane->otlp;
    struct otlp_waiting *w = calloc(1, sizeof *w);
    if (!w) {
        free(bytes);
        return -ENOMEM;
    }
    uint8_t *exact = realloc(bytes, len);
    *w = (struct otlp_waiting){
        .lane = lane, .request = request, .bytes = exact ? exact : bytes, .len = len, .count = *count};
    w->deadline_ms = (int64_t)uv_now(otlp->loop) + otlp->config->otlp.ack_timeout_ms;
    hold(lane, len, 0);
    stats_add(lane->records, (int64_t)count->records);
    otlp_queue_append(&lane->queue, w);
    http_request_on_gone(request, on_gone, w);
    otlp_arm(otlp);
    if (otlp->ship)
        ship_wake(otlp->ship, lane->signal);
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

/* The source of ship's lane */

static int seal(void *ctx, struct batch **ret_batch)
{
    struct otlp_lane *lane = ctx;
    if (lane->batch)
        return -EAGAIN;
    /* out of memory: tried again at the next wake, or answered when late */
    if (otlp_queue_seal(&lane->queue, &lane->sealed, lane->signal, ship_origin(lane->otlp->ship), ret_batch) < 0)
        return -EAGAIN;
    lane->batch = *ret_batch;
    return 0;
}

static void on_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct otlp_lane *lane = ctx;
    (void)reply;
    if (batch != lane->batch)
        return;
    lane->batch = NULL;
    end_all(lane, &lane->sealed, 200, NULL);
    otlp_arm(lane->otlp);
}

static void on_refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct otlp_lane *lane = ctx;
    char message[512];
    if (batch != lane->batch)
        return;
    lane->batch = NULL;
    snprintf(message, sizeof message, "refused by the gateway: %s", reason);
    end_all(lane, &lane->sealed, 400, message);
    otlp_arm(lane->otlp);
}

/* The clients still wait for the batch in flight, or its repeat is recognised: it is sent again as it is. */
static bool on_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                       const struct batch *in_flight)
{
    (void)ctx, (void)reply, (void)handed_over, (void)in_flight;
    return false;
}

struct ship_source otlp_lane_source(struct otlp_lane *lane)
{
    return (struct ship_source){lane, seal, on_committed, on_refused, on_resumed};
}
