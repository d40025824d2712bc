/* btrfs.c - /sys/fs/btrfs/UUID: allocation by kind and layout, commits, devices; where such a file system is
 * mounted, what ioctl(2) on its mount point says of the devices instead (linux/btrfs.h). */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { PATH_BYTES = 768, UUID_BYTES = 64, SECTOR = 512, MAX_DEVICE_ID = 4096, COMMIT_BYTES = 512 };

struct btrfs_state {
    const char *sysfs, *rootfs; /* borrowed from the config */
    struct procfile *mounts;    /* owned */
};

static void stop(void *ctx)
{
    struct btrfs_state *state = ctx;
    procfile_free(state->mounts);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct btrfs_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->rootfs = config->host_metrics.path_rootfs;
    state->mounts = procfile_new_long(config->host_metrics.path_procfs, "1/mounts");
    if (!state->mounts) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

static uint64_t read_number(const char *path, const char *file)
{
    uint64_t value;
    return sysfs_u64(&value, "%s/%s", path, file) == 0 ? value : 0;
}

/* ---- devices ---- */

static void show_uuid(const uint8_t raw[16], bool dashes, char text[UUID_BYTES])
{
    int len = 0;
    for (int i = 0; i < 16; i++)
        len += sprintf(text + len, "%s%02x", dashes && (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "",
                       raw[i]);
}

/* The mount point's file system is the one with this uuid. */
static bool is_mounted_at(int fd, const char *uuid, struct btrfs_ioctl_fs_info_args *info)
{
    char text[UUID_BYTES];
    memset(info, 0, sizeof *info);
    if (ioctl(fd, BTRFS_IOC_FS_INFO, info) < 0)
        return false;
    show_uuid(info->fsid, true, text);
    return strcmp(text, uuid) == 0;
}

static int open_mount(const struct btrfs_state *state, const char *uuid,
                      struct btrfs_ioctl_fs_info_args *info)
{
    struct bytes text, line, fields[3];
    char path[PATH_BYTES], point[PATH_BYTES / 2];
    if (procfile_read(state->mounts, &text) < 0)
        return -1;
    while (text_line(&text, &line)) {
        if (text_fields(line, fields, 3) < 3 || !text_is(fields[2], "btrfs"))
            continue;
        snprintf(path, sizeof path, "%s%s", strcmp(state->rootfs, "/") == 0 ? "" : state->rootfs,
                 text_copy(fields[1], point, sizeof point));
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && is_mounted_at(fd, uuid, info))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static void emit_device_info(struct metric_sink *sink, const char *uuid,
                             struct btrfs_ioctl_dev_info_args *info,
                             const struct btrfs_ioctl_get_dev_stats *stats)
{
    static const char *const types[] = {"write", "read", "flush", "corruption", "generation"};
    char device_uuid[UUID_BYTES];
    const char *device = basename((char *)info->path);
    show_uuid(info->uuid, false, device_uuid);
    COLLECTOR_SAMPLE(sink, "node_btrfs_device_size_bytes", METRIC_GAUGE,
                     "Size of a device that is part of the filesystem.", (double)info->total_bytes, "uuid",
                     uuid, "device", device, "btrfs_dev_uuid", device_uuid);
    COLLECTOR_SAMPLE(sink, "node_btrfs_device_unused_bytes", METRIC_GAUGE,
                     "Unused bytes unused on a device that is part of the filesystem.",
                     (double)(info->total_bytes - info->bytes_used), "uuid", uuid, "device", device,
                     "btrfs_dev_uuid", device_uuid);
    for (int i = 0; i < 5; i++)
        COLLECTOR_SAMPLE(sink, "node_btrfs_device_errors_total", METRIC_COUNTER,
                         "Errors reported for the device", (double)stats->values[i], "uuid", uuid, "type",
                         types[i], "device", device, "btrfs_dev_uuid", device_uuid);
}

/* False when the ioctl does not say it all. */
static bool emit_mounted_devices(const struct btrfs_state *state, const char *uuid, struct metric_sink *sink)
{
    struct btrfs_ioctl_fs_info_args fs;
    int fd = open_mount(state, uuid, &fs);
    uint64_t found = 0;
    for (uint64_t id = 0; fd >= 0 && id <= fs.max_id && id < MAX_DEVICE_ID && found < fs.num_devices; id++) {
        struct btrfs_ioctl_dev_info_args info = {.devid = id};
        struct btrfs_ioctl_get_dev_stats stats = {.devid = id, .nr_items = BTRFS_DEV_STAT_VALUES_MAX};
        if (ioctl(fd, BTRFS_IOC_DEV_INFO, &info) < 0 || ioctl(fd, BTRFS_IOC_GET_DEV_STATS, &stats) < 0)
            continue;
        emit_device_info(sink, uuid, &info, &stats);
        found++;
    }
    if (fd >= 0)
        close(fd);
    return found > 0;
}

/* How many there are; they are shown where show is set. */
static int list_devices(const char *path, const char *uuid, bool show, struct metric_sink *sink)
{
    struct sysfs_names names;
    if (sysfs_list(&names, "%s/devices", path) < 0)
        return 0;
    for (size_t i = 0; i < names.count && show; i++) {
        uint64_t sectors;
        if (sysfs_u64(&sectors, "%s/devices/%s/size", path, names.items[i]) < 0)
            sectors = 0;
        COLLECTOR_SAMPLE(sink, "node_btrfs_device_size_bytes", METRIC_GAUGE,
                         "Size of a device that is part of the filesystem.", (double)(sectors * SECTOR),
                         "uuid", uuid, "device", names.items[i]);
    }
    int count = (int)names.count;
    sysfs_names_fini(&names);
    return count;
}

/* ---- allocation ---- */

static double ratio_of(const char *layout, int devices)
{
    static const struct {
        const char *layout;
        double ratio;
        int parity;
    } rows[] = {{"single", 1, 0},  {"raid0", 1, 0},   {"dup", 2, 0},   {"raid1", 2, 0}, {"raid10", 2, 0},
                {"raid1c3", 3, 0}, {"raid1c4", 4, 0}, {"raid5", 0, 1}, {"raid6", 0, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].layout, layout) == 0)
            return rows[i].parity ? (double)devices / (devices - rows[i].parity) : rows[i].ratio;
    return 0;
}

static void emit_layout(const char *path, const char *uuid, const char *kind, const char *layout, int devices,
                        struct metric_sink *sink)
{
    COLLECTOR_SAMPLE(sink, "node_btrfs_used_bytes", METRIC_GAUGE,
                     "Amount of used space by a layout/data type", (double)read_number(path, "used_bytes"),
                     "uuid", uuid, "block_group_type", kind, "mode", layout);
    COLLECTOR_SAMPLE(
        sink, "node_btrfs_size_bytes", METRIC_GAUGE, "Amount of space allocated for a layout/data type",
        (double)read_number(path, "total_bytes"), "uuid", uuid, "block_group_type", kind, "mode", layout);
    COLLECTOR_SAMPLE(sink, "node_btrfs_allocation_ratio", METRIC_GAUGE,
                     "Data allocation ratio for a layout/data type", ratio_of(layout, devices), "uuid", uuid,
                     "block_group_type", kind, "mode", layout);
}

static void emit_allocation(const char *path, const char *uuid, const char *kind, int devices,
                            struct metric_sink *sink)
{
    char below[PATH_BYTES];
    struct sysfs_names names;
    snprintf(below, sizeof below, "%s/allocation/%s", path, kind);
    COLLECTOR_SAMPLE(sink, "node_btrfs_reserved_bytes", METRIC_GAUGE,
                     "Amount of space reserved for a data type", (double)read_number(below, "bytes_reserved"),
                     "uuid", uuid, "block_group_type", kind);
    if (sysfs_list(&names, "%s", below) < 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        snprintf(below, sizeof below, "%s/allocation/%s/%s", path, kind, names.items[i]);
        if (sysfs_exists("%s/.", below))
            emit_layout(below, uuid, kind, names.items[i], devices, sink);
    }
    sysfs_names_fini(&names);
}

static int emit_commits(const char *path, const char *uuid, struct metric_sink *sink)
{
    static const struct {
        const char *key, *name, *help;
        enum metric_type type;
        double divisor;
    } rows[] = {
        {"commits", "node_btrfs_commits_total", "The total number of commits that have occurred.",
         METRIC_COUNTER, 1},
        {"last_commit_ms", "node_btrfs_last_commit_seconds",
         "Duration of the most recent commit, in seconds.", METRIC_GAUGE, 1000},
        {"max_commit_ms", "node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds.",
         METRIC_GAUGE, 1000},
        {"total_commit_ms", "node_btrfs_commit_seconds_total",
         "Sum of the duration of all commits, in seconds.", METRIC_COUNTER, 1000},
    };
    char storage[COMMIT_BYTES];
    uint64_t values[4] = {0};
    int err = sysfs_word(storage, sizeof storage, "%s/commit_stats", path);
    struct bytes rest = bytes_of_string(err == 0 ? storage : ""), line, fields[2];
    if (err < 0 && err != -ENOENT)
        return err;
    while (text_line(&rest, &line)) {
        if (text_fields(line, fields, 2) < 2)
            return -EINVAL;
        for (int i = 0; i < 4; i++)
            if (text_is(fields[0], rows[i].key) && text_u64(fields[1], &values[i]) < 0)
                return -EINVAL;
    }
    for (int i = 0; i < 4; i++)
        COLLECTOR_SAMPLE(sink, rows[i].name, rows[i].type, rows[i].help, (double)values[i] / rows[i].divisor,
                         "uuid", uuid);
    return 0;
}

static int update_filesystem(const struct btrfs_state *state, const char *folder, struct metric_sink *sink)
{
    static const char *const kinds[] = {"data", "metadata", "system"};
    char path[PATH_BYTES / 2], label[256], uuid[UUID_BYTES];
    snprintf(path, sizeof path, "%s/fs/btrfs/%s", state->sysfs, folder);
    if (sysfs_word(label, sizeof label, "%s/label", path) < 0)
        label[0] = '\0';
    if (sysfs_word(uuid, sizeof uuid, "%s/metadata_uuid", path) < 0 || !*uuid)
        snprintf(uuid, sizeof uuid, "%s", folder);
    COLLECTOR_SAMPLE(sink, "node_btrfs_info", METRIC_GAUGE, "Filesystem information", 1, "uuid", uuid,
                     "label", label);
    COLLECTOR_SAMPLE(sink, "node_btrfs_global_rsv_size_bytes", METRIC_GAUGE, "Size of global reserve.",
                     (double)read_number(path, "allocation/global_rsv_size"), "uuid", uuid);
    bool told = emit_mounted_devices(state, folder, sink);
    int devices = list_devices(path, uuid, !told, sink);
    for (int i = 0; i < 3; i++)
        emit_allocation(path, uuid, kinds[i], devices, sink);
    return emit_commits(path, uuid, sink);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct btrfs_state *state = ctx;
    struct sysfs_names names;
    int err = 0;
    if (sysfs_folders("%s/fs/btrfs", state->sysfs) == 1) /* features: what every kernel with btrfs has */
        return 0;
    if (sysfs_list(&names, "%s/fs/btrfs", state->sysfs) < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (strchr(names.items[i], '-')) /* a uuid */
            err = update_filesystem(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_btrfs = {
    .name = "btrfs", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
