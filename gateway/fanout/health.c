#include "gateway/fanout/health.h"

#include <stdio.h>
#include <string.h>

#define SAME_CLOCK_NS (INT64_C(2) * 1000000000)

void health_init(struct health *health, uint64_t seed)
{
    memset(health, 0, sizeof *health);
    pthread_mutex_init(&health->lock, NULL);
    backoff_init(&health->backoff, HEALTH_FIRST_WAIT_MS, HEALTH_MOST_WAIT_MS, seed);
}

void health_fini(struct health *health)
{
    pthread_mutex_destroy(&health->lock);
}

void health_set_error(struct health *health, const char *error)
{
    pthread_mutex_lock(&health->lock);
    snprintf(health->last_error, sizeof health->last_error, "%s", error);
    pthread_mutex_unlock(&health->lock);
}

bool health_set_away(struct health *health, const char *error, int64_t wait_ms, int64_t most_ms,
                     int64_t now_ns)
{
    bool was_away = health->away;
    health_set_error(health, error);
    if (was_away && now_ns < health->probe_ns) /* an older request of the same outage */
        return false;
    int64_t wait = wait_ms > 0 ? wait_ms : backoff_next(&health->backoff);
    if (wait_ms <= 0 && wait > most_ms)
        wait = most_ms;
    health->probe_ns = now_ns + wait * 1000000;
    pthread_mutex_lock(&health->lock);
    health->away = true;
    pthread_mutex_unlock(&health->lock);
    return !was_away;
}

bool health_set_answered(struct health *health)
{
    bool was_away = health->away;
    pthread_mutex_lock(&health->lock);
    health->away = false;
    pthread_mutex_unlock(&health->lock);
    backoff_reset(&health->backoff);
    atomic_fetch_add(&health->returns, was_away);
    return was_away;
}

void health_set_delivered(struct health *health, int64_t now_ns, int64_t wall_ns)
{
    health->delivered_mono_ns = now_ns;
    pthread_mutex_lock(&health->lock);
    health->last_delivered_ns = wall_ns;
    health->last_error[0] = 0;
    pthread_mutex_unlock(&health->lock);
}

void health_set_clock(struct health *health, int64_t backend_ns, int64_t wall_ns)
{
    int64_t ahead_ns = backend_ns - wall_ns;
    bool is_ours = ahead_ns > -SAME_CLOCK_NS && ahead_ns < SAME_CLOCK_NS; /* it is told in whole seconds */
    health->clock_ahead_ns = is_ours ? 0 : ahead_ns;
}

void health_view(struct health *health, struct health_view *ret_view)
{
    pthread_mutex_lock(&health->lock);
    ret_view->away = health->away;
    memcpy(ret_view->last_error, health->last_error, sizeof ret_view->last_error);
    ret_view->last_delivered_ns = health->last_delivered_ns;
    pthread_mutex_unlock(&health->lock);
}
