/* logs_seal.h - makes a batch of what the logs hold: picks, shares, reads, names the sources, compresses.
 *
 * Logs that flood go into batches of their own (log_bulk.h), which take turns with the others' batches. Logs
 * that have something new are taken in turn, at most 256 a batch; each may fill an equal part of it, and what
 * a quiet one leaves goes to the others. Remembers how many lines came from each source until the answer is
 * in. Loop thread only.
 */
#ifndef NODE_AGENT_LOGS_SEAL_H
#define NODE_AGENT_LOGS_SEAL_H

#include "node-agent/config.h"
#include "node-agent/logs/tail.h"
#include "node-agent/logs/tail_read.h"

struct logs_seal {
    const struct agent_config *config; /* borrowed */
    struct tail *tail;                 /* borrowed; set by the owner */
    struct offsets *offsets;           /* borrowed; set by the owner */
    struct push push;
    struct tail_reader reader;
    size_t next;     /* index of the log that the next batch begins with */
    uint32_t *lines; /* owned; of each source of the batch that is out */
    size_t line_count;
    int64_t held_told_ns; /* when the bound on streams was told in the log last; monotonic */
    int64_t sealed_ns;    /* when a batch was sealed last; monotonic */
    bool holds_memory;
    struct log_bulks bulks;
    bool was_bulk;       /* the batch sealed last */
    size_t bulk_waiting; /* logs that wait to change their origin, at the last look */
    char bulk_origin[BATCH_MAX_ORIGIN + 1];
    struct stats_cell *paced;
};

/* logs_seal_init: tail and offsets are to be set before the first batch. */
void logs_seal_init(struct logs_seal *seal, const struct agent_config *config, struct stats *stats);
/* logs_seal_set_policy: borrowed; before the first batch. */
void logs_seal_set_policy(struct logs_seal *seal, struct log_policy *policy);
void logs_seal_fini(struct logs_seal *seal);

/* logs_seal_batch: the next batch, without its number. 0; -EAGAIN: nothing to send now (logs may still be
 * dirty); -ENOMEM and others: what was read will be read again. */
int logs_seal_batch(struct logs_seal *seal, struct batch **ret_batch);

/* logs_seal_get_lines: lines that the sealed batch has from its source of that index. logs_seal_answered: the
 * batch is out no more. */
uint64_t logs_seal_get_lines(const struct logs_seal *seal, size_t source);
void logs_seal_answered(struct logs_seal *seal);

/* logs_seal_rest: gives memory back when nothing was sealed for a second. */
void logs_seal_rest(struct logs_seal *seal);

#endif
