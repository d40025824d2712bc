/* diskstats.c - /proc/diskstats, with what udev knows of each device (disk_facts.h).
 *
 * A line: major, minor, name, then 11, 15 or 17 numbers (kernels 2.6, 4.18, 5.5; Documentation/admin-guide/
 * iostats.rst).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/disk_facts.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/host/text_memory.h"
#include "node-agent/pattern.h"

enum { NUMBERS = 17, LEAST_NUMBERS = 11 };
static const double seconds = 1.0 / 1000.0, sectors = 512.0;

static const struct {
    const char *name;
    enum metric_type type;
    double scale;
    const char *help;
} numbers[NUMBERS] = {
    {"node_disk_reads_completed_total", METRIC_COUNTER, 1,
     "The total number of reads completed successfully."},
    {"node_disk_reads_merged_total", METRIC_COUNTER, 1, "The total number of reads merged."},
    {"node_disk_read_bytes_total", METRIC_COUNTER, sectors, "The total number of bytes read successfully."},
    {"node_disk_read_time_seconds_total", METRIC_COUNTER, seconds,
     "The total number of seconds spent by all reads."},
    {"node_disk_writes_completed_total", METRIC_COUNTER, 1,
     "The total number of writes completed successfully."},
    {"node_disk_writes_merged_total", METRIC_COUNTER, 1, "The number of writes merged."},
    {"node_disk_written_bytes_total", METRIC_COUNTER, sectors,
     "The total number of bytes written successfully."},
    {"node_disk_write_time_seconds_total", METRIC_COUNTER, seconds,
     "This is the total number of seconds spent by all writes."},
    {"node_disk_io_now", METRIC_GAUGE, 1, "The number of I/Os currently in progress."},
    {"node_disk_io_time_seconds_total", METRIC_COUNTER, seconds, "Total seconds spent doing I/Os."},
    {"node_disk_io_time_weighted_seconds_total", METRIC_COUNTER, seconds,
     "The weighted # of seconds spent doing I/Os."},
    {"node_disk_discards_completed_total", METRIC_COUNTER, 1,
     "The total number of discards completed successfully."},
    {"node_disk_discards_merged_total", METRIC_COUNTER, 1, "The total number of discards merged."},
    {"node_disk_discarded_sectors_total", METRIC_COUNTER, 1,
     "The total number of sectors discarded successfully."},
    {"node_disk_discard_time_seconds_total", METRIC_COUNTER, seconds,
     "This is the total number of seconds spent by all discards."},
    {"node_disk_flush_requests_total", METRIC_COUNTER, 1,
     "The total number of flush requests completed successfully"},
    {"node_disk_flush_requests_time_seconds_total", METRIC_COUNTER, seconds,
     "This is the total number of seconds spent by all flush requests."},
};

struct disk_state {
    struct disk_facts_table *facts; /* owned */
    struct pattern_filter devices;
    struct procfile *diskstats; /* owned */
    struct text_memory wanted;  /* by line: whether devices passes its name */
};

static void stop(void *ctx)
{
    struct disk_state *state = ctx;
    if (!state)
        return;
    procfile_free(state->diskstats);
    pattern_filter_fini(&state->devices);
    disk_facts_free(state->facts);
    text_memory_fini(&state->wanted);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct disk_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->facts = disk_facts_new(config);
    state->diskstats = procfile_new(config->host_metrics.path_procfs, "diskstats");
    int err = state->diskstats && state->facts ? 0 : -ENOMEM;
    if (err == 0)
        err = pattern_filter_init(&state->devices, config, "diskstats.device-include",
                                  "diskstats.device-exclude",
                                  "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$");
    if (err < 0) {
        stop(state);
        return err;
    }
    *ret_state = state;
    return 0;
}

/* ---- samples ---- */

static const char *or_empty(const char *value)
{
    return value ? value : "";
}

static const char *serial_of(const char *const values[PROPERTIES])
{
    static const enum disk_property order[] = {SCSI_IDENT_SERIAL, ID_SERIAL_SHORT, ID_SERIAL};
    for (int i = 0; i < 3; i++)
        if (values[order[i]] && *values[order[i]])
            return values[order[i]];
    return "";
}

static void emit_info(struct metric_sink *sink, const char *device, const char *major, const char *minor,
                      const struct disk_facts *facts)
{
    const char *const *values = facts->values;
    const char *const labels[] = {"device",     device,
                                  "major",      major,
                                  "minor",      minor,
                                  "path",       or_empty(values[ID_PATH]),
                                  "wwn",        or_empty(values[ID_WWN]),
                                  "model",      or_empty(values[ID_MODEL]),
                                  "serial",     serial_of(values),
                                  "revision",   or_empty(values[ID_REVISION]),
                                  "rotational", facts->rotational ? "1" : "0",
                                  NULL};
    sink->sample(sink, "node_disk_info", METRIC_GAUGE, "Info of /sys/block/<block_device>.", labels, 1);
}

static void emit_filesystem(struct metric_sink *sink, const char *device,
                            const char *const values[PROPERTIES])
{
    const char *const labels[] = {"device",  device,
                                  "type",    or_empty(values[ID_FS_TYPE]),
                                  "usage",   or_empty(values[ID_FS_USAGE]),
                                  "uuid",    or_empty(values[ID_FS_UUID]),
                                  "version", or_empty(values[ID_FS_VERSION]),
                                  NULL};
    if (*or_empty(values[ID_FS_TYPE]))
        sink->sample(sink, "node_disk_filesystem_info", METRIC_GAUGE, "Info about disk filesystem.", labels,
                     1);
}

static void emit_mapper(struct metric_sink *sink, const char *device, const char *const values[PROPERTIES])
{
    const char *const labels[] = {"device",   device,
                                  "name",     or_empty(values[DM_NAME]),
                                  "uuid",     or_empty(values[DM_UUID]),
                                  "vg_name",  or_empty(values[DM_VG_NAME]),
                                  "lv_name",  or_empty(values[DM_LV_NAME]),
                                  "lv_layer", or_empty(values[DM_LV_LAYER]),
                                  NULL};
    if (*or_empty(values[DM_NAME]))
        sink->sample(sink, "node_disk_device_mapper_info", METRIC_GAUGE, "Info about disk device mapper.",
                     labels, 1);
}

static void emit_ata(struct metric_sink *sink, const char *device, const char *const values[PROPERTIES])
{
    static const struct {
        enum disk_property property;
        const char *name, *help;
    } rows[] = {
        {ID_ATA_WRITE_CACHE, "node_disk_ata_write_cache", "ATA disk has a write cache."},
        {ID_ATA_WRITE_CACHE_ENABLED, "node_disk_ata_write_cache_enabled",
         "ATA disk has its write cache enabled."},
        {ID_ATA_ROTATION_RATE_RPM, "node_disk_ata_rotation_rate_rpm",
         "ATA disk rotation rate in RPMs (0 for SSDs)."},
    };
    const char *const labels[] = {"device", device, NULL};
    for (int i = 0; i < 3 && *or_empty(values[ID_ATA]); i++) {
        double value;
        if (values[rows[i].property] && text_double(bytes_of_string(values[rows[i].property]), &value) == 0)
            sink->sample(sink, rows[i].name, METRIC_GAUGE, rows[i].help, labels, value);
    }
}

/* 0 with the count of numbers in the line, -EINVAL. */
static int parse_numbers(struct bytes line, uint64_t values[NUMBERS], int *ret_count)
{
    struct bytes field;
    int count = 0;
    for (; count < NUMBERS && text_field(&line, &field); count++)
        if (text_u64(field, &values[count]) < 0)
            return -EINVAL;
    *ret_count = count;
    return 0;
}

static void emit_numbers(struct metric_sink *sink, const char *device, const uint64_t *values, int count)
{
    const char *const labels[] = {"device", device, NULL};
    for (int i = 0; i < count; i++)
        sink->sample(sink, numbers[i].name, numbers[i].type, numbers[i].help, labels,
                     (double)values[i] * numbers[i].scale);
}

static bool is_wanted(struct disk_state *state, size_t at, struct bytes name)
{
    int wanted;
    if (text_memory_get(&state->wanted, at, name, &wanted))
        return wanted;
    wanted = pattern_filter_passes(&state->devices, name);
    text_memory_put(&state->wanted, at, name, wanted);
    return wanted;
}

static int update_device(struct disk_state *state, size_t at, struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[3];
    char major[16], minor[16], device[128];
    for (int i = 0; i < 3; i++)
        if (!text_field(&line, &fields[i]))
            return -EINVAL;
    if (!is_wanted(state, at, fields[2]))
        return 0;
    uint64_t counts[NUMBERS];
    int count, err = parse_numbers(line, counts, &count);
    if (err < 0 || count < LEAST_NUMBERS)
        return err;
    text_copy(fields[0], major, sizeof major);
    text_copy(fields[1], minor, sizeof minor);
    text_copy(fields[2], device, sizeof device);
    const struct disk_facts *facts = disk_facts_get(state->facts, major, minor, device);
    if (!facts)
        return -ENOMEM;
    emit_info(sink, device, major, minor, facts);
    emit_filesystem(sink, device, facts->values);
    emit_mapper(sink, device, facts->values);
    emit_ata(sink, device, facts->values);
    emit_numbers(sink, device, counts, count);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct disk_state *state = ctx;
    struct bytes text, line;
    int err = procfile_read(state->diskstats, &text);
    disk_facts_begin(state->facts);
    for (size_t at = 0; err == 0 && text_line(&text, &line); at++)
        err = update_device(state, at, line, sink);
    return err;
}

static const char *const flags[] = {"diskstats.device-include=~", "diskstats.device-exclude=~", NULL};

const struct collector collector_diskstats = {.name = "diskstats",
                                              .enabled_by_default = true,
                                              .start = start,
                                              .update = update,
                                              .stop = stop,
                                              .blocks = false,
                                              .flags = flags};
