/* settle.h - what an answered request comes to: which cursors move, what counts as what, what is kept as
 * refused.
 *
 * Every record of every row gets one cause, so that the ledger closes: per row the counts sum to the row's
 * own record count. A row that is translated is counted in its own records, each once, whatever became of it:
 * refused when anything of it was. One thread.
 */
#ifndef GATEWAY_SETTLE_H
#define GATEWAY_SETTLE_H

#include "gateway/fanout/doubt.h"
#include "gateway/fanout/payload.h"

enum row_fate {
    ROW_LIVE,
    ROW_GONE,    /* no longer in the buffer, which has counted it */
    ROW_DAMAGED, /* its checksum is wrong */
};

struct settle {
    struct buffer_moved moved[BUFFER_SLOTS];
    size_t moved_count;
    uint64_t counts[BUFFER_CAUSES];
    uint64_t untranslated[TRANSLATE_REASON_COUNT]; /* records by reason, among the refused */
    struct buffer_refused *refused; /* owned, and each one's source; words and origin borrowed from the
                                       request, payloads from bytes */
    size_t refused_count, refused_room;
    struct buf bytes; /* owned */
    bool *is_refused; /* owned; by row: something of it was refused or overtaken */
};

/* settle_make: from the rows, their fates and a halving without work left. is_whole: by row: nothing of it
 * was lost in translation (false: look; rows that are not translated: it does not matter). 0; -ENOMEM, -EIO,
 * -EMSGSIZE (the refused payloads are more than fits): nothing is owed. */
int settle_make(const struct buffer_row *rows, const enum row_fate *fates, const bool *is_whole,
                const struct halving *h, struct payload *payload, struct settle *ret_settle);

void settle_fini(struct settle *settle);

#endif
