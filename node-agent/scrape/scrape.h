/* scrape.h - the pages that this agent scrapes: those of the configuration and those its gateway assigns.
 *
 * Loop thread only.
 */
#ifndef NODE_AGENT_SCRAPE_H
#define NODE_AGENT_SCRAPE_H

#include "base/loop.h"
#include "node-agent/scrape/series.h"
#include "proto/assignment.h"

enum { SCRAPE_MAX_TARGETS = 4096 };

struct scrape;

/* scrape_new: starts the targets of config->scrape_configs. config, stats and queue are borrowed; wake(ctx)
 * is called after samples were put into the queue. 0, -EINVAL (a target that cannot be used; said in errors),
 * -ENOMEM. */
int scrape_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
               struct series_queue *queue, void (*wake)(void *ctx), void *ctx, struct buf *errors,
               struct scrape **ret_scrape);

/* scrape_set_targets: from now on these are the assigned ones; those that stay keep their timer and their
 * series. Series of those that go are marked stale. An assignment that is unchanged changes nothing; targets
 * that cannot be used (https, a bad address) are logged and left out, as are those that the configuration
 * scrapes already. */
void scrape_set_targets(struct scrape *scrape, const struct assignment *assignment);

/* scrape_count: targets being scraped. */
size_t scrape_count(const struct scrape *scrape);

/* scrape_close: no more samples; frees asynchronously on the loop. NULL is fine. */
void scrape_close(struct scrape *scrape);

#endif
