/* pace.h - how fast each origin's log streams may go out: a token bucket per origin.
 *
 * A row is charged the raw size of its largest stream, so no single stream of the origin is sent faster than
 * rate bytes a second after a burst. A row larger than the burst goes when the bucket is full and leaves it
 * in debt. Buckets that are full again are forgotten. Pure but for the state handed in; times are of the
 * monotonic clock.
 */
#ifndef GATEWAY_PACE_H
#define GATEWAY_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace_bucket {
    uint64_t origin; /* hash of the name */
    double tokens;
    int64_t at_ns; /* when tokens was right */
};

struct pace {
    double rate, burst;          /* bytes a second, bytes; rate 0: nothing is paced */
    struct pace_bucket *buckets; /* owned */
    size_t count, room;
};

void pace_init(struct pace *pace, int64_t rate_bytes, int64_t burst_bytes);
void pace_fini(struct pace *pace);

/* pace_wait: how many ns until the origin may send bytes; 0: now. */
int64_t pace_wait(struct pace *pace, uint64_t origin, uint64_t bytes, int64_t now_ns);

/* pace_charge: the origin sends bytes now. -ENOMEM: not remembered. */
int pace_charge(struct pace *pace, uint64_t origin, uint64_t bytes, int64_t now_ns);

/* pace_origin: the hash of an origin's name (FNV-1a 64). */
uint64_t pace_origin(const char *name);

#endif
