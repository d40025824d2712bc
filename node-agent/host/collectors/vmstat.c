/* vmstat.c - /proc/vmstat: "NAME VALUE" lines; of them those whose name
 * --collector.vmstat.fields matches. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/host/text_memory.h"
#include "node-agent/pattern.h"

struct vmstat_state {
    struct procfile *file;     /* owned */
    struct pattern *fields;    /* owned */
    struct text_memory wanted; /* by line: whether fields matches its name */
};

static void stop(void *ctx)
{
    struct vmstat_state *state = ctx;
    procfile_free(state->file);
    pattern_free(state->fields);
    text_memory_fini(&state->wanted);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct vmstat_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err = pattern_new(collector_flag(config, "vmstat.fields", "^(oom_kill|pgpg|pswp|pg.*fault).*"),
                          &state->fields);
    state->file = procfile_new(config->host_metrics.path_procfs, "vmstat");
    if (err == 0 && !state->file)
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static void emit(struct metric_sink *sink, struct bytes key, double value)
{
    char name[128], help[160];
    int len = (int)(key.len < 100 ? key.len : 100);
    snprintf(name, sizeof name, "node_vmstat_%.*s", len, key.ptr);
    snprintf(help, sizeof help, "/proc/vmstat information field %.*s.", len, key.ptr);
    collector_emit(sink, name, METRIC_UNTYPED, help, value);
}

static bool is_wanted(struct vmstat_state *state, size_t at, struct bytes name)
{
    int wanted;
    if (text_memory_get(&state->wanted, at, name, &wanted))
        return wanted;
    wanted = pattern_matches(state->fields, name);
    text_memory_put(&state->wanted, at, name, wanted);
    return wanted;
}

static int parse_value(struct bytes field, double *ret_value)
{
    uint64_t value;
    if (text_u64(field, &value) < 0)
        return text_double(field, ret_value);
    *ret_value = (double)value;
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct vmstat_state *state = ctx;
    struct bytes text, line, name, field;
    double value;
    int err = procfile_read(state->file, &text);
    for (size_t at = 0; err == 0 && text_line(&text, &line); at++) {
        err = text_field(&line, &name) && text_field(&line, &field) ? parse_value(field, &value) : -EINVAL;
        if (err == 0 && is_wanted(state, at, name))
            emit(sink, name, value);
    }
    return err;
}

static const char *const flags[] = {"vmstat.fields=~", NULL};

const struct collector collector_vmstat = {.name = "vmstat",
                                           .enabled_by_default = true,
                                           .start = start,
                                           .update = update,
                                           .stop = stop,
                                           .blocks = false,
                                           .flags = flags};
