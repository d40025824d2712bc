/* kernel_hung.c - /proc/sys/kernel/hung_task_detect_count (Linux 6.13). */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "sys/kernel/hung_task_detect_count");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    uint64_t count;
    int err = procfile_read(state, &text);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    if (!text_line(&text, &line) || text_u64(line, &count) < 0)
        return -EINVAL;
    collector_emit(sink, "node_kernel_hung_tasks_total", METRIC_COUNTER,
                   "Total number of tasks that have been detected as hung since the system booted.",
                   (double)count);
    return 0;
}

const struct collector collector_kernel_hung = {
    .name = "kernel_hung", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
