/* join.h - one request's body out of several rows' payloads, by copying.
 *
 * Snappy blocks concatenate: the body is the summed raw size and each block without its own size. The payload
 * is copied once, from the database page to its place: join_begin_row makes room and hands out the buffer to
 * append the block to, with the row's size varint lying over the end of what is already there; join_end_row
 * puts the covered bytes back. Holds at most max bytes. One thread.
 */
#ifndef GATEWAY_JOIN_H
#define GATEWAY_JOIN_H

#include "base/buffer/buffer.h"

enum { JOIN_MAX_ROWS = 1024, JOIN_HEAD = 5 };

struct join {
    struct buf buf; /* JOIN_HEAD bytes for the size, then bodies */
    uint64_t raw_bytes;
    size_t mark;             /* where the row under way began, its size included */
    size_t covered;          /* how many bytes its size lies over */
    uint8_t over[JOIN_HEAD]; /* those bytes */
};

void join_init(struct join *join, size_t max);
void join_fini(struct join *join);

/* join_clear: empty again; memory beyond keep bytes is given back. */
void join_clear(struct join *join, size_t keep);

/* join_begin_row: the buffer to append the row's block to (borrowed until join_end_row), for a row whose raw
 * size is raw_bytes. NULL when memory is out. */
struct buf *join_begin_row(struct join *join, uint64_t raw_bytes);

/* join_end_row: takes what was appended as the row's block. 0; -EBADMSG (no block), -EMSGSIZE (more than 2^32
 * - 1 raw bytes in all), errors of buf_reserve; then the row is left out. */
int join_end_row(struct join *join);

/* join_drop_row: leaves out the row under way. */
void join_drop_row(struct join *join);

/* join_seal: the finished block; borrowed until the next change. Empty when no row was taken. */
struct bytes join_seal(struct join *join);

/* join_fits: whether row may go into a request that holds rows[0..count) of raw_bytes: equal formats, within
 * limit_bytes decoded (the first row always fits), at most JOIN_MAX_ROWS, and with in_order (metrics) no
 * earlier than the rows of its origin that are already in; OTLP metrics that are to be translated (in_order)
 * one row an origin, because deltas are cumulated row by row. */
bool join_fits(const struct buffer_row *rows, size_t count, uint64_t raw_bytes, const struct buffer_row *row,
               uint64_t limit_bytes, bool in_order);

#endif
