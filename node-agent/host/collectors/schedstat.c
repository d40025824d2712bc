/* schedstat.c - the cpuN lines of /proc/schedstat: of their nine numbers the last three are nanoseconds run,
 * nanoseconds waited, and time slices. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { FIELDS = 10, RUNNING = 7, WAITING = 8, SLICES = 9 };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new_long(config->host_metrics.path_procfs, "schedstat");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static void emit(struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[FIELDS];
    uint64_t running, waiting, slices;
    char cpu[24];
    if (text_fields(line, fields, FIELDS) < FIELDS || text_u64(fields[RUNNING], &running) < 0 ||
        text_u64(fields[WAITING], &waiting) < 0 || text_u64(fields[SLICES], &slices) < 0)
        return;
    text_copy(bytes_skip(fields[0], 3), cpu, sizeof cpu);
    COLLECTOR_SAMPLE(sink, "node_schedstat_running_seconds_total", METRIC_COUNTER,
                     "Number of seconds CPU spent running a process.", (double)running / 1e9, "cpu", cpu);
    COLLECTOR_SAMPLE(sink, "node_schedstat_waiting_seconds_total", METRIC_COUNTER,
                     "Number of seconds spent by processing waiting for this CPU.", (double)waiting / 1e9,
                     "cpu", cpu);
    COLLECTOR_SAMPLE(sink, "node_schedstat_timeslices_total", METRIC_COUNTER,
                     "Number of timeslices executed by CPU.", (double)slices, "cpu", cpu);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        if (text_starts(line, "cpu"))
            emit(line, sink);
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_schedstat = {.name = "schedstat",
                                              .enabled_by_default = true,
                                              .start = start,
                                              .update = update,
                                              .stop = stop,
                                              .announced = true};
