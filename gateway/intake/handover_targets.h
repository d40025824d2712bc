/* handover_targets.h - the gateways that a draining one can hand rows to, and which one an origin will use
 * next.
 *
 * All listed peers but ourselves; their links are opened when they are first seen and closed at the end. Loop
 * thread only.
 */
#ifndef GATEWAY_HANDOVER_TARGETS_H
#define GATEWAY_HANDOVER_TARGETS_H

#include "base/loop.h"
#include "gateway/config.h"
#include "gateway/intake/receive.h"
#include "proto/link.h"
#include "proto/peers.h"

struct handover_target { /* another gateway */
    struct peer peer;
    struct link *link;      /* owned; NULL: none is possible */
    int64_t avoid_until_ns; /* monotonic */
};

struct handover_targets {
    struct loop *loop; /* these are borrowed */
    const struct gateway_config *config;
    const struct receive *receive;
    struct link_events events; /* of every link */
    int64_t started_ns;
    struct handover_target items[PEERS_MAX];
    size_t count;
};

void handover_targets_init(struct handover_targets *targets, struct loop *loop,
                           const struct gateway_config *config, const struct receive *receive,
                           struct link_events events);

/* handover_targets_fini: closes the links. */
void handover_targets_fini(struct handover_targets *targets);

/* handover_targets_look: opens a link to each peer that is new. */
void handover_targets_look(struct handover_targets *targets, const struct peers *peers);

/* handover_targets_choose: the first one of the origin's order of choice that is up and not to be avoided. In
 * the beginning connections are still being made, so the first of all is waited for. NULL: none now. */
struct handover_target *handover_targets_choose(struct handover_targets *targets, const char *origin);

#endif
