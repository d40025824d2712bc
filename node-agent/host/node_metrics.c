#include "node-agent/host/node_metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collector_choice.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collector_set.h"
#include "node-agent/scrape/exposition_write.h"

struct node_metrics {
    struct collector_set set;
    struct exposition_writer *writer; /* owned */
};

void node_metrics_free(struct node_metrics *metrics)
{
    if (!metrics)
        return;
    collector_set_stop(&metrics->set);
    exposition_writer_free(metrics->writer);
    free(metrics);
}

int node_metrics_new(const struct agent_config *config, struct buf *errors, struct node_metrics **ret_metrics)
{
    int err = collector_flags_check(&config->host_metrics.collectors, &config->host_metrics.flags, errors);
    if (err < 0)
        return err;
    struct node_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return -ENOMEM;
    metrics->writer = exposition_writer_new();
    err = metrics->writer ? 0 : -ENOMEM;
    for (const struct collector *const *c = collectors; *c && err == 0; c++) {
        if (!collector_flags_is_chosen(config, *c))
            continue;
        err = collector_set_add(&metrics->set, *c, config);
        if (err < 0)
            buf_printf(errors, "collector %s does not start: %s\n", (*c)->name, strerror(-err));
    }
    if (err < 0)
        node_metrics_free(metrics);
    else
        *ret_metrics = metrics;
    return err;
}

int node_metrics_write(struct node_metrics *metrics, void (*extra)(struct metric_sink *sink, void *ctx),
                       void *ctx, struct buf *out)
{
    collector_set_run(&metrics->set, exposition_writer_sink(metrics->writer));
    if (extra)
        extra(exposition_writer_sink(metrics->writer), ctx);
    return exposition_writer_finish(metrics->writer, out);
}

int node_metrics_choose(struct node_metrics *metrics, const char *query, char *words, size_t words_size)
{
    return collector_choice_take(&metrics->set, query, words, words_size);
}

int node_metrics_print(const struct agent_config *config, struct buf *out, struct buf *errors)
{
    struct node_metrics *metrics;
    int err = node_metrics_new(config, errors, &metrics);
    if (err < 0)
        return err;
    err = node_metrics_write(metrics, NULL, NULL, out);
    node_metrics_free(metrics);
    return err;
}
