/* buffer_rows.h - rows come in, are settled, are handed over and go. Writer's thread, in a transaction. */
#ifndef BASE_BUFFER_ROWS_H
#define BASE_BUFFER_ROWS_H

#include "base/buffer/buffer_store.h"

/* buffer_rows_append: decides and adds; outcome, row_id and standing of append are set. An error is one of
 * the transaction's; what merely was not taken is an outcome. */
int buffer_rows_append(struct buffer *buffer, struct buffer_append *append);

/* buffer_rows_resume: the ends of the origin's files and its standing. */
int buffer_rows_resume(struct buffer *buffer, struct buffer_resume *resume);

/* buffer_rows_hand_over: owed to nobody from now on. -ENOENT when there is no such row. */
int buffer_rows_hand_over(struct buffer *buffer, int64_t row);

/* buffer_rows_pass: after a cursor of the slot moved: what is settled everywhere now counts as delivered. */
int buffer_rows_pass(struct buffer *buffer, int slot);

/* buffer_rows_remove: the oldest row of the slot goes; what was still owed counts as dropped. */
int buffer_rows_remove(struct buffer *buffer, int slot);

/* buffer_rows_load: oldest, newest and settled rows of every slot, undelivered rows of every origin. */
int buffer_rows_load(struct buffer *buffer);

#endif
