/* handover.h - a draining gateway gives what it still owes to the gateways that the origins will use next.
 *
 * To be started when nothing is received and nothing is posted any more (receive_drain is done, fan-out has
 * stopped), so that the cursors stand still. Row by row in commit order, one of each signal under way: sent
 * as a batch that names the backends still owed, committed there, then marked as handed over here. An
 * origin's rows go to the first gateway of its own order of choice that is up and takes them. Loop thread
 * only.
 */
#ifndef GATEWAY_HANDOVER_H
#define GATEWAY_HANDOVER_H

#include "base/buffer/buffer.h"
#include "base/loop.h"
#include "gateway/config.h"
#include "gateway/intake/receive.h"

struct handover;

/* handover_new: to config->peers but for ourselves (an address of this machine with a port of receive). All
 * borrowed. done(ctx, rows_left) is called once: when nothing is owed any more, or when timeout_ms has
 * passed. 0 with *ret_handover, -EINVAL (peers), -ENOMEM, errors of buffer_reader_open; errors says more. */
int handover_new(struct loop *loop, const struct gateway_config *config,
                 struct buffer *const buffers[TELEMETRY_COUNT], const struct receive *receive,
                 int64_t timeout_ms, void (*done)(void *ctx, uint64_t rows_left), void *ctx,
                 struct handover **ret_handover, struct buf *errors);

/* handover_went: the buffer that took the rows of the origin; "" when none were owed, "several" when they are
 * not all in one. Borrowed. For receive_set_handed. */
const char *handover_went(void *handover, const char *origin, enum telemetry signal);

/* handover_rows: how many were handed over so far. */
uint64_t handover_rows(const struct handover *handover);

/* handover_close: no callback after it; closes its readers at once, frees on the loop. NULL is fine. */
void handover_close(struct handover *handover);

#endif
