/* scrape_target.h - one page that is scraped again and again, on its own timer.
 *
 * Scrapes happen at the interval's phase that the hash of the target and the node gives, so that targets and
 * nodes spread. A scrape's samples have its start as their time. Loop thread only.
 *
 *   WAITING --timer--> SCRAPING --answer, deadline--> WAITING
 */
#ifndef NODE_AGENT_SCRAPE_TARGET_H
#define NODE_AGENT_SCRAPE_TARGET_H

#include <uv.h>

#include "node-agent/scrape/scrape_page.h"

struct scrape_target;

struct scrape_target_options { /* all borrowed during scrape_target_new, but for what says otherwise */
    uv_loop_t *loop;           /* borrowed for the target's life, as are config, stats and queue */
    const struct agent_config *config;
    struct stats *stats;
    struct series_queue *queue;
    void (*wake)(void *ctx); /* called after samples were put into the queue */
    void *ctx;
    const char *job, *address, *path; /* address: host:port, [v6]:port; port 80 when it has none */
    const struct series_label
        *labels; /* of the target; job and instance are added where they are not among them */
    size_t label_count;
    int64_t interval_ms, timeout_ms; /* a timeout past the interval is cut to it */
    bool honor_labels, honor_timestamps;
    int64_t sample_limit, body_bytes; /* 0: none; 32 MiB */
};

/* scrape_target_new: 0, -EINVAL (an address or labels that cannot be used), -ENOMEM. */
int scrape_target_new(const struct scrape_target_options *options, struct scrape_target **ret_target);

/* scrape_target_close: gone: with markers for all its series when is_removed, without them at the program's
 * end. Frees asynchronously on the loop. NULL is fine. */
void scrape_target_close(struct scrape_target *target, bool is_removed);

#endif
