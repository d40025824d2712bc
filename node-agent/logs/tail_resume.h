/* tail_resume.h - where reading goes on after a gateway answered resume.
 *
 * When the buffer is another one and did not take over what the former held, everything not known delivered
 * is read again; what is no longer in the files is counted. Then C is the larger of the agent's own and what
 * that buffer has committed of each file, unless the batch in flight goes on in the same buffer. Loop thread
 * only.
 */
#ifndef NODE_AGENT_TAIL_RESUME_H
#define NODE_AGENT_TAIL_RESUME_H

#include "node-agent/logs/tail.h"
#include "proto/wire.h"

struct tail_resumed {
    bool rewound;  /* what was not delivered is read again */
    bool drop;     /* the batch in flight is not to be sent: its lines are read again */
    uint64_t gone; /* lines not known delivered that are no longer in any file (as far as counted) */
    bool moved;    /* positions changed: offsets are worth saving */
};

/* tail_resume: applies the answer to the offsets and to every log's position. */
struct tail_resumed tail_resume(struct tail *tail, struct offsets *offsets,
                                const struct wire_resume_reply *reply, bool handed_over, bool has_in_flight);

/* tail_resume_is_bulk: whether the log's last lines went to the bulk origin (batch.h), by what the buffer has
 * of its newest file in each; after tail_resume. False when the buffer holds nothing undelivered of the bulk.
 */
bool tail_resume_is_bulk(const struct tail_log *log, const struct offsets *offsets,
                         const struct wire_resume_reply *reply);

/* tail_resume_is_known: whether anything of a file of the log is committed. */
bool tail_resume_is_known(const struct tail_log *log, const struct offsets *offsets);

/* tail_reset_all: every log is read on from what is committed. */
void tail_reset_all(struct tail *tail, const struct offsets *offsets);

#endif
