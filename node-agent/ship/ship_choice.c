/* ship_choice.c - which gateway is used, and when it is left: all lanes move at once. */
#include "base/clock.h"
#include "base/log.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship_inside.h"

#define PATIENCE_NS (3 * SHIP_SECONDS) /* before a gateway that drains is taken again for want of another */
#define GOING_BACK_NS (10 * SHIP_SECONDS) /* a try that takes longer is given up */
#define AVOID_NS (60 * SHIP_SECONDS)      /* a gateway that drains, or whose disk fails */

void ship_advance(struct ship *ship)
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        lane_advance(&ship->lanes[i]);
}

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
void ship_move_to(struct ship *ship, struct route *route)
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
    ship_advance(ship);
}

/* A gateway that drains is only gone back to when no other one comes up for a while. */
struct route *ship_pick(struct ship *ship)
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
    ship_move_to(ship, ship_pick(ship));
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

/* ---- a gateway that drains: all lanes leave together, once each was told where its rows went */

/* The gateway hands over to the first of the others in the order of choice, so that is where to look first.
 */
void ship_leave_draining(struct ship *ship)
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
    ship_leave_draining(ship);
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
        ship_move_to(ship, ship->routes.items[0]);
        return;
    }
    ship->go_back_after_ns = clock_mono_ns() + balance_ns(ship);
    ship_advance(ship);
}

static void stop_going_back(struct ship *ship, int64_t now)
{
    ship->going_back_since_ns = 0;
    ship->go_back_after_ns = now + balance_ns(ship);
    ship_advance(ship);
}

void ship_consider_going_back(struct ship *ship, int64_t now)
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
    ship_advance(ship);
}
