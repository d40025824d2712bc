/* dmmultipath.c - multipath devices: /sys/block/dm-N whose dm/uuid begins with "mpath-", and the disks below
 * them. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { WORD_BYTES = 256, SECTOR = 512 };

struct multipath {
    char name[WORD_BYTES], uuid[WORD_BYTES];
    const char *sysfs_name;
    uint64_t suspended, sectors;
    int paths, active;
};

static int emit_paths(const char *sysfs, struct multipath *device, struct metric_sink *sink)
{
    struct sysfs_names names;
    char state[WORD_BYTES];
    int err = sysfs_list(&names, "%s/block/%s/slaves", sysfs, device->sysfs_name);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        err = sysfs_word(state, sizeof state, "%s/block/%s/device/state", sysfs, names.items[i]);
        if (err < 0)
            continue;
        device->paths++;
        device->active += strcmp(state, "running") == 0 || strcmp(state, "live") == 0;
        COLLECTOR_SAMPLE(sink, "node_dmmultipath_path_state", METRIC_GAUGE,
                         "Reports the underlying device state for a multipath path, as read from "
                         "/sys/block/<dev>/device/state.",
                         1, "device", device->name, "path", names.items[i], "state", state);
    }
    sysfs_names_fini(&names);
    return err;
}

static void emit_device(const struct multipath *device, struct metric_sink *sink)
{
    const struct {
        const char *name, *help;
        double value;
    } rows[] = {
        {"node_dmmultipath_device_active",
         "Whether the multipath device-mapper device is active (1) or suspended (0).",
         device->suspended != 1},
        {"node_dmmultipath_device_size_bytes",
         "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
         (double)(device->sectors * SECTOR)},
        {"node_dmmultipath_device_paths", "Number of paths for a multipath device.", device->paths},
        {"node_dmmultipath_device_paths_active",
         "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
         device->active},
        {"node_dmmultipath_device_paths_failed",
         "Number of paths not in active state for a multipath device.", device->paths - device->active},
    };
    COLLECTOR_SAMPLE(sink, "node_dmmultipath_device_info", METRIC_GAUGE,
                     "Non-numeric information about a DM-multipath device.", 1, "device", device->name,
                     "sysfs_name", device->sysfs_name, "uuid", device->uuid);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_GAUGE, rows[i].help, rows[i].value, "device",
                         device->name, "sysfs_name", device->sysfs_name);
}

static int update_device(const char *sysfs, const char *name, struct metric_sink *sink)
{
    struct multipath device = {.sysfs_name = name};
    int err = sysfs_word(device.uuid, sizeof device.uuid, "%s/block/%s/dm/uuid", sysfs, name);
    if (err == -ENOENT || (err == 0 && strncmp(device.uuid, "mpath-", 6) != 0))
        return 0;
    if (err == 0)
        err = sysfs_word(device.name, sizeof device.name, "%s/block/%s/dm/name", sysfs, name);
    if (err == 0)
        err = sysfs_u64(&device.suspended, "%s/block/%s/dm/suspended", sysfs, name);
    if (err == 0)
        err = sysfs_u64(&device.sectors, "%s/block/%s/size", sysfs, name);
    if (err == 0)
        err = emit_paths(sysfs, &device, sink);
    if (err == 0)
        emit_device(&device, sink);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/block", sysfs);
    if (err < 0)
        return err == -ENOENT || err == -EACCES ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (strncmp(names.items[i], "dm-", 3) == 0)
            err = update_device(sysfs, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_dmmultipath = {.name = "dmmultipath",
                                                .enabled_by_default = true,
                                                .start = collector_start_with_config,
                                                .update = update,
                                                .stop = collector_stop_nothing,
                                                .announced = true};
