/* collector_set.h - collectors in use, each with its state. One thread at a time. */
#ifndef NODE_AGENT_COLLECTOR_SET_H
#define NODE_AGENT_COLLECTOR_SET_H

#include "base/log.h"
#include "node-agent/host/announcements.h"
#include "node-agent/host/collector.h"
#include "node-agent/host/collector_thread.h"

enum { COLLECTOR_SET_MAX = 128 };

struct collector_set {
    struct {
        const struct collector *collector;
        void *state;                     /* owned; NULL where thread has it */
        struct collector_thread *thread; /* owned; NULL: it runs on the caller's */
        struct log_limit limit;
        int nothing_err;        /* what the last update returned, which found nothing, */
        uint64_t nothing_since; /* in this epoch of announcements; 0: it found something */
        bool left_out;          /* of the runs until this is changed */
    } items[COLLECTOR_SET_MAX];
    size_t count;
    struct announcements *announcements; /* owned; NULL until a collector needs them */
};

/* collector_set_add: starts the collector. 0, -E2BIG, or start's error. */
int collector_set_add(struct collector_set *set, const struct collector *collector,
                      const struct agent_config *config);

/* collector_set_run: one update of each that is not left out, in the order in which they were added, followed
 * by node_scrape_collector_duration_seconds and _success of the collector. One that found nothing last time
 * is not asked again before something could have come; those that ask other programs have two seconds for it,
 * all at the same time. What fails is logged, at a limited rate. */
void collector_set_run(struct collector_set *set, struct metric_sink *sink);

/* collector_set_stop: stops all; safe on a zeroed set. */
void collector_set_stop(struct collector_set *set);

#endif
