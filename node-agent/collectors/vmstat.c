/* vmstat.c - /proc/vmstat: "NAME VALUE" lines; of them those that node_exporter's default expression
 * ^(oom_kill|pgpg|pswp|pg.*fault).* takes. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/collectors/table.h"
#include "node-agent/procfile.h"
#include "node-agent/text.h"

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "vmstat");
    return *ret_state ? 0 : -ENOMEM;
}

static bool is_wanted(struct bytes name)
{
    if (text_starts(name, "oom_kill") || text_starts(name, "pgpg") || text_starts(name, "pswp"))
        return true;
    return text_starts(name, "pg") && memmem(name.ptr + 2, name.len - 2, "fault", 5);
}

static void emit(struct metric_sink *sink, struct bytes key, double value)
{
    char name[128], help[160];
    int len = (int)(key.len < 100 ? key.len : 100);
    snprintf(name, sizeof name, "node_vmstat_%.*s", len, key.ptr);
    snprintf(help, sizeof help, "/proc/vmstat information field %.*s.", len, key.ptr);
    collector_emit(sink, name, METRIC_UNTYPED, help, value);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line, name, field;
    double value;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line)) {
        err = text_field(&line, &name) && text_field(&line, &field) ? text_double(field, &value) : -EINVAL;
        if (err == 0 && is_wanted(name))
            emit(sink, name, value);
    }
    return err;
}

static void stop(void *state)
{
    procfile_free(state);
}

const struct collector collector_vmstat = {"vmstat", true, start, update, stop, false};
