/* pressure.c - /proc/pressure: lines "some|full avg10=A avg60=B avg300=C total=MICROSECONDS". */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

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

enum { LOOK_AGAIN_S = 60 };

struct pressure_state {
    struct procfile **files; /* owned */
    int64_t missing_ns[4];   /* when the file was not there; 0: it was. A kernel has it or not */
};

static void stop(void *ctx)
{
    struct pressure_state *state = ctx;
    procfile_set_free(state->files);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct pressure_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->files = procfile_set_new(config->host_metrics.path_procfs, files);
    if (!state->files) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
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

static int update(void *ctx, struct metric_sink *sink)
{
    struct pressure_state *state = ctx;
    int found = 0;
    for (int i = 0; state->files[i]; i++) {
        int64_t now_ns = clock_mono_ns();
        if (state->missing_ns[i] && now_ns - state->missing_ns[i] < LOOK_AGAIN_S * INT64_C(1000000000))
            continue;
        int err = update_resource(state->files[i], i, sink);
        if (err < 0 && err != -ENOENT)
            return err;
        state->missing_ns[i] = err == 0 ? 0 : now_ns;
        found += err == 0;
    }
    return found ? 0 : -ENODATA;
}

const struct collector collector_pressure = {
    .name = "pressure", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
