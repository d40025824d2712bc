/* ship_inside.h - the inside of struct ship, shared by its own files only.
 *
 *   ship          links' events, the tick, the end       ship_choice   which gateway, and when to leave it
 *   ship_assignment  asks for the node's targets          ship_lane*    one signal
 *   ship_routes   the gateways and their links
 */
#ifndef NODE_AGENT_SHIP_INSIDE_H
#define NODE_AGENT_SHIP_INSIDE_H

#include "node-agent/ship/ship_lane.h"
#include "node-agent/ship/ship_routes.h"

enum { SHIP_ASSIGNMENT_CHANNEL = TELEMETRY_COUNT };
#define SHIP_SECONDS INT64_C(1000000000)

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

/* ship_advance: all lanes. */
void ship_advance(struct ship *ship);

/* ---- ship_choice.c */

/* ship_move_to: moves all lanes to route (NULL: none is up), whatever they are at. */
void ship_move_to(struct ship *ship, struct route *route);

/* ship_pick: the gateway to use next; NULL: none now. One that drains is only gone back to when no other
 * comes up for a while. */
struct route *ship_pick(struct ship *ship);

/* ship_leave_draining: all lanes were told, or it took too long. */
void ship_leave_draining(struct ship *ship);

/* ship_consider_going_back: to the first choice, for balance. */
void ship_consider_going_back(struct ship *ship, int64_t now);

/* ---- ship_assignment.c */

void ship_ask_assignment(struct ship *ship);
void ship_take_assignment(struct ship *ship, struct bytes frame);

#endif
