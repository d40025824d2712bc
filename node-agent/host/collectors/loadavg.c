/* loadavg.c - /proc/loadavg: "0.00 0.01 0.05 1/123 456". */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "loadavg");
    return *ret_state ? 0 : -ENOMEM;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, field;
    double loads[3];
    int err = procfile_read(state, &text);
    for (int i = 0; i < 3 && err == 0; i++)
        err = text_field(&text, &field) ? text_double(field, &loads[i]) : -EINVAL;
    if (err < 0)
        return err;
    collector_emit(sink, "node_load1", METRIC_GAUGE, "1m load average.", loads[0]);
    collector_emit(sink, "node_load5", METRIC_GAUGE, "5m load average.", loads[1]);
    collector_emit(sink, "node_load15", METRIC_GAUGE, "15m load average.", loads[2]);
    return 0;
}

static void stop(void *state)
{
    procfile_free(state);
}

const struct collector collector_loadavg = {.name = "loadavg",
                                            .enabled_by_default = true,
                                            .start = start,
                                            .update = update,
                                            .stop = stop,
                                            .blocks = false};
