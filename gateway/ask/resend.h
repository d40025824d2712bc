/* resend.h - posts again what a Loki forgot when it started.
 *
 * Loki's ingester adds a request to its memory and then writes it to its WAL. Where two requests with lines
 * of one stream meet, the WAL may have them in the other order, and when Loki reads it at its next start it
 * takes the one with fewer lines for a repeat and leaves it out, though it was answered 204
 * (pkg/ingester/stream.go, Push: counter <= entryCt). Two gateways post lines of one stream when an agent has
 * changed gateways; two origins do when applications share labels. Loki counts what it left out in
 * loki_ingester_wal_duplicate_entries_total, besides what it rightly left out because a checkpoint had it.
 *
 * So when that is not 0 after a start of a backend (process_start_time_seconds), what was delivered to it in
 * the last resend_window before goes out once more, as far as somebody else may have posted its streams too
 * (resend_scope.h), once fan-out has no backlog for it (but after a long outage, for it becomes too old), as
 * a replay does it (replay_work.h): repeats change nothing in Loki. The window is what lies since the last
 * finished checkpoint: twice ingester.wal.checkpoint_duration at most. It is kept in the buffer as a replay
 * of the plan "restart=NANOSECONDS", so a gateway that ends meanwhile goes on with it; a start of the backend
 * during the window of an earlier one covers that one's window too.
 *
 * A start is noticed when the backend answers after it was away, at the gateway's own start, and every
 * DISCARD_WATCH_MS. A backend whose /metrics cannot be read beside its URL has nothing posted again. One
 * backend at a time. Loop thread only.
 */
#ifndef GATEWAY_RESEND_H
#define GATEWAY_RESEND_H

#include "gateway/ask/discard_watch.h"
#include "gateway/fanout/fanout.h"
#include "gateway/intake/receive.h"

struct resend;

/* resend_new: all is borrowed; watch, receive and fanout until resend_close, the rest until the loop has
 * ended. 0, -ENOMEM. */
int resend_new(struct loop *loop, const struct gateway_config *config,
               struct buffer *const buffers[TELEMETRY_COUNT], struct fanout *fanout,
               struct discard_watch *watch, const struct receive *receive, struct resend **ret_resend);

/* resend_close: frees on the loop, when the step under way has ended. NULL is fine. */
void resend_close(struct resend *resend);

#endif
