/* tapestats.c - /sys/class/scsi_tape/stN/stats. */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

static const struct {
    const char *file, *name;
    enum metric_type type;
    double scale;
    const char *help;
} rows[] = {
    {"in_flight", "node_tape_io_now", METRIC_GAUGE, 1,
     "The number of I/Os currently outstanding to this device."},
    {"io_ns", "node_tape_io_time_seconds_total", METRIC_COUNTER, 1e-9,
     "The amount of time spent waiting for all I/O to complete (including read and write). This includes "
     "tape movement commands such as seeking between file or set marks and implicit tape movement such as "
     "when rewind on close tape devices are used."},
    {"other_cnt", "node_tape_io_others_total", METRIC_COUNTER, 1,
     "The number of I/Os issued to the tape drive other than read or write commands. The time taken to "
     "complete these commands uses the following calculation "
     "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total"},
    {"read_byte_cnt", "node_tape_read_bytes_total", METRIC_COUNTER, 1,
     "The number of bytes read from the tape drive."},
    {"read_cnt", "node_tape_reads_completed_total", METRIC_COUNTER, 1,
     "The number of read requests issued to the tape drive."},
    {"read_ns", "node_tape_read_time_seconds_total", METRIC_COUNTER, 1e-9,
     "The amount of time spent waiting for read requests to complete."},
    {"resid_cnt", "node_tape_residual_total", METRIC_COUNTER, 1,
     "The number of times during a read or write we found the residual amount to be non-zero. This should "
     "mean that a program is issuing a read larger thean the block size on tape. For write not all data made "
     "it to tape."},
    {"write_byte_cnt", "node_tape_written_bytes_total", METRIC_COUNTER, 1,
     "The number of bytes written to the tape drive."},
    {"write_cnt", "node_tape_writes_completed_total", METRIC_COUNTER, 1,
     "The number of write requests issued to the tape drive."},
    {"write_ns", "node_tape_write_time_seconds_total", METRIC_COUNTER, 1e-9,
     "The amount of time spent waiting for write requests to complete."},
};

struct tape_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter devices;
};

static void stop(void *ctx)
{
    struct tape_state *state = ctx;
    pattern_filter_fini(&state->devices);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct tape_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    int err = pattern_filter_init(&state->devices, config, NULL, "tapestats.ignored-devices", "^$");
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* stN; the other folders are the same drives in other modes. */
static bool is_drive(struct bytes name)
{
    return text_starts(name, "st") && name.len > 2 && text_digits(bytes_skip(name, 2)) == name.len - 2;
}

static int update_device(const struct tape_state *state, const char *device, struct metric_sink *sink)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t value = 0;
        int err = sysfs_u64(&value, "%s/class/scsi_tape/%s/stats/%s", state->sysfs, device, rows[i].file);
        if (err < 0 && err != -ENOENT)
            return err;
        COLLECTOR_SAMPLE(sink, rows[i].name, rows[i].type, rows[i].help, (double)value * rows[i].scale,
                         "device", device);
    }
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct tape_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/scsi_tape", state->sysfs);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        struct bytes name = bytes_of_string(names.items[i]);
        if (is_drive(name) && pattern_filter_passes(&state->devices, name))
            err = update_device(state, names.items[i], sink);
    }
    sysfs_names_fini(&names);
    return err;
}

static const char *const flags[] = {"tapestats.ignored-devices=~", NULL};

const struct collector collector_tapestats = {.name = "tapestats",
                                              .enabled_by_default = true,
                                              .start = start,
                                              .update = update,
                                              .stop = stop,
                                              .announced = true,
                                              .flags = flags};
