#include "node-agent/host/collectors/netclass_rtnl.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/host/genl.h"
#include "node-agent/host/sysfs.h"

enum { MAX_MODES = 4096, UP = 6, HALF = 0, FULL = 1, UNKNOWN = 255, TEXT_BYTES = 512 };

struct mode { /* of a device */
    char name[LINK_NAME_BYTES];
    uint32_t mbits;
    uint8_t duplex;
};

struct netclass_rtnl {
    char *sysfs;             /* owned */
    struct netlink *netlink; /* owned; generic */
    bool with_stats;
    struct mode *modes; /* owned */
    size_t mode_count;
};

#define COUNTER(name, field)                                                                                 \
    {                                                                                                        \
        name, "node_network_" name "_total", "Network device property: " name "_total",                      \
            offsetof(struct rtnl_link_stats64, field)                                                        \
    }
static const struct {
    const char *key, *name, *help;
    size_t offset;
} counters[] = {
    COUNTER("receive_packets", rx_packets),
    COUNTER("transmit_packets", tx_packets),
    COUNTER("receive_bytes", rx_bytes),
    COUNTER("transmit_bytes", tx_bytes),
    COUNTER("receive_errors", rx_errors),
    COUNTER("transmit_errors", tx_errors),
    COUNTER("receive_dropped", rx_dropped),
    COUNTER("transmit_dropped", tx_dropped),
    COUNTER("multicast", multicast),
    COUNTER("collisions", collisions),
    COUNTER("receive_length_errors", rx_length_errors),
    COUNTER("receive_over_errors", rx_over_errors),
    COUNTER("receive_crc_errors", rx_crc_errors),
    COUNTER("receive_frame_errors", rx_frame_errors),
    COUNTER("receive_fifo_errors", rx_fifo_errors),
    COUNTER("receive_missed_errors", rx_missed_errors),
    COUNTER("transmit_aborted_errors", tx_aborted_errors),
    COUNTER("transmit_carrier_errors", tx_carrier_errors),
    COUNTER("transmit_fifo_errors", tx_fifo_errors),
    COUNTER("transmit_heartbeat_errors", tx_heartbeat_errors),
    COUNTER("transmit_window_errors", tx_window_errors),
    COUNTER("receive_compressed", rx_compressed),
    COUNTER("transmit_compressed", tx_compressed),
    COUNTER("receive_nohandler", rx_nohandler),
};
enum { COUNTERS = sizeof counters / sizeof *counters };

bool netclass_rtnl_has_counter(const char *name)
{
    for (int i = 0; i < COUNTERS; i++)
        if (strcmp(counters[i].key, name) == 0)
            return true;
    return false;
}

struct netclass_rtnl *netclass_rtnl_new(const char *sysfs, bool with_stats)
{
    struct netclass_rtnl *rtnl = calloc(1, sizeof *rtnl);
    if (!rtnl)
        return NULL;
    rtnl->with_stats = with_stats;
    rtnl->sysfs = strdup(sysfs);
    rtnl->netlink = netlink_new(NETLINK_GENERIC);
    if (rtnl->sysfs && rtnl->netlink)
        return rtnl;
    netclass_rtnl_free(rtnl);
    return NULL;
}

void netclass_rtnl_free(struct netclass_rtnl *rtnl)
{
    if (!rtnl)
        return;
    netlink_free(rtnl->netlink);
    free(rtnl->modes);
    free(rtnl->sysfs);
    free(rtnl);
}

/* ---- the link modes ---- */

static void take_device(struct bytes header, char name[LINK_NAME_BYTES])
{
    struct bytes value;
    for (int type; netlink_attribute(&header, &type, &value);)
        if (type == ETHTOOL_A_HEADER_DEV_NAME)
            snprintf(name, LINK_NAME_BYTES, "%.*s", (int)strnlen((const char *)value.ptr, value.len),
                     (const char *)value.ptr);
}

bool netclass_rtnl_parse_modes(struct bytes attributes, char name[LINK_NAME_BYTES], uint32_t *ret_mbits,
                               uint8_t *ret_duplex)
{
    struct bytes value;
    bool has_speed = false;
    name[0] = '\0';
    *ret_duplex = HALF;
    for (int type; netlink_attribute(&attributes, &type, &value);) {
        if (type == ETHTOOL_A_LINKMODES_HEADER)
            take_device(value, name);
        else if (type == ETHTOOL_A_LINKMODES_SPEED && value.len >= sizeof *ret_mbits)
            has_speed = memcpy(ret_mbits, value.ptr, sizeof *ret_mbits);
        else if (type == ETHTOOL_A_LINKMODES_DUPLEX && value.len >= 1)
            *ret_duplex = *value.ptr;
    }
    if (!has_speed)
        *ret_mbits = 0;
    return *name;
}

static int on_modes(void *ctx, struct bytes attributes)
{
    struct netclass_rtnl *rtnl = ctx;
    struct mode mode;
    if (!netclass_rtnl_parse_modes(attributes, mode.name, &mode.mbits, &mode.duplex))
        return 0;
    if (rtnl->mode_count % 8 == 0) { /* room in steps of 8 */
        struct mode *modes = rtnl->mode_count < MAX_MODES
                                 ? realloc(rtnl->modes, (rtnl->mode_count + 8) * sizeof *modes)
                                 : NULL;
        if (!modes)
            return rtnl->mode_count < MAX_MODES ? -ENOMEM : -E2BIG;
        rtnl->modes = modes;
    }
    rtnl->modes[rtnl->mode_count++] = mode;
    return 0;
}

/* Without the ethtool family there are none, which is no error. */
static int read_modes(struct netclass_rtnl *rtnl)
{
    uint8_t attributes[32];
    size_t len = 0;
    int family;
    rtnl->mode_count = 0;
    int err = genl_find(rtnl->netlink, ETHTOOL_GENL_NAME, &family);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    genl_put(attributes, &len, ETHTOOL_A_LINKMODES_HEADER | NLA_F_NESTED, "", 0);
    return genl_dump(rtnl->netlink, family, ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_GENL_VERSION,
                     (struct bytes){attributes, len}, on_modes, rtnl);
}

static const char *duplex_of(const struct netclass_rtnl *rtnl, const char *device, char storage[16])
{
    for (size_t i = 0; i < rtnl->mode_count; i++) {
        const struct mode *mode = &rtnl->modes[i];
        if (strcmp(mode->name, device) != 0)
            continue;
        snprintf(storage, 16, "Duplex(%u)", mode->duplex);
        return mode->duplex == HALF      ? "Half"
               : mode->duplex == FULL    ? "Full"
               : mode->duplex == UNKNOWN ? "Unknown"
                                         : storage;
    }
    return "";
}

static void emit_speeds(const struct netclass_rtnl *rtnl, const struct pattern_filter *ignored,
                        struct metric_sink *sink)
{
    for (size_t i = 0; i < rtnl->mode_count; i++)
        if (pattern_filter_passes(ignored, bytes_of_string(rtnl->modes[i].name)))
            COLLECTOR_SAMPLE(
                sink, "node_network_speed_bytes", METRIC_GAUGE, "Network device property: speed_bytes",
                (double)((uint64_t)rtnl->modes[i].mbits * 1000 * 1000 / 8), "device", rtnl->modes[i].name);
}

/* ---- a device ---- */

static void emit_numbers(const struct link *link, struct metric_sink *sink)
{
#define ROW(name) "node_network_" name, "Network device property: " name
    const struct {
        const char *name, *help;
        enum metric_type type;
        bool known;
        double value;
    } rows[] = {
        {ROW("carrier"), METRIC_GAUGE, link->has_carrier, link->carrier},
        {ROW("carrier_changes_total"), METRIC_COUNTER, link->has_carrier_counts, link->carrier_changes},
        {ROW("carrier_up_changes_total"), METRIC_COUNTER, link->has_carrier_counts, link->carrier_ups},
        {ROW("carrier_down_changes_total"), METRIC_COUNTER, link->has_carrier_counts, link->carrier_downs},
        {ROW("flags"), METRIC_GAUGE, true, link->flags},
        {ROW("iface_id"), METRIC_GAUGE, true, link->index},
        {ROW("iface_link_mode"), METRIC_GAUGE, true, link->mode},
        {ROW("dormant"), METRIC_GAUGE, true, link->mode}, /* node_exporter's own */
        {ROW("iface_link"), METRIC_GAUGE, true, link->below ? link->below : link->index},
        {ROW("mtu_bytes"), METRIC_GAUGE, true, link->mtu},
        {ROW("net_dev_group"), METRIC_GAUGE, true, link->group},
        {ROW("transmit_queue_length"), METRIC_GAUGE, true, link->queue_len},
        {ROW("protocol_type"), METRIC_GAUGE, true, link->type},
    };
#undef ROW
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].known)
            COLLECTOR_SAMPLE(sink, rows[i].name, rows[i].type, rows[i].help, rows[i].value, "device",
                             link->name);
}

/* What netlink does not tell. */
static int emit_of_sysfs(const struct netclass_rtnl *rtnl, const char *device, struct metric_sink *sink)
{
    static const struct {
        const char *file, *name, *help;
    } rows[] = {
        {"addr_assign_type", "node_network_address_assign_type",
         "Network device property: address_assign_type"},
        {"dev_id", "node_network_device_id", "Network device property: device_id"},
        {"name_assign_type", "node_network_name_assign_type", "Network device property: name_assign_type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t value;
        int err = sysfs_i64(&value, "%s/class/net/%s/%s", rtnl->sysfs, device, rows[i].file);
        if (err == 0)
            COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_GAUGE, rows[i].help, (double)value, "device", device);
        else if (err != -EINVAL && err != -EOPNOTSUPP) /* a file that says nothing */
            return err;
    }
    return 0;
}

static void emit_info(const struct netclass_rtnl *rtnl, const struct link *link, struct metric_sink *sink)
{
    static const char *const states[] = {"unknown", "notpresent", "down", "lowerlayerdown",
                                         "testing", "dormant",    "up"};
    char duplex[16];
    COLLECTOR_SAMPLE(sink, "node_network_up", METRIC_GAUGE, "Value is 1 if operstate is 'up', 0 otherwise.",
                     link->operstate == UP, "device", link->name);
    COLLECTOR_SAMPLE(
        sink, "node_network_info", METRIC_GAUGE, "Non-numeric data of <iface>, value is always 1.", 1,
        "device", link->name, "address", link->address, "broadcast", link->broadcast, "duplex",
        duplex_of(rtnl, link->name, duplex), "operstate",
        link->operstate <= UP ? states[link->operstate] : "", "ifalias", link->alias ? link->alias : "");
}

static int emit_other_names(const struct link *link, struct metric_sink *sink)
{
    struct buf valid;
    int err = 0;
    buf_init(&valid, TEXT_BYTES);
    for (const char *at = link->other_names; at && *at && err == 0; at += strlen(at) + 1) {
        buf_clear(&valid);
        err = utf8_put_valid(bytes_of_string(at), &valid);
        if (err == 0)
            err = buf_append(&valid, "", 1);
        if (err == 0)
            COLLECTOR_SAMPLE(sink, "node_network_altnames_info", METRIC_GAUGE,
                             "Non-numeric data of <iface> altname, value is always 1.", 1, "altname",
                             (const char *)valid.ptr, "device", link->name);
    }
    buf_fini(&valid);
    return err;
}

static void emit_counters(const struct link *link, struct metric_sink *sink)
{
    for (int i = 0; i < COUNTERS; i++) {
        uint64_t value;
        memcpy(&value, (const char *)&link->stats + counters[i].offset, sizeof value);
        COLLECTOR_SAMPLE(sink, counters[i].name, METRIC_GAUGE, counters[i].help, (double)value, "device",
                         link->name);
    }
}

int netclass_rtnl_update(struct netclass_rtnl *rtnl, const struct link *links, size_t count,
                         const struct pattern_filter *ignored, struct metric_sink *sink)
{
    int err = read_modes(rtnl);
    if (err == 0)
        emit_speeds(rtnl, ignored, sink);
    for (size_t i = 0; i < count && err == 0; i++) {
        if (!pattern_filter_passes(ignored, bytes_of_string(links[i].name)))
            continue;
        emit_info(rtnl, &links[i], sink);
        err = emit_other_names(&links[i], sink);
        if (err == 0)
            err = emit_of_sysfs(rtnl, links[i].name, sink);
        emit_numbers(&links[i], sink);
        if (rtnl->with_stats && links[i].has_stats)
            emit_counters(&links[i], sink);
    }
    return err;
}
