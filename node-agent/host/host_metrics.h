/* host_metrics.h - runs the collectors every interval and puts what they say into the queue.
 *
 * All samples of a run carry its start as their time, job and instance, and the configuration's labels; up
 * says that the agent runs. Collectors that may block (a hung mount) run on a thread: the rest of the run
 * waits for them for at most a second and goes without them then; what they say follows, with the same time,
 * when it is there. A run that still blocks at the next interval has failed: collector_success 0,
 * and what it says later is discarded. A series that is not said any more is marked stale. Loop thread only.
 */
#ifndef NODE_AGENT_HOST_METRICS_H
#define NODE_AGENT_HOST_METRICS_H

#include "base/loop.h"
#include "node-agent/scrape/series.h"

struct host_metrics;

/* host_metrics_new: starts at once. config, stats and queue are borrowed; wake(ctx) is called after samples
 * were put into the queue. 0, -EINVAL (an unknown collector; said in errors), -ENOMEM. */
int host_metrics_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
                     struct series_queue *queue, void (*wake)(void *ctx), void *ctx, struct buf *errors,
                     struct host_metrics **ret_host_metrics);

/* host_metrics_close: no more samples; frees asynchronously on the loop. NULL is fine. */
void host_metrics_close(struct host_metrics *host_metrics);

#endif
