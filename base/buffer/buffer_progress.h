/* buffer_progress.h - where the cursors of a backend stood earlier, to the minute, so that what was delivered
 * lately can be told from what was delivered long ago.
 *
 * A row of the table `progress` says that the cursor of a slot stood at a row at a time. One is added when a
 * cursor moves and the slot's last one is BUFFER_PROGRESS_NS old: its time is that of a delivery, never of a
 * later look. The newest BUFFER_PROGRESS_KEPT of a slot are kept, however old: while a backend is away
 * nothing is added. Writer's thread only, within a transaction.
 */
#ifndef BASE_BUFFER_PROGRESS_H
#define BASE_BUFFER_PROGRESS_H

#include "base/buffer/buffer_store.h"

#define BUFFER_PROGRESS_NS INT64_C(60000000000)
enum { BUFFER_PROGRESS_KEPT = 64 };

/* buffer_progress_load: when each slot of the backend had its last row of progress. 0 or a negative errno. */
int buffer_progress_load(struct buffer *buffer, struct buffer_backend *backend);

/* buffer_progress_begin: a backend of which nothing was noted yet (a new one; a file made before there was
 * the table) begins where its cursors stand now. */
int buffer_progress_begin(struct buffer *buffer, struct buffer_backend *backend);

/* buffer_progress_note: the slot's cursor has moved. */
int buffer_progress_note(struct buffer *buffer, struct buffer_backend *backend, int slot);

#endif
