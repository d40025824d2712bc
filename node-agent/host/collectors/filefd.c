/* filefd.c - /proc/sys/fs/file-nr: allocated, free and maximum file handles. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "sys/fs/file-nr");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line, fields[3];
    double allocated, maximum;
    int err = procfile_read(state, &text);
    if (err < 0)
        return err;
    if (!text_line(&text, &line) || text_fields(line, fields, 3) < 3 ||
        text_double(fields[0], &allocated) < 0 || text_double(fields[2], &maximum) < 0)
        return -EINVAL;
    collector_emit(sink, "node_filefd_allocated", METRIC_GAUGE, "File descriptor statistics: allocated.",
                   allocated);
    collector_emit(sink, "node_filefd_maximum", METRIC_GAUGE, "File descriptor statistics: maximum.",
                   maximum);
    return 0;
}

const struct collector collector_filefd = {
    .name = "filefd", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
