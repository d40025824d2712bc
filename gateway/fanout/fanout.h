/* fanout.h - brings what is in the buffers to the backends: a sender thread per backend around a curl multi
 * handle.
 *
 * Each backend has its cursor per slot in the buffer of its signal. A request joins rows of free slots in
 * commit order, up to the backend's decoded limit; one request of a slot at a time; `lanes` requests of a
 * backend at once. The answer's verdict settles it: cursors, counts and refused records move in one
 * transaction of the buffer.
 */
#ifndef GATEWAY_FANOUT_H
#define GATEWAY_FANOUT_H

#include "base/buffer/buffer.h"
#include "base/stats.h"
#include "gateway/config.h"
#include "gateway/fanout/homes.h"

struct fanout;

/* fanout_new: starts a thread per backend of config. buffers[signal], config and stats are borrowed. */
int fanout_new(const struct gateway_config *config, struct buffer *const buffers[TELEMETRY_COUNT],
               struct stats *stats, struct fanout **ret_fanout);

/* fanout_stop: no new request; waits for those under way at most timeout_ms, settles them, joins the threads,
 * frees. What was under way without an answer is in doubt at the next start. NULL is fine. */
void fanout_stop(struct fanout *fanout, int64_t timeout_ms);

/* What the operator sees of a backend. */
struct fanout_view {
    enum telemetry signal;
    char name[64];
    struct buffer_ledger ledger;
    int64_t last_delivered_ns; /* wall clock; 0 never */
    char last_error[256];      /* "" none since the last delivery */
    bool away;
};
/* fanout_views: fills at most most views, returns how many it filled. Any thread. */
size_t fanout_views(struct fanout *fanout, struct fanout_view *views, size_t most);

/* fanout_is_behind: the backend is away, or has a backlog to get (backend.h). Any thread. */
bool fanout_is_behind(const struct fanout *fanout, enum telemetry signal, const char *backend);

/* fanout_returns: how often the backend answered after it was away; 0: no such backend. Any thread. */
uint64_t fanout_returns(const struct fanout *fanout, enum telemetry signal, const char *backend);

/* fanout_tell_homes: which agents are here now (homes_set). Any thread. */
void fanout_tell_homes(struct fanout *fanout, struct home *homes, size_t count);

#endif
