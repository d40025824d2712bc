/* collector_set.h - collectors in use, each with its state. One thread at a time. */
#ifndef NODE_AGENT_COLLECTOR_SET_H
#define NODE_AGENT_COLLECTOR_SET_H

#include "base/log.h"
#include "node-agent/collector.h"

enum { COLLECTOR_SET_MAX = 128 };

struct collector_set {
    struct {
        const struct collector *collector;
        void *state; /* owned */
        struct log_limit limit;
    } items[COLLECTOR_SET_MAX];
    size_t count;
};

/* collector_set_add: starts the collector. 0, -E2BIG, or start's error. */
int collector_set_add(struct collector_set *set, const struct collector *collector,
                      const struct agent_config *config);

/* collector_set_run: one update of each, in the order in which they were added. What fails is logged, at a
 * limited rate. */
void collector_set_run(struct collector_set *set, struct metric_sink *sink);

/* collector_set_stop: stops all; safe on a zeroed set. */
void collector_set_stop(struct collector_set *set);

#endif
