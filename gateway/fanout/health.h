/* health.h - how a backend is: away or not, when it may be tried again, its last error.
 *
 * Written by the backend's thread; health_view may be called by any.
 */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"

enum {
    HEALTH_FIRST_WAIT_MS = 500,
    HEALTH_MOST_WAIT_MS = 30 * 1000,
    HEALTH_MOST_SILENCE_MS = 5 * 1000, /* between probes of what does not answer: they cost nothing there */
    HEALTH_MAX_ERROR = 256,
};

struct health {
    pthread_mutex_t lock; /* of what health_view copies */
    bool away;
    char last_error[HEALTH_MAX_ERROR]; /* "" none since the last delivery */
    int64_t last_delivered_ns;         /* wall clock; 0 never */
    _Atomic uint64_t returns;          /* how often it answered after it was away; any thread */
    /* the backend's thread only */
    int64_t delivered_mono_ns; /* 0 never */
    int64_t probe_ns;          /* monotonic; while away nothing is posted before it */
    int64_t clock_ahead_ns;    /* of the backend's clock before ours, in whole seconds; 0 below two */
    struct backoff backoff;
};

void health_init(struct health *health, uint64_t seed);
void health_fini(struct health *health);

/* health_set_away: the answer (or its absence) speaks of the backend. wait_ms: when it says itself how long,
 * else 0: a backoff of 500 ms to most_ms (at most HEALTH_MOST_WAIT_MS), which grows only when a probe fails.
 * True when it was not away before.
 */
bool health_set_away(struct health *health, const char *error, int64_t wait_ms, int64_t most_ms,
                     int64_t now_ns);

/* health_set_error: shown until the next delivery. */
void health_set_error(struct health *health, const char *error);

/* health_set_answered: it is there. True when it was away before. */
bool health_set_answered(struct health *health);

/* health_set_delivered: a request got through. */
void health_set_delivered(struct health *health, int64_t now_ns, int64_t wall_ns);

/* health_set_clock: what the backend's clock said at wall_ns. */
void health_set_clock(struct health *health, int64_t backend_ns, int64_t wall_ns);

struct health_view {
    bool away;
    char last_error[HEALTH_MAX_ERROR];
    int64_t last_delivered_ns;
};
/* health_view: a snapshot. Any thread. */
void health_view(struct health *health, struct health_view *ret_view);

#endif
