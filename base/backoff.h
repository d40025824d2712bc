/* backoff.h - capped exponential waits with full jitter in their upper half. Pure but for the state handed
 * in. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first_ms; /* the first wait's upper end */
    int64_t most_ms;  /* no wait is longer */
    int64_t wait_ms;  /* upper end of the next wait; 0 before the first failure */
    uint64_t random;  /* state of the generator, not 0 */
};

/* backoff_init: seed may be anything. */
void backoff_init(struct backoff *b, int64_t first_ms, int64_t most_ms, uint64_t seed);

/* backoff_next: how long to wait now, in ms, between half of the current upper end and all of it; doubles it.
 */
int64_t backoff_next(struct backoff *b);

/* backoff_reset: after a success. */
void backoff_reset(struct backoff *b);

#endif
