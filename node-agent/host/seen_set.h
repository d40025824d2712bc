/* seen_set.h - which series were put in an update already, by a hash of their labels. One thread at a time.
 */
#ifndef NODE_AGENT_SEEN_SET_H
#define NODE_AGENT_SEEN_SET_H

#include <stddef.h>
#include <stdint.h>

struct seen_set {    /* zeroed: empty */
    uint64_t *slots; /* owned; hash table, 0: free */
    size_t count, room;
};

void seen_set_fini(struct seen_set *set);

/* seen_set_clear: nothing was seen; keeps the memory. */
void seen_set_clear(struct seen_set *set);

/* seen_set_add: 1 when these words (NULL ends) were added before, else 0; at most max of them are taken: past
 * that -E2BIG. -ENOMEM. */
int seen_set_add(struct seen_set *set, const char *const *words, size_t max);

#endif
