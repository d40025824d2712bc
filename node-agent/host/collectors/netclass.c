/* netclass.c - the properties of the network devices: the files of /sys/class/net/DEVICE.
 *
 * Where rtnetlink shows the same devices, what it tells of them is taken from there: one call instead of
 * sixteen files for each (Linux' net/core/net-sysfs.c and rtnetlink.c say the same of them).
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/netclass_rtnl.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/links.h"
#include "node-agent/host/sysfs_devices.h"
#include "node-agent/pattern.h"

enum { WORD_BYTES = 256, PATH_BYTES = 1024, KEPT_FILES = 512, DORMANT_FLAG = 1 << 17 /* IFF_DORMANT */ };

/* What is read of a device: the rows' files, then those of node_network_info. */
#define ROW(name) "node_network_" name, "Network device property: " name
static const struct {
    const char *name, *help;
    enum metric_type type;
} rows[] = {
    {ROW("address_assign_type"), METRIC_GAUGE},
    {ROW("carrier"), METRIC_GAUGE},
    {ROW("carrier_changes_total"), METRIC_COUNTER},
    {ROW("carrier_up_changes_total"), METRIC_COUNTER},
    {ROW("carrier_down_changes_total"), METRIC_COUNTER},
    {ROW("device_id"), METRIC_GAUGE},
    {ROW("dormant"), METRIC_GAUGE},
    {ROW("flags"), METRIC_GAUGE},
    {ROW("iface_id"), METRIC_GAUGE},
    {ROW("iface_link"), METRIC_GAUGE},
    {ROW("iface_link_mode"), METRIC_GAUGE},
    {ROW("mtu_bytes"), METRIC_GAUGE},
    {ROW("name_assign_type"), METRIC_GAUGE},
    {ROW("net_dev_group"), METRIC_GAUGE},
    {ROW("speed_bytes"), METRIC_GAUGE},
    {ROW("transmit_queue_length"), METRIC_GAUGE},
    {ROW("protocol_type"), METRIC_GAUGE},
};
enum {
    ADDRESS_TYPE_ROW = 0,
    ID_ROW = 5,
    FLAGS_ROW = 7,
    INDEX_ROW = 8,
    NAME_TYPE_ROW = 12,
    SPEED_ROW = 14,
    ROWS = sizeof rows / sizeof *rows
};
enum { ADDRESS = ROWS, BROADCAST, DUPLEX, OPERSTATE, ALIAS };
static const char *const files[] = {"addr_assign_type",
                                    "carrier",
                                    "carrier_changes",
                                    "carrier_up_count",
                                    "carrier_down_count",
                                    "dev_id",
                                    "dormant",
                                    "flags",
                                    "ifindex",
                                    "iflink",
                                    "link_mode",
                                    "mtu",
                                    "name_assign_type",
                                    "netdev_group",
                                    "speed",
                                    "tx_queue_len",
                                    "type",
                                    "address",
                                    "broadcast",
                                    "duplex",
                                    "operstate",
                                    "ifalias",
                                    NULL};

struct netclass_state {
    struct pattern_filter ignored;
    struct sysfs_devices *devices; /* owned */
    struct links *links;           /* NULL: sysfs only */
    bool by_netlink;
    struct netclass_rtnl *rtnl; /* owned; NULL: sysfs, or netlink of another namespace than the host's */
    unsigned reader;
    const struct link *link; /* of the device being looked at; NULL: sysfs only */
    uint64_t epoch;          /* of the links: what was kept of the devices belongs to it */
    size_t count;            /* of the devices in it */
    bool all_linked;         /* each of them is a link, and each link one of them */
    bool skip_invalid_speed;
};

static void stop(void *ctx)
{
    struct netclass_state *state = ctx;
    pattern_filter_fini(&state->ignored);
    sysfs_devices_free(state->devices);
    links_leave(state->links);
    netclass_rtnl_free(state->rtnl);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    char folder[PATH_BYTES];
    struct netclass_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->skip_invalid_speed = collector_flag_is_on(config, "netclass.ignore-invalid-speed", false);
    int err = pattern_filter_init(&state->ignored, config, NULL, "netclass.ignored-devices", "^$");
    snprintf(folder, sizeof folder, "%s/class/net", config->host_metrics.path_sysfs);
    state->devices = sysfs_devices_new(folder, files, KEPT_FILES);
    state->by_netlink = collector_flag_is_on(config, "netclass.netlink", false);
    if (host_net_is_own(config))
        state->links = links_join(&state->reader);
    if (state->links && state->by_netlink)
        state->rtnl = netclass_rtnl_new(config->host_metrics.path_sysfs,
                                        collector_flag_is_on(config, "netclass_rtnl.with-stats", false));
    if (err == 0 && (!state->devices || (state->links && state->by_netlink && !state->rtnl)))
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

/* What rtnetlink says of a row. 1: nothing, the file is to be read. -EINVAL: what the file gives for a device
 * that is down. */
static int number_of_link(const struct link *link, size_t row, int64_t *ret_value)
{
    const bool up = link->flags & IFF_UP;
    const struct {
        bool known, while_up;
        int64_t value;
    } told[ROWS] = {
        [1] = {link->has_carrier, true, link->carrier},
        [2] = {link->has_carrier_counts, false, link->carrier_changes},
        [3] = {link->has_carrier_counts, false, link->carrier_ups},
        [4] = {link->has_carrier_counts, false, link->carrier_downs},
        [6] = {true, true, (link->flags & DORMANT_FLAG) != 0},
        [INDEX_ROW] = {true, false, link->index},
        [9] = {true, false, link->below},
        [10] = {true, false, link->mode},
        [11] = {true, false, link->mtu},
        [13] = {true, false, link->group},
        [SPEED_ROW] = {!up, true, 0},
        [15] = {true, false, link->queue_len},
        [16] = {true, false, link->type},
    };
    if (!told[row].known)
        return 1;
    if (told[row].while_up && !up)
        return -EINVAL;
    *ret_value = told[row].value;
    return 0;
}

static const char *word_of_link(const struct link *link, size_t file)
{
    static const char *const states[] = {"unknown", "notpresent", "down", "lowerlayerdown",
                                         "testing", "dormant",    "up"};
    if (file == ADDRESS)
        return link->address;
    if (file == BROADCAST)
        return link->broadcast;
    if (file == ALIAS)
        return link->alias ? link->alias : "";
    if (file == OPERSTATE && link->has_operstate && link->operstate < sizeof states / sizeof *states)
        return states[link->operstate];
    return file == DUPLEX && !(link->flags & IFF_UP) ? "" : NULL;
}

/* Of a device whose changes the kernel tells: a file that changes with one is read once; and whether a device
 * has a speed at all. */
static int read_kept(const struct netclass_state *state, size_t device, size_t row, int64_t *ret_value)
{
    bool is_steady = row == ADDRESS_TYPE_ROW || row == ID_ROW || row == FLAGS_ROW || row == NAME_TYPE_ROW;
    int err =
        is_steady || row == SPEED_ROW ? sysfs_devices_kept_i64(state->devices, device, row, ret_value) : 0;
    return is_steady || err < 0 ? err : sysfs_devices_i64(state->devices, device, row, ret_value);
}

static int read_number(const struct netclass_state *state, size_t device, size_t row, int64_t *ret_value)
{
    int told = state->link ? number_of_link(state->link, row, ret_value) : 1;
    if (told <= 0)
        return told;
    return state->link && state->epoch ? read_kept(state, device, row, ret_value)
                                       : sysfs_devices_i64(state->devices, device, row, ret_value);
}

static void read_word(const struct netclass_state *state, size_t device, size_t file, char word[WORD_BYTES])
{
    const char *told = state->link ? word_of_link(state->link, file) : NULL;
    int64_t speed; /* the kernel asks the driver for both at once */
    if (!told && file == DUPLEX && state->link && state->epoch &&
        sysfs_devices_kept_i64(state->devices, device, SPEED_ROW, &speed) == -EINVAL)
        told = "";
    if (told)
        snprintf(word, WORD_BYTES, "%s", told);
    else if (sysfs_devices_word(state->devices, device, file, word, WORD_BYTES) < 0)
        word[0] = '\0';
}

/* The link that is this device: of the same name, and of the index that sysfs gave once. */
static const struct link *find_link(const struct netclass_state *state, size_t device,
                                    const struct link *links, size_t count)
{
    int *index = sysfs_devices_note(state->devices, device);
    int64_t value;
    if (*index == 0 && sysfs_devices_i64(state->devices, device, INDEX_ROW, &value) == 0)
        *index = (int)value;
    for (size_t i = 0; i < count; i++)
        if ((int)links[i].index == *index &&
            strcmp(links[i].name, sysfs_devices_name(state->devices, device)) == 0)
            return &links[i];
    return NULL;
}

static void emit_info(const struct netclass_state *state, size_t device, const char *admin,
                      struct metric_sink *sink)
{
    const char *name = sysfs_devices_name(state->devices, device);
    char address[WORD_BYTES], broadcast[WORD_BYTES], duplex[WORD_BYTES], operstate[WORD_BYTES],
        alias[WORD_BYTES];
    read_word(state, device, ADDRESS, address);
    read_word(state, device, BROADCAST, broadcast);
    read_word(state, device, DUPLEX, duplex);
    read_word(state, device, OPERSTATE, operstate);
    read_word(state, device, ALIAS, alias);
    COLLECTOR_SAMPLE(sink, "node_network_up", METRIC_GAUGE, "Value is 1 if operstate is 'up', 0 otherwise.",
                     strcmp(operstate, "up") == 0, "device", name);
    COLLECTOR_SAMPLE(sink, "node_network_info", METRIC_GAUGE,
                     "Non-numeric data from /sys/class/net/<iface>, value is always 1.", 1, "device", name,
                     "address", address, "broadcast", broadcast, "duplex", duplex, "operstate", operstate,
                     "adminstate", admin, "ifalias", alias);
}

static void emit_row(const struct netclass_state *state, size_t device, size_t row, int64_t value,
                     struct metric_sink *sink)
{
    if (row == SPEED_ROW && value < 0 && state->skip_invalid_speed)
        return;
    if (row == SPEED_ROW)
        value = value * 1000 * 1000 / 8;
    COLLECTOR_SAMPLE(sink, rows[row].name, rows[row].type, rows[row].help, (double)value, "device",
                     sysfs_devices_name(state->devices, device));
}

static int update_device(const struct netclass_state *state, size_t device, struct metric_sink *sink)
{
    const char *admin = "unknown";
    for (size_t i = 0; i < ROWS; i++) {
        int64_t value;
        int err = read_number(state, device, i, &value);
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

/* Which devices there are; in an epoch in which they were the links it is known. */
static int list_devices(struct netclass_state *state, uint64_t epoch)
{
    if (epoch && epoch == state->epoch && state->all_linked)
        return 0;
    if (epoch == 0 || epoch != state->epoch)
        sysfs_devices_forget(state->devices);
    state->epoch = epoch;
    return sysfs_devices_list(state->devices, &state->count);
}

static int update_by_netlink(const struct netclass_state *state, struct metric_sink *sink)
{
    const struct link *links;
    size_t count;
    if (!state->rtnl)
        return -EOPNOTSUPP;
    int err = links_read(state->links, state->reader, &links, &count);
    return err == 0 ? netclass_rtnl_update(state->rtnl, links, count, &state->ignored, sink) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct netclass_state *state = ctx;
    const struct link *links = NULL;
    if (state->by_netlink)
        return update_by_netlink(state, sink);
    size_t linked = 0, link_count = 0;
    bool has_links = state->links && links_read(state->links, state->reader, &links, &link_count) == 0;
    int err = list_devices(state, has_links ? links_epoch(state->links) : 0);
    if (err < 0)
        return err == -ENOENT || err == -EACCES ? -ENODATA : err;
    for (size_t i = 0; i < state->count && err == 0; i++) {
        state->link = has_links ? find_link(state, i, links, link_count) : NULL;
        linked += state->link != NULL;
        if (pattern_filter_passes(&state->ignored, bytes_of_string(sysfs_devices_name(state->devices, i))))
            err = update_device(state, i, sink);
    }
    state->all_linked = err == 0 && linked == state->count && linked == link_count;
    return err;
}

static const char *const flags[] = {"netclass.ignored-devices=~", "netclass.ignore-invalid-speed",
                                    "netclass.netlink", "netclass_rtnl.with-stats", NULL};

const struct collector collector_netclass = {.name = "netclass",
                                             .enabled_by_default = true,
                                             .start = start,
                                             .update = update,
                                             .stop = stop,
                                             .flags = flags};
