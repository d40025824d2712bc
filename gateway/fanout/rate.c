#include "gateway/fanout/rate.h"

void rate_add(struct rate *rate, struct rate_point point)
{
    rate->points[rate->next] = point;
    rate->next = (rate->next + 1) % RATE_POINTS;
    rate->count += rate->count < RATE_POINTS;
}

struct rate_view rate_get(const struct rate *rate, const struct rate_point *now)
{
    const struct rate_point *first = &rate->points[(rate->next + RATE_POINTS - rate->count) % RATE_POINTS];
    double seconds = rate->count ? (double)(now->at_ns - first->at_ns) / 1e9 : 0;
    if (seconds < (double)RATE_LEAST_MS / 1000)
        return (struct rate_view){0};
    int64_t grown = now->lag_bytes - first->lag_bytes;
    int64_t settled = now->committed_bytes - first->committed_bytes - grown;
    if (now->settled == first->settled) /* the two were not read at one moment */
        settled = 0;
    return (struct rate_view){
        .records_per_s = (double)(now->settled - first->settled) / seconds,
        .bytes_per_s = settled > 0 ? (double)settled / seconds : 0,
        .growth_bytes_per_s = (double)grown / seconds,
        .held_bytes_per_s = (double)(now->held_bytes - first->held_bytes) / seconds,
    };
}

double rate_end_s(const struct rate_view *view, int64_t lag_bytes)
{
    if (lag_bytes == 0)
        return 0;
    return view->growth_bytes_per_s < 0 ? (double)lag_bytes / -view->growth_bytes_per_s : -1;
}

double rate_runway_s(const struct rate_view *view, int64_t room_bytes)
{
    if (view->held_bytes_per_s <= 0)
        return -1;
    return room_bytes > 0 ? (double)room_bytes / view->held_bytes_per_s : 0;
}
