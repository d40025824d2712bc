/* stat.c - /proc/stat without its CPU lines: "NAME VALUE ..." of interrupts, context switches, processes. */
#include <errno.h>

#include "node-agent/collectors/table.h"
#include "node-agent/procfile.h"
#include "node-agent/text.h"

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

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "stat");
    return *ret_state ? 0 : -ENOMEM;
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

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    uint64_t values[FIELDS] = {0};
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(line, values);
    for (int i = 0; i < FIELDS && err == 0; i++)
        collector_emit(sink, fields[i].name, fields[i].type, fields[i].help, (double)values[i]);
    return err;
}

static void stop(void *state)
{
    procfile_free(state);
}

const struct collector collector_stat = {.name = "stat",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .blocks = false};
