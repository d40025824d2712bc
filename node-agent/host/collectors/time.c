/* time.c - the clock, the time zone, and the clock sources below /sys/devices/system/clocksource. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { MAX_SOURCES = 16 };

struct time_state {
    const char *sysfs; /* borrowed from the config */
    unsigned devices[MAX_SOURCES];
    struct procfile *available[MAX_SOURCES], *current[MAX_SOURCES]; /* owned */
    int count;
};

static int compare_devices(const void *a, const void *b)
{
    const unsigned *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void find_devices(struct time_state *state)
{
    char path[512];
    snprintf(path, sizeof path, "%s/devices/system/clocksource", state->sysfs);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *e; state->count < MAX_SOURCES && (e = readdir(folder));) {
        struct bytes name = bytes_of_string(e->d_name);
        uint64_t number;
        if (text_starts(name, "clocksource") && text_u64(bytes_skip(name, 11), &number) == 0 &&
            number < UINT32_MAX)
            state->devices[state->count++] = (unsigned)number;
    }
    closedir(folder);
    qsort(state->devices, (size_t)state->count, sizeof *state->devices, compare_devices);
}

static void stop(void *ctx)
{
    struct time_state *state = ctx;
    for (int i = 0; i < state->count; i++) {
        procfile_free(state->available[i]);
        procfile_free(state->current[i]);
    }
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct time_state *state = calloc(1, sizeof *state);
    int err = 0;
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    find_devices(state);
    for (int i = 0; i < state->count && err == 0; i++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/devices/system/clocksource/clocksource%u", state->sysfs,
                 state->devices[i]);
        state->available[i] = procfile_new(folder, "available_clocksource");
        state->current[i] = procfile_new(folder, "current_clocksource");
        err = state->available[i] && state->current[i] ? 0 : -ENOMEM;
    }
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static void emit_source(struct metric_sink *sink, const char *name, const char *help, int index,
                        const char *source)
{
    char device[16];
    snprintf(device, sizeof device, "%d", index);
    const char *const labels[] = {"device", device, "clocksource", source, NULL};
    sink->sample(sink, name, METRIC_GAUGE, help, labels, 1);
}

static int update_source(const struct time_state *state, int index, struct metric_sink *sink)
{
    struct bytes available, current, line = {0}, field;
    char source[64];
    int err = procfile_read(state->available[index], &available);
    if (err == 0)
        err = procfile_read(state->current[index], &current);
    if (err < 0)
        return err;
    text_line(&available, &line);
    while (text_field(&line, &field))
        emit_source(sink, "node_time_clocksource_available_info",
                    "Available clocksources read from '/sys/devices/system/clocksource'.", index,
                    text_copy(field, source, sizeof source));
    while (current.len && (current.ptr[current.len - 1] == '\n' || current.ptr[current.len - 1] == ' '))
        current.len--;
    emit_source(sink, "node_time_clocksource_current_info",
                "Current clocksource read from '/sys/devices/system/clocksource'.", index,
                text_copy(current, source, sizeof source));
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct time_state *state = ctx;
    int64_t now_ns = clock_wall_ns();
    time_t now = (time_t)(now_ns / 1000000000);
    struct tm local;
    collector_emit(sink, "node_time_seconds", METRIC_GAUGE, "System time in seconds since epoch (1970).",
                   (double)now_ns / 1e9);
    if (localtime_r(&now, &local)) {
        const char *const labels[] = {"time_zone", local.tm_zone, NULL};
        sink->sample(sink, "node_time_zone_offset_seconds", METRIC_GAUGE,
                     "System time zone offset in seconds.", labels, (double)local.tm_gmtoff);
    }
    int err = 0;
    for (int i = 0; i < state->count && err == 0; i++)
        err = update_source(state, i, sink);
    return err;
}

const struct collector collector_time = {.name = "time",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .blocks = false};
