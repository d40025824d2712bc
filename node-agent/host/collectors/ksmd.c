/* ksmd.c - merging of equal pages: /sys/kernel/mm/ksm. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

static const struct {
    const char *file, *name;
    enum metric_type type;
    double divisor;
} rows[] = {
    {"full_scans", "full_scans_total", METRIC_COUNTER, 1},
    {"merge_across_nodes", "merge_across_nodes", METRIC_GAUGE, 1},
    {"pages_shared", "pages_shared", METRIC_GAUGE, 1},
    {"pages_sharing", "pages_sharing", METRIC_GAUGE, 1},
    {"pages_to_scan", "pages_to_scan", METRIC_GAUGE, 1},
    {"pages_unshared", "pages_unshared", METRIC_GAUGE, 1},
    {"pages_volatile", "pages_volatile", METRIC_GAUGE, 1},
    {"run", "run", METRIC_GAUGE, 1},
    {"sleep_millisecs", "sleep_seconds", METRIC_GAUGE, 1000},
};

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64], help[64];
        uint64_t value;
        int err = sysfs_u64(&value, "%s/kernel/mm/ksm/%s", config->host_metrics.path_sysfs, rows[i].file);
        if (err < 0)
            return err;
        snprintf(name, sizeof name, "node_ksmd_%s", rows[i].name);
        snprintf(help, sizeof help, "ksmd '%s' file.", rows[i].file);
        collector_emit(sink, name, rows[i].type, help, (double)value / rows[i].divisor);
    }
    return 0;
}

const struct collector collector_ksmd = {
    .name = "ksmd", .start = collector_start_with_config, .update = update, .stop = collector_stop_nothing};
