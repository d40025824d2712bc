#include "gateway/intake/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/intake/handover.h"

enum {
    TICK_MS = 100,
    ANSWERS_WAIT_MS = 5000,
    LEAVE_MS = 2500,
    VIEWS_MAX = TELEMETRY_COUNT * BUFFER_MAX_BACKENDS
};

enum drain_state {
    DRAIN_RECEIVING,    /* appends under way are answered; the rest is told `busy` */
    DRAIN_SENDING,      /* fan-out goes on; until nothing is owed or half the time is gone */
    DRAIN_HANDING_OVER, /* fan-out has stopped; rows go to the next gateways */
    DRAIN_LEAVING,      /* agents are told where their rows went; until they are gone */
    DRAIN_DONE,
};

struct drain {
    const struct gateway_config *config; /* borrowed */
    struct web_parts *parts;             /* borrowed */
    bool hands_over;
    void (*done)(void *ctx);
    void *ctx;
    enum drain_state state;
    int64_t began_ns, entered_ns;
    struct handover *handover; /* owned */
    uv_timer_t tick;
};

static int64_t elapsed_ms(int64_t since_ns)
{
    return (clock_mono_ns() - since_ns) / 1000000;
}

static int64_t left_ms(const struct drain *drain)
{
    int64_t left = drain->config->drain_timeout_ms - elapsed_ms(drain->began_ns);
    return left > 0 ? left : 0;
}

static void enter(struct drain *drain, enum drain_state state)
{
    static const char *const names[] = {"receiving", "sending", "handing over", "leaving", "done"};
    log_debug("drain", "from=\"%s\" to=\"%s\"", names[drain->state], names[state]);
    drain->state = state;
    drain->entered_ns = clock_mono_ns();
}

static void finish(struct drain *drain)
{
    enter(drain, DRAIN_DONE);
    uv_timer_stop(&drain->tick);
    drain->done(drain->ctx);
}

static uint64_t records_owed(const struct drain *drain)
{
    static struct fanout_view views[VIEWS_MAX]; /* loop thread only */
    uint64_t owed = 0;
    size_t count = fanout_views(drain->parts->fanout, views, VIEWS_MAX);
    for (size_t i = 0; i < count; i++)
        owed += views[i].ledger.buffered;
    return owed;
}

/* They are the operator's, and go with a volume that is not used again. */
static void tell_refused(const struct drain *drain)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        struct buffer_state state;
        buffer_get_state(drain->parts->buffers[s], &state);
        if (state.refused_bytes)
            log_warn("refused records are not handed over; they stay in this volume", "signal=%s bytes=%lld",
                     telemetry_name((enum telemetry)s), (long long)state.refused_bytes);
    }
}

static void on_handed(void *ctx, uint64_t rows_left)
{
    struct drain *drain = ctx;
    uint64_t rows = handover_rows(drain->handover);
    if (rows_left) {
        log_warn("not everything was handed over; the rest stays in the buffer", "rows=%llu rows_left=%llu",
                 (unsigned long long)rows, (unsigned long long)rows_left);
        finish(drain);
        return;
    }
    log_info("handed over", "rows=%llu", (unsigned long long)rows);
    receive_set_handed(drain->parts->receive, handover_went, drain->handover);
    enter(drain, DRAIN_LEAVING);
}

static void hand_over(struct drain *drain)
{
    struct buf errors;
    buf_init(&errors, 4096);
    tell_refused(drain);
    fanout_stop(drain->parts->fanout, ANSWERS_WAIT_MS);
    drain->parts->fanout = NULL;
    enter(drain, DRAIN_HANDING_OVER);
    int err = handover_new(drain->parts->loop, drain->config, drain->parts->buffers, drain->parts->receive,
                           left_ms(drain), on_handed, drain, &drain->handover, &errors);
    if (err < 0) {
        log_error("nothing can be handed over; it stays in the buffer", "error=\"%s\" words=\"%.*s\"",
                  strerror(-err), (int)errors.len, errors.len ? (const char *)errors.ptr : "");
        finish(drain);
    }
    buf_fini(&errors);
}

static void on_received(void *ctx)
{
    struct drain *drain = ctx;
    if (drain->state != DRAIN_RECEIVING)
        return;
    if (drain->hands_over)
        enter(drain, DRAIN_SENDING);
    else
        finish(drain);
}

static void on_tick(uv_timer_t *timer)
{
    struct drain *drain = timer->data;
    switch (drain->state) {
    case DRAIN_RECEIVING:
        if (left_ms(drain) == 0) {
            log_warn("agents were not all answered in time", NULL);
            finish(drain);
        }
        break;
    case DRAIN_SENDING:
        if (records_owed(drain) == 0 || left_ms(drain) <= drain->config->drain_timeout_ms / 2)
            hand_over(drain);
        break;
    case DRAIN_LEAVING:
        if (receive_connections(drain->parts->receive) == 0 || elapsed_ms(drain->entered_ns) > LEAVE_MS)
            finish(drain);
        break;
    case DRAIN_HANDING_OVER: /* has its own deadline */
    case DRAIN_DONE:
        break;
    }
}

int drain_new(const struct gateway_config *config, struct web_parts *parts, bool hands_over,
              void (*done)(void *ctx), void *ctx, struct drain **ret_drain)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (!drain)
        return -ENOMEM;
    drain->config = config;
    drain->parts = parts;
    drain->hands_over = hands_over && config->peers.count > 0;
    drain->done = done;
    drain->ctx = ctx;
    drain->began_ns = drain->entered_ns = clock_mono_ns();
    uv_timer_init(&parts->loop->uv, &drain->tick);
    drain->tick.data = drain;
    uv_timer_start(&drain->tick, on_tick, TICK_MS, TICK_MS);
    *ret_drain = drain;
    receive_drain(parts->receive, on_received, drain);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void drain_close(struct drain *drain)
{
    if (!drain)
        return;
    handover_close(drain->handover);
    uv_close((uv_handle_t *)&drain->tick, on_closed);
}
