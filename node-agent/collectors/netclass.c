/* netclass.c - the properties of the network devices: the files of /sys/class/net/DEVICE. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node-agent/collector_flags.h"
#include "node-agent/collectors/table.h"
#include "node-agent/pattern.h"
#include "node-agent/sysfs.h"

enum { ROWS = 17, FLAGS_ROW = 7, WORD_BYTES = 256, PATH_BYTES = 512, KEPT_FILES = 509 };

static const struct {
    const char *file, *name;
    enum metric_type type;
} rows[ROWS] = {
    {"addr_assign_type", "address_assign_type", METRIC_GAUGE},
    {"carrier", "carrier", METRIC_GAUGE},
    {"carrier_changes", "carrier_changes_total", METRIC_COUNTER},
    {"carrier_up_count", "carrier_up_changes_total", METRIC_COUNTER},
    {"carrier_down_count", "carrier_down_changes_total", METRIC_COUNTER},
    {"dev_id", "device_id", METRIC_GAUGE},
    {"dormant", "dormant", METRIC_GAUGE},
    {"flags", "flags", METRIC_GAUGE},
    {"ifindex", "iface_id", METRIC_GAUGE},
    {"iflink", "iface_link", METRIC_GAUGE},
    {"link_mode", "iface_link_mode", METRIC_GAUGE},
    {"mtu", "mtu_bytes", METRIC_GAUGE},
    {"name_assign_type", "name_assign_type", METRIC_GAUGE},
    {"netdev_group", "net_dev_group", METRIC_GAUGE},
    {"speed", "speed_bytes", METRIC_GAUGE},
    {"tx_queue_len", "transmit_queue_length", METRIC_GAUGE},
    {"type", "protocol_type", METRIC_GAUGE},
};

struct netclass_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter devices;
    struct sysfs_kept *files; /* owned */
    bool skip_invalid_speed;
};

static void stop(void *ctx)
{
    struct netclass_state *state = ctx;
    pattern_filter_fini(&state->devices);
    sysfs_kept_free(state->files);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct netclass_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->skip_invalid_speed = collector_flag_is_on(config, "netclass.ignore-invalid-speed", false);
    int err = pattern_filter_init(&state->devices, config, NULL, "netclass.ignored-devices", "^$");
    state->files = sysfs_kept_new(KEPT_FILES);
    if (err == 0 && !state->files)
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static bool is_ignored(int err)
{
    return err == -ENOENT || err == -EACCES || err == -EPERM || err == -EOPNOTSUPP || err == -EINVAL;
}

static void read_word(const struct netclass_state *state, const char *device, const char *file,
                      char word[WORD_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/class/net/%s/%s", state->sysfs, device, file);
    if (sysfs_kept_word(state->files, path, word, WORD_BYTES) < 0)
        word[0] = '\0';
}

static void emit_info(const struct netclass_state *state, const char *device, const char *admin,
                      struct metric_sink *sink)
{
    char address[WORD_BYTES], broadcast[WORD_BYTES], duplex[WORD_BYTES], operstate[WORD_BYTES],
        alias[WORD_BYTES];
    read_word(state, device, "address", address);
    read_word(state, device, "broadcast", broadcast);
    read_word(state, device, "duplex", duplex);
    read_word(state, device, "operstate", operstate);
    read_word(state, device, "ifalias", alias);
    COLLECTOR_SAMPLE(sink, "node_network_up", METRIC_GAUGE, "Value is 1 if operstate is 'up', 0 otherwise.",
                     strcmp(operstate, "up") == 0, "device", device);
    COLLECTOR_SAMPLE(sink, "node_network_info", METRIC_GAUGE,
                     "Non-numeric data from /sys/class/net/<iface>, value is always 1.", 1, "device", device,
                     "address", address, "broadcast", broadcast, "duplex", duplex, "operstate", operstate,
                     "adminstate", admin, "ifalias", alias);
}

static void emit_row(const struct netclass_state *state, const char *device, int row, int64_t value,
                     struct metric_sink *sink)
{
    char name[64], help[96];
    if (strcmp(rows[row].file, "speed") == 0) {
        if (value < 0 && state->skip_invalid_speed)
            return;
        value = value * 1000 * 1000 / 8;
    }
    snprintf(name, sizeof name, "node_network_%s", rows[row].name);
    snprintf(help, sizeof help, "Network device property: %s", rows[row].name);
    COLLECTOR_SAMPLE(sink, name, rows[row].type, help, (double)value, "device", device);
}

static int update_device(const struct netclass_state *state, const char *device, struct metric_sink *sink)
{
    const char *admin = "unknown";
    for (int i = 0; i < ROWS; i++) {
        int64_t value;
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s/class/net/%s/%s", state->sysfs, device, rows[i].file);
        int err = sysfs_kept_i64(state->files, path, &value);
        if (err == 0)
            emit_row(state, device, i, value, sink);
        else if (!is_ignored(err))
            return err;
        if (err == 0 && i == FLAGS_ROW)
            admin = value & IFF_UP ? "up" : "down";
    }
    emit_info(state, device, admin, sink);
    return 0;
}

static bool is_folder(const struct netclass_state *state, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/class/net/%s", state->sysfs, name);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct netclass_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/net", state->sysfs);
    if (err < 0)
        return err == -ENOENT || err == -EACCES ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (pattern_filter_passes(&state->devices, bytes_of_string(names.items[i])) &&
            is_folder(state, names.items[i]))
            err = update_device(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

static const char *const flags[] = {"netclass.ignored-devices=~", "netclass.ignore-invalid-speed", NULL};

const struct collector collector_netclass = {.name = "netclass",
                                             .enabled_by_default = true,
                                             .start = start,
                                             .update = update,
                                             .stop = stop,
                                             .flags = flags};
