/* pressure.c - /proc/pressure: lines "some|full avg10=A avg60=B avg300=C total=MICROSECONDS". */
#include <errno.h>

#include "node-agent/collectors/table.h"
#include "node-agent/procfile.h"
#include "node-agent/text.h"

static const char *const files[] = {"pressure/cpu", "pressure/io", "pressure/memory", "pressure/irq", NULL};

static const struct {
    const char *some_name, *some_help, *full_name, *full_help;
} rows[] = {
    {"node_pressure_cpu_waiting_seconds_total",
     "Total time in seconds that processes have waited for CPU time", NULL, NULL},
    {"node_pressure_io_waiting_seconds_total",
     "Total time in seconds that processes have waited due to IO congestion",
     "node_pressure_io_stalled_seconds_total",
     "Total time in seconds no process could make progress due to IO congestion"},
    {"node_pressure_memory_waiting_seconds_total",
     "Total time in seconds that processes have waited for memory",
     "node_pressure_memory_stalled_seconds_total",
     "Total time in seconds no process could make progress due to memory congestion"},
    {NULL, NULL, "node_pressure_irq_stalled_seconds_total",
     "Total time in seconds no process could make progress due to IRQ congestion"},
};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_set_new(config->host_metrics.path_procfs, files);
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_set_free(state);
}

static int parse_line(struct bytes line, bool given[2], uint64_t totals[2])
{
    static const char total[] = "total=";
    struct bytes kind, field;
    if (!text_field(&line, &kind))
        return 0;
    int at = text_is(kind, "full");
    if (!at && !text_is(kind, "some"))
        return 0;
    while (text_field(&line, &field))
        if (text_starts(field, total)) {
            given[at] = true;
            return text_u64(bytes_skip(field, sizeof total - 1), &totals[at]);
        }
    return -EINVAL;
}

static int update_resource(struct procfile *file, int row, struct metric_sink *sink)
{
    struct bytes text, line;
    bool given[2] = {false, false};
    uint64_t totals[2] = {0};
    int err = procfile_read(file, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(line, given, totals);
    if (err < 0)
        return err == -EOPNOTSUPP ? -ENODATA : err;
    if ((rows[row].some_name && !given[0]) || (rows[row].full_name && !given[1]))
        return -ENODATA;
    if (rows[row].some_name)
        collector_emit(sink, rows[row].some_name, METRIC_COUNTER, rows[row].some_help,
                       (double)totals[0] / 1000.0 / 1000.0);
    if (rows[row].full_name)
        collector_emit(sink, rows[row].full_name, METRIC_COUNTER, rows[row].full_help,
                       (double)totals[1] / 1000.0 / 1000.0);
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct procfile **set = state;
    int found = 0;
    for (int i = 0; set[i]; i++) {
        int err = update_resource(set[i], i, sink);
        if (err < 0 && err != -ENOENT)
            return err;
        found += err == 0;
    }
    return found ? 0 : -ENODATA;
}

const struct collector collector_pressure = {
    .name = "pressure", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
