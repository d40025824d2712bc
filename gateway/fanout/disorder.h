/* disorder.h - samples that a backend calls out of order: disorder of their own origin, or another gateway
 * was faster?
 *
 * A row's times may lie behind those of its origin's earlier rows without any disorder: one target is slower
 * than another, or a page carries times of its own. What decides is the series: a sample is in disorder of
 * its origin's making when an earlier row of the origin, kept here, holds the same series at its time or
 * later.
 *
 * Looks back over at most DISORDER_ROWS rows of the slot, and unpacks at most DISORDER_BYTES of those that
 * reach past the row's times, the newest first. One thread.
 */
#ifndef GATEWAY_DISORDER_H
#define GATEWAY_DISORDER_H

#include "base/buffer/buffer.h"

enum { DISORDER_ROWS = 512, DISORDER_BYTES = 16 << 20 };

/* disorder_find: is_own[i] for each of the count samples of raw, the row's remote write 1.0 message. Where
 * the rows do not tell (too many, removed or damaged), it is its own. 0, -ENOMEM, -EIO, -EBADMSG (raw). */
int disorder_find(struct buffer_reader *reader, const struct buffer_row *row, struct bytes raw,
                  uint32_t count, bool *is_own);

#endif
