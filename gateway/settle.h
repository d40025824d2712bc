/* settle.h - what an answered request comes to: which cursors move, what counts as what, what is kept as
 * refused.
 *
 * Every record of every row gets one cause, so that the ledger closes: per row the counts sum to the row's
 * own record count. One thread.
 */
#ifndef GATEWAY_SETTLE_H
#define GATEWAY_SETTLE_H

#include "gateway/doubt.h"
#include "gateway/payload.h"

enum row_fate {
    ROW_LIVE,
    ROW_GONE,    /* no longer in the buffer, which has counted it */
    ROW_DAMAGED, /* its checksum is wrong */
};

struct settle {
    struct buffer_moved moved[BUFFER_SLOTS];
    size_t moved_count;
    uint64_t counts[BUFFER_CAUSES];
    struct buffer_refused
        *refused; /* owned; words and origin borrowed from the request, payloads from bytes */
    size_t refused_count, refused_room;
    struct buf bytes; /* owned */
    bool *is_refused; /* owned; by row: something of it was refused or overtaken */
};

/* settle_make: from the rows, their fates and a halving without work left. 0; -ENOMEM, -EIO, -EMSGSIZE (the
 * refused payloads are more than fits): nothing is owed. */
int settle_make(const struct buffer_row *rows, const enum row_fate *fates, const struct halving *h,
                struct payload *payload, struct settle *ret_settle);

void settle_fini(struct settle *settle);

#endif
