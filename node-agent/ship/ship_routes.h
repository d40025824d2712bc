/* ship_routes.h - the gateways that ship knows and the link to each: which one comes next.
 *
 * Links are opened when they are first wanted and stay open; a gateway that is no longer listed is closed
 * when nothing is under way there. Not for others than ship.c. Loop thread only.
 */
#ifndef NODE_AGENT_SHIP_ROUTES_H
#define NODE_AGENT_SHIP_ROUTES_H

#include "base/batch.h"
#include "node-agent/config.h"
#include "proto/link.h"
#include "proto/peers.h"

enum { ROUTES_MAX = 2 * PEERS_MAX }; /* listed ones, and those that are still to be closed */

struct route {
    struct peer peer;
    struct link *link; /* owned; NULL until wanted */
    bool is_listed;
    int64_t avoid_until_ns;               /* monotonic: it drains, or its disk fails */
    char buffer_ids[TELEMETRY_COUNT][64]; /* as last answered there; "" unknown */
};

struct routes {
    struct mailbox *mailbox;           /* borrowed */
    const struct agent_config *config; /* borrowed */
    const char *origin;                /* borrowed; whose order of choice it is */
    struct link_events events;
    struct route *items[ROUTES_MAX]; /* owned; listed ones first, in the order of choice */
    size_t count;
    bool has_known_others; /* there was more than one at some time */
};

void routes_init(struct routes *routes, struct mailbox *mailbox, const struct agent_config *config,
                 const char *origin, struct link_events events);
/* routes_fini: closes all links (link_close). */
void routes_fini(struct routes *routes);

/* routes_update: takes the list of peers as it is now. */
void routes_update(struct routes *routes, const struct peers *peers);

/* routes_open: makes sure that the route has a link. False when it cannot have one (logged). */
bool routes_open(struct routes *routes, struct route *route);

/* routes_open_all: of all listed ones. */
void routes_open_all(struct routes *routes);

/* routes_of: the route of a link. */
struct route *routes_of(const struct routes *routes, const struct link *link);

/* routes_next: the gateway to use after `from` (NULL: from the first choice on) among those that are up;
 * one that holds buffer next_buffer_id of signal comes first, one that drains last, `from` itself last but
 * not never. NULL when none is up. */
struct route *routes_next(const struct routes *routes, const struct route *from,
                          const char *const next_buffer_ids[TELEMETRY_COUNT]);

/* routes_sweep: closes what is not listed any more, not `in_use` and quiet. */
void routes_sweep(struct routes *routes, const struct route *in_use);

#endif
