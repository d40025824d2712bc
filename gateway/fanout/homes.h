/* homes.h - which agents are at this gateway, and since when: of what they sent since then nobody else has
 * posted anything newer.
 *
 * Told by the loop, asked by the backends' threads. Before it was told anything nobody is here.
 */
#ifndef GATEWAY_HOMES_H
#define GATEWAY_HOMES_H

#include <pthread.h>

#include "base/buffer/buffer.h"

struct home {
    char origin[BATCH_MAX_ORIGIN + 1];
    int64_t since_ns; /* wall clock; 0: it knows of no other gateway */
};

struct homes {
    pthread_mutex_t lock;
    struct home *items; /* owned, as the count under the lock; sorted */
    size_t count;
};

void homes_init(struct homes *homes);
void homes_fini(struct homes *homes);

/* homes_set: from now on it is these, which it takes (malloc'ed; NULL: none). Any thread. */
void homes_set(struct homes *homes, struct home *items, size_t count);

/* homes_have: whether the agent that sent the row has been here since. Not for what was handed over. Any
 * thread. */
bool homes_have(struct homes *homes, const struct buffer_row *row);

#endif
