#include "node-agent/node_metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/collector_flags.h"
#include "node-agent/collector_set.h"
#include "node-agent/exposition_write.h"

struct node_metrics {
    struct collector_set set;
};

void node_metrics_free(struct node_metrics *metrics)
{
    if (metrics)
        collector_set_stop(&metrics->set);
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
    struct exposition_writer *writer = exposition_writer_new();
    if (!writer)
        return -ENOMEM;
    collector_set_run(&metrics->set, exposition_writer_sink(writer));
    if (extra)
        extra(exposition_writer_sink(writer), ctx);
    int err = exposition_writer_finish(writer, out);
    exposition_writer_free(writer);
    return err;
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
