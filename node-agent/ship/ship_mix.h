/* ship_mix.h - two sources of one signal in one lane: they take turns batch by batch, and each hears of its
 * own batches only.
 *
 * One batch of a signal is in flight at a time, whoever sealed it: a source that has nothing leaves its turn
 * to the other. Both hear of a resume; the one whose batch is not in flight is told that none is. Loop thread
 * only.
 */
#ifndef NODE_AGENT_SHIP_MIX_H
#define NODE_AGENT_SHIP_MIX_H

#include "node-agent/ship/ship.h"

struct ship_mix {
    struct ship_source sources[2]; /* borrowed ctx */
    int sealed;                    /* whose batch is, or was last, in flight */
};

/* ship_mix_source: the record for ship_new. One of a and b may have seal == NULL: then it is the other one as
 * it is. mix outlives the ship. */
struct ship_source ship_mix_source(struct ship_mix *mix, const struct ship_source *a,
                                   const struct ship_source *b);

#endif
