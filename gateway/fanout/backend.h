/* backend.h - one backend: its thread, which makes requests out of the rows that are owed and moves them on.
 *
 * At most `lanes` requests are in flight, at most half of them slow ones (halving, or trying again after a
 * failure); what waits for its turn holds its own slots only. While the backend is away one request at a time
 * probes it.
 */
#ifndef GATEWAY_BACKEND_H
#define GATEWAY_BACKEND_H

#include "base/stats.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/verdict.h"

struct backend;

/* backend_new: starts the thread. formats_elsewhere: what the signal's other backends take (a bit set of enum
 * batch_format). Everything is borrowed. 0, -ENOMEM, -EINVAL (bad URL), errors of the buffer. */
int backend_new(const struct gateway_backend_config *config, enum telemetry signal,
                uint32_t formats_elsewhere, struct buffer *buffer, struct stats *stats, struct homes *homes,
                struct backend **ret_backend);

/* backend_ask_to_stop: makes no new request; those under way may take until deadline_ns (monotonic). Any
 * thread. */
void backend_ask_to_stop(struct backend *backend, int64_t deadline_ns);

/* backend_free: waits until it has stopped; backend_ask_to_stop comes first. NULL is fine. */
void backend_free(struct backend *backend);

/* backend_is: whether it is that one. backend_returns: how often it answered after it was away. Any thread.
 */
bool backend_is(const struct backend *backend, enum telemetry signal, const char *name);
uint64_t backend_returns(const struct backend *backend);

/* backend_is_behind: it is away, or what is posted to it has waited for longer than SLOTS_BACKLOG_MS. Any
 * thread. */
bool backend_is_behind(struct backend *backend);

/* backend_view: 0 or the error of reading the ledger (then it is zero). Any thread. */
int backend_view(struct backend *backend, struct fanout_view *ret_view);

#endif
