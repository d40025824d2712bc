/* doubt.h - what was posted without an answer: the note about it on disk, and whether it was in.
 *
 * Before a remote write request is posted, its rows and the state of its halving are committed as a note
 * beside the cursor, so that a restart knows what is in doubt. The note is one protobuf message of our own;
 * its format is here and nowhere else, with a version. Pure functions, any thread.
 */
#ifndef GATEWAY_DOUBT_H
#define GATEWAY_DOUBT_H

#include "gateway/fanout/halving.h"
#include "gateway/fanout/join.h"
#include "gateway/fanout/split.h"

enum { DOUBT_NOTE_VERSION = 1, DOUBT_MAX_PARTS = 1 << 20 };

struct doubt_row { /* how a row is found again */
    int64_t id;
    int slot;
};

/* doubt_write: appends the note. under_way: the next part is being posted, so it is in doubt for who reads
 * this note. 0, errors of buf_append. */
int doubt_write(const struct buffer_row *rows, const struct halving *h, bool under_way, struct buf *out);

/* doubt_read: the rows (malloc'ed; the caller frees) and the state of a note, the part that was under way
 * among its doubts. 0, -EBADMSG, -EPROTONOSUPPORT (a newer version), -ENOMEM; then nothing is owed. */
int doubt_read(struct bytes note, struct doubt_row **ret_rows, struct halving *ret_halving);

/* doubt_was_in: of the records of a request that got no answer and was posted again in parts: it was in only
 * when it holds samples older than their series' newest, none of those was taken now, and every newest was.
 * 1, 0, -ENOMEM. */
int doubt_was_in(const struct split_sample *samples, const bool *taken, size_t count);

/* doubt_holds: whether the part holds the record of the row. */
static inline bool doubt_holds(struct part part, uint32_t row, uint32_t record)
{
    return row >= part.row && row - part.row < part.rows &&
           (part.to == 0 || (record >= part.from && record < part.to));
}

#endif
