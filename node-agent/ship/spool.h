/* spool.h - what no gateway takes at the moment goes to the disk and is answered from there.
 *
 * Stands between ship and a signal's source. While the signal's lane has been stalled for SPOOL_STALLED_MS
 * (every gateway is away, or none takes anything), or the queue in memory is filling, it seals what the
 * source has and writes it to the signal's spool_file; when that is on the disk (fsync) the source hears
 * `committed`, so that OTLP is answered. What the spool holds goes out before the source's newer batches,
 * oldest first.
 *
 * Numbers: a batch that is sealed for the spool is numbered by the spool under a boot of its own, drawn at
 * every start; one that the lane could not get rid of is written under the lane's number. Either stays with
 * the batch, whatever is killed, and the lane resumes as that boot before it sends it: so a gateway that has
 * it already recognises it. No batch of tailed lines ever carries the spool's boot, and none that a gateway
 * may know is taken out of the lane of logs: a resume as an earlier boot can therefore not let in late lines.
 *
 * A file that cannot be opened or written (a full volume) is a state: what was sealed waits in memory, and it
 * is tried again. Loop thread only.
 */
#ifndef NODE_AGENT_SPOOL_H
#define NODE_AGENT_SPOOL_H

#include "base/loop.h"
#include "node-agent/config.h"
#include "node-agent/ship/ship.h"

enum { SPOOL_STALLED_MS = 2000 };

struct spool;

/* spool_new: config, stats and loop are borrowed for its life. 0 with *ret_spool, -ENOMEM, -EIO (no random
 * numbers). A folder that cannot be used is no error: it is logged and tried again. */
int spool_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
              struct spool **ret_spool);

/* spool_source: the source to give to ship in place of inner, which may have seal == NULL: then there is none
 * behind it, and only what the spool holds goes out. is_filling: whether inner's queue in memory should be
 * relieved (of ctx); NULL: never. holds_lane: inner is all that the lane's batches come from. */
struct ship_source spool_source(struct spool *spool, enum telemetry signal, const struct ship_source *inner,
                                bool (*is_filling)(void *ctx), void *ctx, bool holds_lane);

/* spool_withdraw: whether the batch was the one that its file has no room for, and no gateway can know of it;
 * then it was freed. The batch is compared, not looked into. NULL spool is fine. */
bool spool_withdraw(struct spool *spool, enum telemetry signal, const struct batch *batch);

/* spool_start: with the ship that was given the sources (borrowed). */
void spool_start(struct spool *spool, struct ship *ship);

/* spool_flush: what the sources and the lanes still hold is written; before ship_close. NULL is fine. */
void spool_flush(struct spool *spool);

/* spool_close: after ship_close of that ship; the sources are not called any more. What is being written is
 * committed. Frees on the loop, whose mailbox it drains. NULL is fine. */
void spool_close(struct spool *spool);

#endif
