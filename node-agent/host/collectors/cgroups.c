/* cgroups.c - /proc/cgroups: a line of names, then "SUBSYSTEM HIERARCHY COUNT ENABLED". */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { FIELDS = 4, COUNT = 2, ENABLED = 3 };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "cgroups");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int parse_line(struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[FIELDS];
    uint64_t count, enabled;
    char name[64];
    if (text_starts(line, "#"))
        return 0;
    if (text_fields(line, fields, FIELDS) < FIELDS || text_u64(fields[COUNT], &count) < 0 ||
        text_u64(fields[ENABLED], &enabled) < 0)
        return -EINVAL;
    text_copy(fields[0], name, sizeof name);
    COLLECTOR_SAMPLE(sink, "node_cgroups_cgroups", METRIC_GAUGE, "Current cgroup number of the subsystem.",
                     (double)count, "subsys_name", name);
    COLLECTOR_SAMPLE(sink, "node_cgroups_enabled", METRIC_GAUGE, "Current cgroup number of the subsystem.",
                     enabled == 1, "subsys_name", name);
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(line, sink);
    return err;
}

const struct collector collector_cgroups = {
    .name = "cgroups", .start = start, .update = update, .stop = stop};
