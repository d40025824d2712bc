/* rate.h - how fast a backend gets on: a window of observations, from which rate, estimated end and runway
 * follow. Pure functions; times are of the monotonic clock. One thread. */
#ifndef GATEWAY_RATE_H
#define GATEWAY_RATE_H

#include <stddef.h>
#include <stdint.h>

enum { RATE_POINTS = 13, RATE_PERIOD_MS = 5000, RATE_LEAST_MS = 2000 }; /* a window of one minute */

struct rate_point {
    int64_t at_ns;
    uint64_t settled;        /* records, since the file was made */
    int64_t committed_bytes; /* since the program started */
    int64_t lag_bytes;       /* owed now */
    int64_t held_bytes;      /* what that takes of the buffer */
};

struct rate {
    struct rate_point points[RATE_POINTS]; /* a ring */
    size_t count, next;
};

struct rate_view {                     /* 0 where nothing is known */
    double records_per_s, bytes_per_s; /* settled */
    double growth_bytes_per_s;         /* of what is owed; below 0 it shrinks */
    double held_bytes_per_s;           /* likewise, of the buffer */
};

void rate_add(struct rate *rate, struct rate_point point);

/* rate_get: over the window, up to now, which is not added. Nothing is known after less than RATE_LEAST_MS.
 */
struct rate_view rate_get(const struct rate *rate, const struct rate_point *now);

/* rate_end_s: when what is owed will be settled at this rate; 0: now; -1: not at this rate. */
double rate_end_s(const struct rate_view *view, int64_t lag_bytes);

/* rate_runway_s: how long room bytes still hold what is owed more; -1: for ever, it does not grow. */
double rate_runway_s(const struct rate_view *view, int64_t room_bytes);

#endif
