/* nvme.c - /sys/class/nvme: the controllers, and their namespaces (folders nvmeXnY, sizes in blocks). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { WORD_BYTES = 256 };

/* The digits of Y anywhere in "nvmeXnY", as a C string in storage; false when name is no namespace. */
static bool namespace_of(const char *name, char storage[32])
{
    const char *at = strstr(name, "nvme");
    if (!at)
        return false;
    at += 4;
    size_t digits = strspn(at, "0123456789");
    if (!digits || at[digits] != 'n')
        return false;
    at += digits + 1;
    digits = strspn(at, "0123456789");
    snprintf(storage, 32, "%.*s", (int)digits, at);
    return digits > 0;
}

static int emit_namespace(const char *folder, const char *device, const char *name, const char *id,
                          struct metric_sink *sink)
{
    char state[WORD_BYTES], word[WORD_BYTES];
    static const char *const files[] = {"nuse", "size", "queue/logical_block_size"};
    uint64_t values[3] = {0};
    for (int i = 0; i < 3; i++) {
        int err = sysfs_word(word, sizeof word, "%s/%s/%s/%s", folder, device, name, files[i]);
        if (err < 0)
            return err;
        sysfs_u64(&values[i], "%s/%s/%s/%s", folder, device, name, files[i]);
    }
    if (sysfs_word(state, sizeof state, "%s/%s/%s/ana_state", folder, device, name) < 0)
        strcpy(state, "unknown");
    double size = (double)(values[1] * values[2]);
    COLLECTOR_SAMPLE(sink, "node_nvme_namespace_info", METRIC_GAUGE,
                     "Information about NVMe namespaces. Value is always 1", 1, "device", device, "nsid", id,
                     "ana_state", state);
    COLLECTOR_SAMPLE(sink, "node_nvme_namespace_capacity_bytes", METRIC_GAUGE,
                     "Capacity of the NVMe namespace in bytes. Computed as namespace_size * "
                     "namespace_logical_block_size",
                     size, "device", device, "nsid", id);
    COLLECTOR_SAMPLE(sink, "node_nvme_namespace_size_bytes", METRIC_GAUGE,
                     "Size of the NVMe namespace in bytes. Available in "
                     "/sys/class/nvme/<device>/<namespace>/size",
                     size, "device", device, "nsid", id);
    COLLECTOR_SAMPLE(sink, "node_nvme_namespace_used_bytes", METRIC_GAUGE,
                     "Used space of the NVMe namespace in bytes. Available in "
                     "/sys/class/nvme/<device>/<namespace>/nuse",
                     (double)(values[0] * values[2]), "device", device, "nsid", id);
    COLLECTOR_SAMPLE(sink, "node_nvme_namespace_logical_block_size_bytes", METRIC_GAUGE,
                     "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in "
                     "/sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
                     (double)values[2], "device", device, "nsid", id);
    return 0;
}

static int emit_info(const char *folder, const char *device, struct metric_sink *sink)
{
    static const char *const files[] = {"firmware_rev", "model", "serial", "state", "cntlid"};
    char words[5][WORD_BYTES];
    for (int i = 0; i < 5; i++) {
        int err = sysfs_word(words[i], WORD_BYTES, "%s/%s/%s", folder, device, files[i]);
        if (err < 0)
            return err;
    }
    COLLECTOR_SAMPLE(sink, "node_nvme_info", METRIC_GAUGE,
                     "Non-numeric data from /sys/class/nvme/<device>, value is always 1.", 1, "device",
                     device, "firmware_revision", words[0], "model", words[1], "serial", words[2], "state",
                     words[3], "cntlid", words[4]);
    return 0;
}

static int update_device(const char *folder, const char *device, struct metric_sink *sink)
{
    struct sysfs_names names;
    char id[32];
    int err = emit_info(folder, device, sink);
    if (err == 0)
        err = sysfs_list(&names, "%s/%s", folder, device);
    if (err < 0)
        return err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (namespace_of(names.items[i], id))
            err = emit_namespace(folder, device, names.items[i], id, sink);
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    struct sysfs_names names;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/class/nvme", config->host_metrics.path_sysfs);
    int err = sysfs_list(&names, "%s", folder);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_device(folder, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_nvme = {.name = "nvme",
                                         .enabled_by_default = true,
                                         .start = collector_start_with_config,
                                         .update = update,
                                         .stop = collector_stop_nothing,
                                         .announced = true};
