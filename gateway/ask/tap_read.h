/* tap_read.h - reads a buffer for a tap in bounded steps: the rows of its time span, their records, as text.
 *
 * One thread at a time (steps may be on different ones). A step looks at no more than TAP_STEP_ROWS rows,
 * opens no more than one payload, and adds about TAP_STEP_BYTES of text, so that it takes milliseconds
 * whatever the buffer holds. A damaged row is named in the output and left out.
 */
#ifndef GATEWAY_TAP_READ_H
#define GATEWAY_TAP_READ_H

#include "base/buffer/buffer.h"
#include "gateway/ask/tap_query.h"

enum { TAP_STEP_ROWS = 256, TAP_STEP_BYTES = 256 * 1024, TAP_MAX_RAW = 64 << 20, TAP_MAX_OUT = 64 << 20 };

enum tap_step {
    TAP_MORE,   /* the next step may find more */
    TAP_AT_END, /* at the newest row */
    TAP_DONE,   /* the limit is reached */
    TAP_FAILED, /* the buffer cannot be read */
};

struct tap_read {
    const struct tap_query *query; /* borrowed */
    struct buffer_reader *reader;  /* owned */
    int64_t after;                 /* row that was read to its end */
    struct buffer_row row;         /* the one being read */
    struct buf block, raw;         /* its payload; raw is empty between rows */
    uint64_t shown, next_record;   /* records shown in all; of the row: the first not looked at */
    struct buf out;                /* what the last step added */
};

/* tap_read_init: opens a reader; a followed query without `from` begins behind the newest row. 0 or a
 * negative errno. */
int tap_read_init(struct tap_read *read, struct buffer *buffer, const struct tap_query *query);
void tap_read_fini(struct tap_read *read);

/* tap_read_step: clears out and adds to it. */
enum tap_step tap_read_step(struct tap_read *read);

#endif
