/* gate.h - a source of batches that can be shut: then it has nothing more to seal, and what is under way is
 * still answered to it. Loop thread only.
 */
#ifndef NODE_AGENT_GATE_H
#define NODE_AGENT_GATE_H

#include "node-agent/ship/ship.h"

struct gate {
    struct ship_source source; /* what is behind it */
    bool is_shut;
};

/* gate_source: the record for ship_new; gate is borrowed for ship's life. A source without seal stays one. */
struct ship_source gate_source(struct gate *gate);

#endif
