/* buffer_settle.h - what fan-out settles: cursors, counts, refused records, postings. Writer's thread, in a
 * transaction. */
#ifndef BASE_BUFFER_SETTLE_H
#define BASE_BUFFER_SETTLE_H

#include "base/buffer/buffer_store.h"

/* buffer_settle_apply: all of the settlement. -ENOENT when the backend is not configured, -EINVAL for a slot
 * out of range or a row that was never committed; both before anything changed. */
int buffer_settle_apply(struct buffer *buffer, const struct buffer_settlement *settlement);

/* buffer_settle_replay: how far a replay has come. -ENOENT before anything changed. */
int buffer_settle_replay(struct buffer *buffer, const struct buffer_replay_note *note);

#endif
