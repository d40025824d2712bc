/* ship.c - the links' events, the tick, the end. */
#include "node-agent/ship/ship.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship_inside.h"

enum { TICK_MS = 1000, BURY_MS = 5 };
#define CONNECT_NS (1 * SHIP_SECONDS)   /* before the other gateways are dialled too */
#define BURY_MOST_NS (2 * SHIP_SECONDS) /* for nng to let go of closed links */
#define TOLD_NS (5 * SHIP_SECONDS)      /* for all lanes to be told of a drain */

/* ---- what the lanes ask */

const char *ship_origin(const struct ship *ship)
{
    return ship->origin;
}

const char *ship_bulk_origin(const struct ship *ship)
{
    return ship->bulk_origin;
}

void ship_use_bulk(struct ship *ship)
{
    ship->lanes[TELEMETRY_LOGS].has_bulk = true;
}

void ship_ask(struct ship *ship, enum telemetry signal)
{
    lane_ask(&ship->lanes[signal]);
}

struct link *ship_link(struct ship *ship)
{
    return ship->current ? ship->current->link : NULL;
}

bool ship_has_one_gateway(const struct ship *ship)
{
    return !ship->routes.has_known_others;
}

struct boot ship_boot(const struct ship *ship)
{
    return ship->boot;
}

const struct agent_config *ship_config(const struct ship *ship)
{
    return ship->config;
}

struct stats *ship_stats(const struct ship *ship)
{
    return ship->stats;
}

struct loop *ship_loop(const struct ship *ship)
{
    return ship->loop;
}

bool ship_is_going_back(const struct ship *ship)
{
    return ship->going_back_since_ns != 0;
}

bool ship_is_draining(const struct ship *ship)
{
    return ship->drain.is_on;
}

/* ---- link events */

static void on_up(void *ctx, struct link *link)
{
    struct ship *ship = ctx;
    struct route *found = ship->current ? NULL : ship_pick(ship);
    if (found)
        ship_move_to(ship, found);
    else if (ship->current && ship->current->link == link) /* a new pipe to the same one: greet it */
        ship_move_to(ship, ship->current);
}

static void on_down(void *ctx, struct link *link)
{
    struct ship *ship = ctx;
    if (ship->current && ship->current->link == link)
        ship_leave(ship, "closed");
}

static void on_peers(void *ctx)
{
    struct ship *ship = ctx;
    routes_update(&ship->routes, ship->peers);
    if (!ship->current && ship->routes.count)
        routes_open(&ship->routes, ship->routes.items[0]);
}

/* Where the rows of a drained gateway went is recognised by the buffer's name. */
static void learn_buffers(struct ship *ship, int channel)
{
    char *known = ship->current->buffer_ids[channel];
    snprintf(known, sizeof ship->current->buffer_ids[channel], "%s", ship->lanes[channel].buffer_id);
}

static void on_answered(void *ctx, struct link *link, int channel, struct bytes frame)
{
    struct ship *ship = ctx;
    if (!ship->current || ship->current->link != link)
        return;
    if (channel == SHIP_ASSIGNMENT_CHANNEL)
        ship_take_assignment(ship, frame);
    else {
        struct route *at = ship->current;
        lane_take_answer(&ship->lanes[channel], frame);
        if (ship->current == at && ship->lanes[channel].is_resumed)
            learn_buffers(ship, channel);
    }
}

static void on_freed(void *ctx, struct link *link, int channel)
{
    struct ship *ship = ctx;
    if (!ship->current || ship->current->link != link)
        return;
    if (channel == SHIP_ASSIGNMENT_CHANNEL)
        ship_ask_assignment(ship);
    else
        lane_advance(&ship->lanes[channel]);
}

/* ---- the end */

static void finish_drain(struct ship *ship)
{
    void (*done)(void *ctx) = ship->drain.done;
    ship->drain.done = NULL;
    if (done)
        done(ship->drain.ctx);
}

void ship_lane_finished(struct ship *ship)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        if (lane_is_used(&ship->lanes[i]) && ship->lanes[i].state != SHIP_DRAINED)
            return;
    finish_drain(ship);
}

static void on_tick(uv_timer_t *timer)
{
    struct ship *ship = timer->data;
    int64_t now = clock_mono_ns();
    if (!ship->current && now - ship->choosing_since_ns > CONNECT_NS) {
        routes_open_all(&ship->routes);
        peers_refresh(ship->peers);
    }
    struct route *found = ship->current ? NULL : ship_pick(ship);
    if (found)
        ship_move_to(ship, found);
    if (ship->current && ship->told_since_ns && now - ship->told_since_ns > TOLD_NS)
        ship_leave_draining(ship);
    if (ship->assignment.is_asking &&
        now - ship->assignment.asked_ns > ship->config->gateway.ack_deadline_ms * 1000000)
        ship_leave(ship, "deadline");
    ship_ask_assignment(ship);
    ship_consider_going_back(ship, now);
    routes_sweep(&ship->routes, ship->current);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_tell_refusals(&ship->lanes[i]);
    if (ship->drain.is_on && now >= ship->drain.until_ns)
        finish_drain(ship);
}

/* ---- public */

static int draw_boot(struct boot *ret_boot)
{
    struct boot boot = {.started_ns = clock_wall_ns()};
    if (getrandom(&boot.id, sizeof boot.id, 0) != sizeof boot.id)
        return -EIO;
    *ret_boot = boot;
    return 0;
}

/* A name that would be too long loses its end, never the boot. */
static void name_origin(struct ship *ship, enum ship_origin origin)
{
    enum { BOOT_CHARS = 1 + 16 };
    const int max = BATCH_MAX_ORIGIN - (origin == SHIP_OF_BOOT ? BOOT_CHARS : 0);
    int len = snprintf(ship->origin, (size_t)max + 1, "%s", ship->config->node);
    len = len < 0 ? 0 : len > max ? max : len;
    if (origin == SHIP_OF_BOOT)
        snprintf(ship->origin + len, sizeof ship->origin - (size_t)len, "/%016" PRIx64, ship->boot.id);
    batch_name_bulk(ship->origin, ship->bulk_origin);
}

static int open_peers(struct ship *ship)
{
    struct buf errors;
    char quoted[512];
    buf_init(&errors, 4096);
    int err =
        peers_new(&ship->loop->uv, &ship->config->gateway.addresses, on_peers, ship, &ship->peers, &errors);
    if (err < 0 && buf_append(&errors, "", 1) == 0)
        log_error("ship: gateway.addresses", "error=%s",
                  log_quote((char *)errors.ptr, quoted, sizeof quoted));
    buf_fini(&errors);
    return err;
}

int ship_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
             const struct ship_source sources[TELEMETRY_COUNT], enum ship_origin origin,
             struct ship **ret_ship)
{
    struct ship *ship = calloc(1, sizeof *ship);
    if (!ship)
        return -ENOMEM;
    ship->loop = loop;
    ship->config = config;
    ship->stats = stats;
    int err = draw_boot(&ship->boot);
    name_origin(ship, origin);
    if (err == 0)
        err = open_peers(ship);
    if (err < 0) {
        free(ship);
        return err;
    }
    routes_init(&ship->routes, &loop->mailbox, config, ship->origin,
                (struct link_events){ship, on_up, on_down, on_answered, on_freed});
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_init(&ship->lanes[i], ship, (enum telemetry)i, &sources[i]);
    uv_timer_init(&loop->uv, &ship->tick);
    ship->tick.data = ship;
    uv_timer_start(&ship->tick, on_tick, TICK_MS, TICK_MS);
    ship->choosing_since_ns = clock_mono_ns();
    on_peers(ship);
    *ret_ship = ship;
    return 0;
}

void ship_set_refusals(struct ship *ship, struct refusals *refusals)
{
    ship->refusals = refusals;
}

struct refusals *ship_refusals(const struct ship *ship)
{
    return ship->refusals;
}

void ship_wake(struct ship *ship, enum telemetry signal)
{
    lane_advance(&ship->lanes[signal]);
}

bool ship_is_idle(const struct ship *ship, enum telemetry signal)
{
    const struct lane *lane = &ship->lanes[signal];
    return ship->current && link_can_take(ship->current->link, (int)signal) && lane->state == SHIP_READY &&
           !lane->batch && !lane->is_draining && !ship->going_back_since_ns;
}

bool ship_withdraw(struct ship *ship, enum telemetry signal, const struct batch *batch)
{
    struct lane *lane = &ship->lanes[signal];
    return batch && lane->batch == batch && lane_withdraw(lane);
}

int64_t ship_stalled_ms(struct ship *ship, enum telemetry signal)
{
    return lane_stalled_ms(&ship->lanes[signal]);
}

const struct batch *ship_batch(const struct ship *ship, enum telemetry signal)
{
    const struct batch *batch = ship->lanes[signal].batch;
    return batch && !batch_is_report(batch) ? batch : NULL;
}

bool ship_give_up(struct ship *ship, enum telemetry signal, bool only_unsent, struct batch **ret_batch)
{
    return lane_give_up(&ship->lanes[signal], only_unsent, ret_batch);
}

enum ship_state ship_state(const struct ship *ship, enum telemetry signal)
{
    return ship->lanes[signal].state;
}

const char *ship_gateway(const struct ship *ship)
{
    return ship->current ? ship->current->peer.url : "";
}

const char *ship_trouble(const struct ship *ship, enum telemetry signal)
{
    return ship->lanes[signal].trouble;
}

void ship_on_assignment(struct ship *ship, void (*fn)(void *ctx, const struct assignment *assignment),
                        void *ctx)
{
    ship->assignment.fn = fn;
    ship->assignment.ctx = ctx;
}

void ship_drain(struct ship *ship, int64_t timeout_ms, void (*done)(void *ctx), void *ctx)
{
    ship->drain.done = done;
    ship->drain.ctx = ctx;
    ship->drain.until_ns = clock_mono_ns() + timeout_ms * 1000000;
    ship->drain.is_on = true;
    uv_timer_start(&ship->tick, on_tick, (uint64_t)(timeout_ms < TICK_MS ? timeout_ms : TICK_MS), TICK_MS);
    ship_advance(ship);
    ship_lane_finished(ship); /* no lane may be in use at all */
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct ship *ship = handle->data;
    if (--ship->handles_open)
        return;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_fini(&ship->lanes[i]);
    free(ship);
}

/* Letters of closed links are still to be opened, even when the loop's own mailbox handle is closed. */
static void on_bury(uv_timer_t *timer)
{
    struct ship *ship = timer->data;
    mailbox_drain(&ship->loop->mailbox);
    if (link_closing() > 0 && clock_mono_ns() < ship->bury_until_ns)
        return;
    ship->handles_open = TELEMETRY_COUNT + 1;
    uv_close((uv_handle_t *)&ship->tick, on_handle_closed);
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        ship->lanes[i].timer.data = ship;
        uv_close((uv_handle_t *)&ship->lanes[i].timer, on_handle_closed);
    }
}

void ship_close(struct ship *ship)
{
    if (!ship)
        return;
    peers_close(ship->peers);
    routes_fini(&ship->routes);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        uv_timer_stop(&ship->lanes[i].timer);
    ship->current = NULL;
    ship->bury_until_ns = clock_mono_ns() + BURY_MOST_NS;
    uv_timer_start(&ship->tick, on_bury, 0, BURY_MS);
}
