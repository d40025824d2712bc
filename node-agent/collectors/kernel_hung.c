/* kernel_hung.c - /proc/sys/kernel/hung_task_detect_count (Linux 6.13). */
#include <errno.h>

#include "node-agent/collectors/table.h"
#include "node-agent/sysfs.h"

static int update(void *state, struct metric_sink *sink)
{
    const struct agent_config *config = state;
    uint64_t count;
    int err = sysfs_u64(&count, "%s/sys/kernel/hung_task_detect_count", config->host_metrics.path_procfs);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    collector_emit(sink, "node_kernel_hung_tasks_total", METRIC_COUNTER,
                   "Total number of tasks that have been detected as hung since the system booted.",
                   (double)count);
    return 0;
}

const struct collector collector_kernel_hung = {.name = "kernel_hung",
                                                .enabled_by_default = true,
                                                .start = collector_start_with_config,
                                                .update = update,
                                                .stop = collector_stop_nothing};
