/* diskstats.c - /proc/diskstats, with what udev knows of each device (/run/udev/data/bMAJOR:MINOR).
 *
 * A line: major, minor, name, then 11, 15 or 17 numbers (kernels 2.6, 4.18, 5.5; Documentation/admin-guide/
 * iostats.rst).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/collectors/table.h"
#include "node-agent/pattern.h"
#include "node-agent/procfile.h"
#include "node-agent/text.h"

enum { NUMBERS = 17, LEAST_NUMBERS = 11, UDEV_BYTES = 65536 };
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

enum property { /* of udev */
                DM_LV_LAYER,
                DM_LV_NAME,
                DM_NAME,
                DM_UUID,
                DM_VG_NAME,
                ID_ATA,
                ID_ATA_ROTATION_RATE_RPM,
                ID_ATA_WRITE_CACHE,
                ID_ATA_WRITE_CACHE_ENABLED,
                ID_FS_TYPE,
                ID_FS_USAGE,
                ID_FS_UUID,
                ID_FS_VERSION,
                ID_MODEL,
                ID_PATH,
                ID_REVISION,
                ID_SERIAL,
                ID_SERIAL_SHORT,
                ID_WWN,
                SCSI_IDENT_SERIAL,
                PROPERTIES,
};
static const char *const property_names[PROPERTIES] = {
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
};

struct disk_state {
    const char *sysfs; /* borrowed from the config */
    char *udev_data;   /* owned */
    struct pattern_filter devices;
    struct procfile *diskstats;
    char udev[UDEV_BYTES]; /* the file of the device being looked at, cut into strings */
};

static void stop(void *ctx)
{
    struct disk_state *state = ctx;
    if (!state)
        return;
    procfile_free(state->diskstats);
    pattern_filter_fini(&state->devices);
    free(state->udev_data);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct disk_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    const char *udev = config->host_metrics.path_udev_data;
    if (asprintf(&state->udev_data, "%s%s", *udev ? udev : config->host_metrics.path_rootfs,
                 *udev ? "" : "/run/udev/data") < 0)
        state->udev_data = NULL;
    state->diskstats = procfile_new(config->host_metrics.path_procfs, "diskstats");
    int err = state->diskstats && state->udev_data ? 0 : -ENOMEM;
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

/* ---- udev ---- */

/* A line "E:NAME=VALUE", cut in place. */
static void take_property(char *line, const char *values[PROPERTIES])
{
    if (strncmp(line, "E:", 2) != 0)
        return;
    char *value = strchr(line, '=');
    if (!value)
        return;
    *value++ = '\0';
    for (int i = 0; i < PROPERTIES; i++)
        if (strcmp(line + 2, property_names[i]) == 0)
            values[i] = value;
}

/* The properties of the device; NULL for those it does not have. */
static void read_udev(struct disk_state *state, const char *major, const char *minor,
                      const char *values[PROPERTIES])
{
    char path[512], *rest = state->udev, *line;
    memset(values, 0, PROPERTIES * sizeof *values);
    snprintf(path, sizeof path, "%s/b%s:%s", state->udev_data, major, minor);
    if (procfile_read_word(path, state->udev, sizeof state->udev) < 0)
        return;
    while ((line = strsep(&rest, "\n")))
        take_property(line, values);
}

static const char *or_empty(const char *value)
{
    return value ? value : "";
}

static const char *serial_of(const char *const values[PROPERTIES])
{
    static const enum property order[] = {SCSI_IDENT_SERIAL, ID_SERIAL_SHORT, ID_SERIAL};
    for (int i = 0; i < 3; i++)
        if (values[order[i]] && *values[order[i]])
            return values[order[i]];
    return "";
}

static const char *rotational(const struct disk_state *state, const char *device)
{
    char path[512];
    uint64_t value;
    snprintf(path, sizeof path, "%s/block/%s/queue/rotational", state->sysfs, device);
    return procfile_read_u64(path, &value) == 0 && value == 1 ? "1" : "0";
}

/* ---- samples ---- */

static void emit_info(const struct disk_state *state, struct metric_sink *sink, const char *device,
                      const char *major, const char *minor, const char *const values[PROPERTIES])
{
    const char *const labels[] = {"device",     device,
                                  "major",      major,
                                  "minor",      minor,
                                  "path",       or_empty(values[ID_PATH]),
                                  "wwn",        or_empty(values[ID_WWN]),
                                  "model",      or_empty(values[ID_MODEL]),
                                  "serial",     serial_of(values),
                                  "revision",   or_empty(values[ID_REVISION]),
                                  "rotational", rotational(state, device),
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
        enum property property;
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

static int update_device(struct disk_state *state, struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[3];
    char major[16], minor[16], device[128];
    for (int i = 0; i < 3; i++)
        if (!text_field(&line, &fields[i]))
            return -EINVAL;
    if (!pattern_filter_passes(&state->devices, fields[2]))
        return 0;
    uint64_t counts[NUMBERS];
    int count, err = parse_numbers(line, counts, &count);
    if (err < 0 || count < LEAST_NUMBERS)
        return err;
    text_copy(fields[0], major, sizeof major);
    text_copy(fields[1], minor, sizeof minor);
    text_copy(fields[2], device, sizeof device);
    const char *values[PROPERTIES];
    read_udev(state, major, minor, values);
    emit_info(state, sink, device, major, minor, values);
    emit_filesystem(sink, device, values);
    emit_mapper(sink, device, values);
    emit_ata(sink, device, values);
    emit_numbers(sink, device, counts, count);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct disk_state *state = ctx;
    struct bytes text, line;
    int err = procfile_read(state->diskstats, &text);
    while (err == 0 && text_line(&text, &line))
        err = update_device(state, line, sink);
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
