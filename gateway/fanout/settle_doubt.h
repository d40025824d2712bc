/* settle_doubt.h - was a part in that was posted without an answer?
 *
 * Looks at what became of its samples when it was posted again: doubt.h says what that tells. One thread.
 */
#ifndef GATEWAY_SETTLE_DOUBT_H
#define GATEWAY_SETTLE_DOUBT_H

#include "gateway/fanout/settle.h"

struct doubted { /* these are borrowed */
    const struct buffer_row *rows;
    const enum row_fate *fates;
    const struct halving *h;
    struct payload *payload;
};

/* settle_doubt_judge: 1 it was in, 0 it was not or that cannot be told; -ENOMEM, -EIO. */
int settle_doubt_judge(const struct doubted *d, struct part part);

#endif
