/* buffer_space.h - what the file may hold: quota, retention, the WAL, shrinking. Writer's thread only.
 *
 * max_page_count keeps the file under the quota; batches stop 2 % below it, so that cursors, refusals and
 * deletes always have pages. The WAL counts in the quota, and past BUFFER_WAL_LIMIT (a quarter of a small
 * quota) batches are pushed back: somebody stays in a read transaction, and is named.
 */
#ifndef BASE_BUFFER_SPACE_H
#define BASE_BUFFER_SPACE_H

#include "base/buffer/buffer_store.h"

enum {
    BUFFER_CHECKPOINT = 64 << 20,    /* bytes of WAL not yet written back that start a checkpoint */
    BUFFER_WAL_LIMIT = 256 << 20,    /* bytes of WAL that push back */
    BUFFER_REFUSAL_LIMIT = 64 << 20, /* bytes of refused records kept */
    BUFFER_TIDY_MS = 1000,
};

/* buffer_space_init: limits from the quota, set in the file. */
int buffer_space_init(struct buffer *buffer);

/* buffer_space_begin: measures the file at the begin of a transaction. */
int buffer_space_begin(struct buffer *buffer);

/* buffer_space_make_room: whether a batch of so many bytes may be added; removes delivered rows, then (when
 * the policy says so) the oldest, to that end. */
int buffer_space_make_room(struct buffer *buffer, size_t bytes, bool *ret_has_room);

void buffer_space_note_added(struct buffer *buffer, size_t payload_bytes);
void buffer_space_note_removed(struct buffer *buffer, int64_t payload_bytes);

/* buffer_space_measure: after a commit: sizes into the tally. */
void buffer_space_measure(struct buffer *buffer);

/* buffer_space_checkpoint: writes the WAL back when it is due. Outside of transactions, after the answers. */
void buffer_space_checkpoint(struct buffer *buffer);

/* buffer_space_tidy: one bounded step of retention in a transaction of its own, then one of shrinking. Sets
 * *ret_has_more when another step would find work. */
int buffer_space_tidy(struct buffer *buffer, bool *ret_has_more);

#endif
