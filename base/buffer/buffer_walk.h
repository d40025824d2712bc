/* buffer_walk.h - reads the batches of a buffer's file that may be damaged, row by row, as far as they can be
 * read.
 *
 * A page that cannot be read costs the rows on it: past an error every id is asked for by itself, and what
 * can no longer be reached is looked for among the leaves (buffer_walk_use_leaves; without them what was
 * reachable only through such a page is missing too). For fsck and salvage; a connection of its own, one
 * thread.
 */
#ifndef BASE_BUFFER_WALK_H
#define BASE_BUFFER_WALK_H

#include "base/buffer/buffer.h"
#include "base/buffer/buffer_leaves.h"
#include "base/buffer/buffer_sql.h"

enum { BUFFER_WALK_STATEMENTS = 5, BUFFER_WALK_BLIND = 1000000 /* ids tried where the last is not known */ };

struct buffer_walk {
    sqlite3 *db;
    sqlite3_stmt *sql[BUFFER_WALK_STATEMENTS];
    struct buffer_leaves leaves; /* owned; empty: not used */
    int64_t after, last;         /* last: no row has a higher id */
    uint64_t from_leaves;        /* rows of which head or payload was found only there */
    uint64_t unreadable;         /* ids that were asked for and could not be read */
    int64_t first_unreadable, last_unreadable;
    char owed[BATCH_MAX_OWED * 22 + 2]; /* of the last row; "" is every backend */
};

/* buffer_walk_open: 0; -EUCLEAN: nothing of it can be read; errors of buffer_sql_open. */
int buffer_walk_open(struct buffer_walk *walk, const char *path);
void buffer_walk_close(struct buffer_walk *walk);

/* buffer_walk_use_leaves: reads path once more; what its WAL has is written into it before. Without memory
 * for them, or when the file cannot be read, the walk goes on as without. */
void buffer_walk_use_leaves(struct buffer_walk *walk, const char *path);

/* buffer_walk_next: the next row that can be read. 0, -ENOENT at the end, -ENOMEM. */
int buffer_walk_next(struct buffer_walk *walk, struct buffer_row *ret_row);

/* buffer_walk_payload: the row's payload into out, cleared before. 0; -EBADMSG: not readable or its checksum
 * is wrong; -ENOMEM. */
int buffer_walk_payload(struct buffer_walk *walk, const struct buffer_row *row, struct buf *out);

/* buffer_walk_cursor: where a backend, by its id, stands in the slot. 0, -ENOENT, -EUCLEAN. */
int buffer_walk_cursor(struct buffer_walk *walk, int64_t backend, int slot, int64_t *ret_row);

#endif
