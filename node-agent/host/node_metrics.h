/* node_metrics.h - the host's metrics as a page, as node_exporter would serve it: the configured collectors,
 * run on the caller's thread whenever a page is asked for. */
#ifndef NODE_AGENT_NODE_METRICS_H
#define NODE_AGENT_NODE_METRICS_H

#include "base/buf.h"
#include "node-agent/host/collector.h"

struct node_metrics;

/* node_metrics_new: starts the collectors; config is borrowed. 0, -EINVAL (an unknown name or flag; said in
 * errors), or a collector's error. */
int node_metrics_new(const struct agent_config *config, struct buf *errors,
                     struct node_metrics **ret_metrics);
void node_metrics_free(struct node_metrics *metrics); /* NULL is fine */

/* node_metrics_write: runs the collectors and appends the page (text exposition format 0.0.4). extra(sink) is
 * called for further samples; NULL for none. 0, -ENOMEM, -EMSGSIZE. */
int node_metrics_write(struct node_metrics *metrics, void (*extra)(struct metric_sink *sink, void *ctx),
                       void *ctx, struct buf *out);

/* node_metrics_choose: the next pages are of the collectors that the URL's query asks for
 * (collector_choice.h);
 * "" for all. 0, or -EINVAL with what node_exporter says. */
int node_metrics_choose(struct node_metrics *metrics, const char *query, char *words, size_t words_size);

/* node_metrics_print: one page of a node_metrics of its own. */
int node_metrics_print(const struct agent_config *config, struct buf *out, struct buf *errors);

#endif
