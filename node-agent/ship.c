/* ship.c - chooses the gateway and moves the lanes to it, all at once; the assignment; the end. */
#include "node-agent/ship.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship_lane.h"
#include "node-agent/ship_routes.h"

enum { TICK_MS = 1000, ASSIGNMENT_CHANNEL = TELEMETRY_COUNT, BURY_MS = 5 };
#define SECONDS INT64_C(1000000000)
#define CONNECT_NS (1 * SECONDS)     /* before the other gateways are dialled too */
#define PATIENCE_NS (3 * SECONDS)    /* before a gateway that drains is taken again for want of another */
#define GOING_BACK_NS (10 * SECONDS) /* a try that takes longer is given up */
#define AVOID_NS (60 * SECONDS)      /* a gateway that drains, or whose disk fails */
#define BURY_MOST_NS (2 * SECONDS)   /* for nng to let go of closed links */
#define TOLD_NS (5 * SECONDS)        /* for all lanes to be told of a drain */

struct ship {
    struct loop *loop;                 /* borrowed */
    const struct agent_config *config; /* borrowed */
    struct stats *stats;               /* borrowed */
    struct boot boot;
    char origin[BATCH_MAX_ORIGIN + 1], bulk_origin[BATCH_MAX_ORIGIN + 1];
    struct peers *peers;       /* owned */
    struct refusals *refusals; /* borrowed; NULL: none are told */
    struct routes routes;
    struct route *current; /* in routes; NULL: none is up */
    struct route *last;    /* where we were before, to try the others first; only compared */
    struct lane lanes[TELEMETRY_COUNT];
    uv_timer_t tick;
    int64_t choosing_since_ns; /* monotonic; since when no gateway is in use */
    int64_t go_back_after_ns;
    int64_t going_back_since_ns; /* 0: not going back */
    int64_t told_since_ns;       /* 0: no lane was told that the gateway drains */
    struct {
        void (*fn)(void *ctx, const struct assignment *assignment);
        void *ctx;
        uint64_t version, asked_for;
        bool is_wanted, is_asking;
        int64_t asked_ns;
    } assignment;
    struct {
        void (*done)(void *ctx);
        void *ctx;
        int64_t until_ns;
        bool is_on;
    } drain;
    int handles_open;
    int64_t bury_until_ns;
};

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

static void advance_all(struct ship *ship)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_advance(&ship->lanes[i]);
}

/* ---- choosing */

static int64_t balance_ns(const struct ship *ship)
{
    return ship->config->gateway.balance_interval_ms * 1000000;
}

static void show(struct ship *ship, const struct route *route, int up)
{
    if (route)
        stats_set(stats_cell(ship->stats, AGENT_GATEWAY_UP, route->peer.url), up);
}

/* Moves all lanes to route (NULL: none is up), whatever they are at. */
static void move_to(struct ship *ship, struct route *route)
{
    show(ship, ship->current, 0);
    ship->current = route;
    ship->told_since_ns = ship->going_back_since_ns = 0;
    ship->go_back_after_ns = clock_mono_ns() + balance_ns(ship);
    ship->assignment.is_asking = false;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_reset(&ship->lanes[i]);
    show(ship, route, 1);
    if (route)
        log_info("ship: gateway in use", "gateway=%s", route->peer.url);
    else
        ship->choosing_since_ns = clock_mono_ns();
    advance_all(ship);
}

/* A gateway that drains is only gone back to when no other one comes up for a while. */
static struct route *pick(struct ship *ship)
{
    const char *next[TELEMETRY_COUNT];
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        next[i] = ship->lanes[i].next_buffer_id;
    struct route *best = routes_next(&ship->routes, ship->last, next);
    int64_t now = clock_mono_ns();
    bool is_too_early = !ship->current && now - ship->choosing_since_ns < PATIENCE_NS;
    return best && best->avoid_until_ns > now && (ship->current || is_too_early) ? NULL : best;
}

static void leave(struct ship *ship, const char *cause)
{
    struct route *from = ship->current;
    if (from) {
        log_warn("ship: leaving a gateway", "gateway=%s cause=%s", from->peer.url, cause);
        stats_add(stats_cell(ship->stats, AGENT_FAILOVERS, cause), 1);
        link_drop(from->link);
    }
    routes_open_all(&ship->routes);
    move_to(ship, pick(ship));
}

void ship_leave(struct ship *ship, const char *cause)
{
    ship->last = ship->current;
    leave(ship, cause);
}

bool ship_lane_failed(struct ship *ship)
{
    bool has_other = false;
    for (size_t i = 0; i < ship->routes.count; i++)
        has_other |= ship->routes.items[i] != ship->current && ship->routes.items[i]->is_listed;
    if (!has_other || !ship->current)
        return false;
    ship->current->avoid_until_ns = clock_mono_ns() + AVOID_NS;
    ship_leave(ship, "disk");
    return true;
}

static void on_up(void *ctx, struct link *link)
{
    struct ship *ship = ctx;
    struct route *found = ship->current ? NULL : pick(ship);
    if (found)
        move_to(ship, found);
    else if (ship->current && ship->current->link == link) /* a new pipe to the same one: greet it */
        move_to(ship, ship->current);
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

/* ---- a gateway that drains: all lanes leave together, once each was told where its rows went */

/* The gateway hands over to the first of the others in the order of choice, so that is where to look first.
 */
static void leave_draining(struct ship *ship)
{
    ship->current->avoid_until_ns = clock_mono_ns() + AVOID_NS;
    ship->last = NULL;
    leave(ship, "draining");
}

void ship_lane_drained(struct ship *ship)
{
    bool is_told = true;
    if (!ship->told_since_ns)
        ship->told_since_ns = clock_mono_ns();
    routes_open_all(&ship->routes);
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        struct lane *lane = &ship->lanes[i];
        if (!lane_is_used(lane) || lane->is_draining || lane->state == SHIP_DRAINED)
            continue;
        is_told = false;
        if (lane->state == SHIP_READY && !lane->batch) { /* idle: asks, so that it is told */
            lane->state = SHIP_HELLO;
            lane_advance(lane);
        }
    }
    if (!is_told)
        return;
    leave_draining(ship);
}

/* ---- going back to the first choice, for balance */

void ship_lane_probed(struct ship *ship)
{
    bool holds = false;
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        if (!lane_is_used(&ship->lanes[i]))
            continue;
        if (!ship->lanes[i].is_probed)
            return;
        holds |= ship->lanes[i].holds;
    }
    ship->going_back_since_ns = 0;
    if (!holds) {
        stats_add(stats_cell(ship->stats, AGENT_FAILOVERS, "balance"), 1);
        move_to(ship, ship->routes.items[0]);
        return;
    }
    ship->go_back_after_ns = clock_mono_ns() + balance_ns(ship);
    advance_all(ship);
}

static void stop_going_back(struct ship *ship, int64_t now)
{
    ship->going_back_since_ns = 0;
    ship->go_back_after_ns = now + balance_ns(ship);
    advance_all(ship);
}

static void consider_going_back(struct ship *ship, int64_t now)
{
    struct route *first = ship->routes.count ? ship->routes.items[0] : NULL;
    if (ship->going_back_since_ns && now - ship->going_back_since_ns > GOING_BACK_NS)
        stop_going_back(ship, now);
    if (!ship->current || !first || !first->is_listed || first == ship->current || ship->drain.is_on ||
        ship->going_back_since_ns || ship->told_since_ns || now < ship->go_back_after_ns ||
        first->avoid_until_ns > now || !routes_open(&ship->routes, first) || !link_is_up(first->link))
        return;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        ship->lanes[i].is_probed = false;
    ship->going_back_since_ns = now;
    advance_all(ship);
}

/* ---- assignment */

static void ask_assignment(struct ship *ship)
{
    struct assignment_request request = {.version = ship->assignment.version};
    struct link *link = ship_link(ship);
    struct buf frame;
    if (!ship->assignment.fn || !ship->assignment.is_wanted || !link ||
        !link_can_take(link, ASSIGNMENT_CHANNEL))
        return;
    snprintf(request.origin, sizeof request.origin, "%s", ship->origin);
    snprintf(request.node, sizeof request.node, "%s", ship->config->node);
    buf_init(&frame, LINK_MAX_REPLY_BYTES);
    if (assignment_encode_request(&request, &frame) == 0 &&
        link_request(link, ASSIGNMENT_CHANNEL, buf_bytes(&frame), (struct bytes){0}) == 0) {
        ship->assignment.is_wanted = false;
        ship->assignment.is_asking = true;
        ship->assignment.asked_ns = clock_mono_ns();
    }
    buf_fini(&frame);
}

void ship_saw_assignment(struct ship *ship, uint64_t version, bool after_resume)
{
    bool is_new = version && version != ship->assignment.version;
    if (is_new && (after_resume || version != ship->assignment.asked_for)) {
        ship->assignment.asked_for = version;
        ship->assignment.is_wanted = true;
        ask_assignment(ship);
    }
}

static void take_assignment(struct ship *ship, struct bytes frame)
{
    struct assignment assignment;
    ship->assignment.is_asking = false;
    int err = assignment_decode(frame, &assignment);
    if (err < 0) {
        log_warn("ship: the assignment cannot be read", "error=%d", err);
        return;
    }
    if (assignment.answer == WIRE_COMMITTED && !assignment.unchanged && assignment.version) {
        ship->assignment.version = assignment.version;
        ship->assignment.fn(ship->assignment.ctx, &assignment);
    }
    assignment_fini(&assignment);
}

/* ---- link events of channels */

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
    if (channel == ASSIGNMENT_CHANNEL)
        take_assignment(ship, frame);
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
    if (channel == ASSIGNMENT_CHANNEL)
        ask_assignment(ship);
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
    struct route *found = ship->current ? NULL : pick(ship);
    if (found)
        move_to(ship, found);
    if (ship->current && ship->told_since_ns && now - ship->told_since_ns > TOLD_NS)
        leave_draining(ship);
    if (ship->assignment.is_asking &&
        now - ship->assignment.asked_ns > ship->config->gateway.ack_deadline_ms * 1000000)
        ship_leave(ship, "deadline");
    ask_assignment(ship);
    consider_going_back(ship, now);
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
    advance_all(ship);
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
