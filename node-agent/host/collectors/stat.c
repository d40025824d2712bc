/* stat.c - /proc/stat without its CPU lines: "NAME VALUE ..." of interrupts, context switches, processes. */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/stat_file.h"
#include "node-agent/host/text.h"

enum { FIELDS = 6 };

static const struct {
    const char *key, *name;
    enum metric_type type;
    const char *help;
} fields[FIELDS] = {
    {"intr", "node_intr_total", METRIC_COUNTER, "Total number of interrupts serviced."},
    {"ctxt", "node_context_switches_total", METRIC_COUNTER, "Total number of context switches."},
    {"processes", "node_forks_total", METRIC_COUNTER, "Total number of forks."},
    {"btime", "node_boot_time_seconds", METRIC_GAUGE, "Node boot time, in unixtime."},
    {"procs_running", "node_procs_running", METRIC_GAUGE, "Number of processes in runnable state."},
    {"procs_blocked", "node_procs_blocked", METRIC_GAUGE,
     "Number of processes blocked waiting for I/O to complete."},
};

static const char *const vectors[] = {"hi",           "timer",   "net_tx", "net_rx",  "block",
                                      "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};

struct stat_state {
    struct stat_file *file;
    unsigned reader;
    bool softirqs;
};

static void stop(void *ctx)
{
    struct stat_state *state = ctx;
    stat_file_leave(state->file);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct stat_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->softirqs = collector_flag_is_on(config, "stat.softirq", false);
    state->file = stat_file_join(config->host_metrics.path_procfs, &state->reader);
    if (!state->file) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

/* "softirq TOTAL HI TIMER ...". */
static int emit_softirqs(struct bytes line, struct metric_sink *sink)
{
    struct bytes field;
    uint64_t value;
    text_field(&line, &field);
    text_field(&line, &field);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        if (!text_field(&line, &field) || text_u64(field, &value) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(sink, "node_softirqs_total", METRIC_COUNTER, "Number of softirq calls.",
                         (double)value, "vector", vectors[i]);
    }
    return 0;
}

static int parse_line(struct bytes line, uint64_t values[FIELDS])
{
    struct bytes key, value;
    if (!text_field(&line, &key) || !text_field(&line, &value))
        return 0;
    for (int i = 0; i < FIELDS; i++)
        if (text_is(key, fields[i].key))
            return text_u64(value, &values[i]);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct stat_state *state = ctx;
    struct bytes text, line;
    uint64_t values[FIELDS] = {0};
    int err = stat_file_read(state->file, state->reader, &text);
    while (err == 0 && text_line(&text, &line)) {
        err = parse_line(line, values);
        if (err == 0 && state->softirqs && text_starts(line, "softirq "))
            err = emit_softirqs(line, sink);
    }
    for (int i = 0; i < FIELDS && err == 0; i++)
        collector_emit(sink, fields[i].name, fields[i].type, fields[i].help, (double)values[i]);
    return err;
}

static const char *const flags[] = {"stat.softirq", NULL};

const struct collector collector_stat = {.name = "stat",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .blocks = false,
                                         .flags = flags};
