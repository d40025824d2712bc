/* buffer_leaves.h - finds batches in a damaged file by its leaf pages, whatever has become of the pages above
 * them.
 *
 * Every page that is a leaf of a table, and is not free, is looked through for rows that have the shape of a
 * batch's head or payload; each is verified by who uses it (slot, checksum). The format is SQLite's
 * (sqlite.org/fileformat2.html: b-tree pages, record format, overflow pages, pointer maps). Only what the
 * file itself holds is seen, not its WAL. At most BUFFER_LEAVES_MOST rows of each kind are remembered, 16
 * bytes each. One thread.
 */
#ifndef BASE_BUFFER_LEAVES_H
#define BASE_BUFFER_LEAVES_H

#include "base/buffer/buffer.h"

enum { BUFFER_LEAVES_MOST = 1 << 23 };

struct buffer_leaves {
    int fd;
    uint32_t pages;
    struct buffer_leaf_index {
        struct buffer_leaf_row *rows; /* owned; by id */
        size_t count, size;
    } heads, payloads;
};

/* buffer_leaves_open: reads the whole file once. 0, -ENOMEM (also: too many rows), errors of open and read.
 */
int buffer_leaves_open(struct buffer_leaves *leaves, const char *path);

/* buffer_leaves_close: also of a zeroed one. */
void buffer_leaves_close(struct buffer_leaves *leaves);

/* buffer_leaves_next: the lowest id above after of which there is a head; 0: none. */
int64_t buffer_leaves_next(const struct buffer_leaves *leaves, int64_t after);

/* buffer_leaves_head: the nth head of that id (a stale copy may be among them), with the text of owed. 0,
 * -ENOENT: there are no more; -EBADMSG: it cannot be read. */
int buffer_leaves_head(struct buffer_leaves *leaves, int64_t id, size_t nth, struct buffer_row *ret_row,
                       char *ret_owed, size_t owed_size);

/* buffer_leaves_payload: appends the nth payload of that id. 0, -ENOENT, -EBADMSG, errors of buf_append. */
int buffer_leaves_payload(struct buffer_leaves *leaves, int64_t id, size_t nth, struct buf *out);

#endif
