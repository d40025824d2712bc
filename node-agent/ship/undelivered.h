/* undelivered.h - how many acknowledged records of a lane are not known to be delivered: what would be lost
 * with the gateway's buffer. An upper bound: past UNDELIVERED_MARKS batches, neighbours share a mark.
 */
#ifndef NODE_AGENT_UNDELIVERED_H
#define NODE_AGENT_UNDELIVERED_H

#include <stddef.h>
#include <stdint.h>

enum { UNDELIVERED_MARKS = 128 };

struct undelivered {
    struct undelivered_mark {
        uint64_t seq, records; /* records of the batches after the mark before, up to seq */
    } marks[UNDELIVERED_MARKS];
    size_t count;
};

/* undelivered_add: batch seq was acknowledged; numbers only grow. */
void undelivered_add(struct undelivered *u, uint64_t seq, uint64_t records);

/* undelivered_settle: everything up to delivered_seq is delivered. */
void undelivered_settle(struct undelivered *u, uint64_t delivered_seq);

/* undelivered_take: the records that are left; forgets them. */
uint64_t undelivered_take(struct undelivered *u);

#endif
