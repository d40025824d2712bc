/* logs.h - pod logs as ship's source of batches: seals what was written, moves on what was committed.
 *
 * A batch holds about batch_raw_bytes of the logs' bytes, shared fairly among those that have something new,
 * as one Loki PushRequest, compressed once. One batch is out at a time; while it is, nothing is read, so a
 * gateway that is away stops reading and drops nothing. Offsets move when the gateway has committed. Memory
 * is given back when nothing was sealed for a second. Loop thread only.
 */
#ifndef NODE_AGENT_LOGS_H
#define NODE_AGENT_LOGS_H

#include "base/loop.h"
#include "base/stats.h"
#include "node-agent/config.h"
#include "node-agent/ship/ship.h"
#include "proto/assignment.h"

struct logs;

/* logs_new: loads the offsets (a newer or damaged file is moved aside and named in the log) and looks for
 * files. loop, config and stats are borrowed for logs' life. 0 or a negative errno. */
int logs_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
             struct logs **ret_logs);

/* What the logs stand at, for the command logs; all borrowed. */
struct logs_standing {
    const struct agent_config *config;
    struct tail *tail;
    const struct offsets *offsets;
    const char *offsets_path;
    int save_error; /* of the last save of the offsets: a negative errno, or 0 */
};

struct logs_standing logs_get_standing(const struct logs *logs);

/* logs_set_ship: whom to wake when there is something to seal; NULL: nobody. Before the loop runs. */
void logs_set_ship(struct logs *logs, struct ship *ship);

/* logs_set_refusals: who is told of lines that are not sent, or not whole; borrowed. */
struct refusals;
void logs_set_refusals(struct logs *logs, struct refusals *refusals);

/* logs_source: the record for ship_new. */
struct ship_source logs_source(struct logs *logs);

/* logs_set_pods: what the gateway's assignment tells of this node's pods: rules and labels may go by it. */
void logs_set_pods(struct logs *logs, const struct assignment *assignment);

/* logs_rescan: looks for files now, and takes every log as written to. */
void logs_rescan(struct logs *logs);

/* logs_save: writes the offsets and waits for it; at exit, after the last answer. 0 or a negative errno. */
int logs_save(struct logs *logs);

/* logs_set_waits: how long a rotated file must be unchanged before it is taken as whole (default 2 s), and a
 * line may stay without its end before it is sent as it is (default 60 s). */
void logs_set_waits(struct logs *logs, int64_t linger_ms, int64_t part_wait_ms);

/* logs_close: no callback after it; frees asynchronously on the loop. Does not save. NULL is fine. */
void logs_close(struct logs *logs);

#endif
