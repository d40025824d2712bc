/* replay_rows.h - the rows that a replay is asked for, and what of their records goes out.
 *
 * A row that is damaged, or gone meanwhile, is counted and does not stop the others. The replay's thread
 * only.
 */
#ifndef GATEWAY_REPLAY_ROWS_H
#define GATEWAY_REPLAY_ROWS_H

#include "gateway/ask/replay_work.h"

/* replay_rows_next: the next row behind *after of the span that is settled at the backend; the others of the
 * span are counted into tally. 0; -EAGAIN: there was none in a bounded stretch; -ENOENT: there is none any
 * more; -EIO. */
int replay_rows_next(struct replay_work *work, int64_t *after, struct replay_tally *tally,
                     struct buffer_row *ret_row);

/* replay_rows_take: counts what is asked for of the row and appends it to out, raw, in work->format (out
 * NULL: only counts). 0, -ENOMEM, -EIO. */
int replay_rows_take(struct replay_work *work, const struct buffer_row *row, struct replay_tally *tally,
                     struct buf *out);

#endif
