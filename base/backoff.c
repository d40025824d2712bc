#include "base/backoff.h"

void backoff_init(struct backoff *b, int64_t first_ms, int64_t most_ms, uint64_t seed)
{
    *b = (struct backoff){.first_ms = first_ms, .most_ms = most_ms, .random = seed ? seed : 1};
}

/* xorshift64*: Marsaglia 2003 with Vigna's multiplier; good enough to spread retries. */
static uint64_t next_random(struct backoff *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return b->random * 0x2545f4914f6cdd1dULL;
}

int64_t backoff_next(struct backoff *b)
{
    if (b->wait_ms == 0)
        b->wait_ms = b->first_ms;
    int64_t half = b->wait_ms / 2;
    int64_t wait = half + (int64_t)(next_random(b) >> 1) % (b->wait_ms - half + 1);
    b->wait_ms = b->wait_ms > b->most_ms / 2 ? b->most_ms : b->wait_ms * 2;
    return wait;
}

void backoff_reset(struct backoff *b)
{
    b->wait_ms = 0;
}
