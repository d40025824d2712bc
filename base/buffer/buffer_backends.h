/* buffer_backends.h - the backends a file knows: their cursors and their side of the ledger.
 *
 * A backend that is no longer configured keeps its cursors and counts but is owed nothing new; what it was
 * owed counts as dropped when the rows go. Writer's thread only.
 */
#ifndef BASE_BUFFER_BACKENDS_H
#define BASE_BUFFER_BACKENDS_H

#include "base/buffer/buffer_store.h"

int buffer_backends_load(struct buffer *buffer);
void buffer_backends_free(struct buffer *buffer);

/* buffer_backends_configure: takes up the backends of options, in a transaction of its own. One seen for the
 * first time starts at the oldest row kept when the file never had a backend, else at the newest. */
int buffer_backends_configure(struct buffer *buffer, const struct buffer_options *options);

/* buffer_backends_find: an active one by name; NULL. */
struct buffer_backend *buffer_backends_find(struct buffer *buffer, const char *name);

/* buffer_backends_is_owed: whether a row with that owed column is for the backend. */
bool buffer_backends_is_owed(const struct buffer_backend *backend, const char *owed);

/* buffer_backends_owes: whether the row is still to be settled at the backend. */
bool buffer_backends_owes(const struct buffer_backend *backend, int slot, int64_t row, const char *owed);

/* buffer_backends_accept: the row came in; its records are owed to every active backend that owed names.
 * Returns how many backends that are. */
int buffer_backends_accept(struct buffer *buffer, const char *owed, uint64_t records);

/* buffer_backends_count: settles records of a row by cause at every backend that still owes it. */
void buffer_backends_count(struct buffer *buffer, int slot, int64_t row, const char *owed, uint64_t records,
                           enum buffer_cause cause);

/* buffer_backends_move: the cursor of the slot, in memory and in the table; never back. */
int buffer_backends_move(struct buffer *buffer, struct buffer_backend *backend, int slot, int64_t row);

/* buffer_backends_flush: writes the counts that changed. */
int buffer_backends_flush(struct buffer *buffer);

#endif
