/* netdev.c - counters of the network devices: asked of the kernel over rtnetlink, or lines of /proc/net/dev
 * (--no-collector.netdev.netlink, or a network namespace that is not the host's). */
#include "node-agent/host/collectors/netdev.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/netclass_rtnl.h"
#include "node-agent/host/collectors/netdev_addresses.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/links.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { FILE_COUNTERS = 16, DEVICE_BYTES = 64, ALIAS_BYTES = 256 };

struct netdev_state {
    struct links *links; /* NULL: not needed */
    bool by_file;
    unsigned reader;
    struct procfile *file; /* owned */
    struct pattern_filter devices;
    bool detailed, with_alias, with_addresses;
    bool is_replaced;        /* in part, by netclass with --collector.netclass_rtnl.with-stats */
    struct netlink *netlink; /* owned; for the addresses; NULL: none, or not those of the host */
    const char *sysfs;       /* borrowed from the config */
    struct metric_sink *sink;
};

struct counter {
    const char *key;
    uint64_t value;
};

static const char *const flags[] = {"netdev.device-include=~",
                                    "netdev.device-exclude=~",
                                    "netdev.netlink",
                                    "netdev.enable-detailed-metrics",
                                    "netdev.label-ifalias",
                                    "netdev.address-info",
                                    NULL};

static void stop(void *ctx)
{
    struct netdev_state *state = ctx;
    links_leave(state->links);
    netlink_free(state->netlink);
    procfile_free(state->file);
    pattern_filter_fini(&state->devices);
    free(state);
}

static bool is_replaced_in_part(const struct agent_config *config)
{
    return collector_flags_is_chosen(config, &collector_netclass) &&
           collector_flag_is_on(config, "netclass.netlink", false) &&
           collector_flag_is_on(config, "netclass_rtnl.with-stats", false);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct netdev_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err =
        pattern_filter_init(&state->devices, config, "netdev.device-include", "netdev.device-exclude", "");
    state->detailed = collector_flag_is_on(config, "netdev.enable-detailed-metrics", false);
    state->with_alias = collector_flag_is_on(config, "netdev.label-ifalias", false);
    state->with_addresses = collector_flag_is_on(config, "netdev.address-info", false);
    state->is_replaced = is_replaced_in_part(config);
    state->sysfs = config->host_metrics.path_sysfs;
    state->file = host_net_file(config, "dev");
    bool by_netlink = collector_flag_is_on(config, "netdev.netlink", true) && host_net_is_own(config);
    bool asks_addresses = state->with_addresses && host_net_is_own(config);
    if (by_netlink || asks_addresses)
        state->links = links_join(&state->reader);
    if (asks_addresses)
        state->netlink = netlink_new(NETLINK_ROUTE);
    state->by_file = !by_netlink;
    if (err == 0 && (!state->file || ((by_netlink || asks_addresses) && !state->links) ||
                     (asks_addresses && !state->netlink)))
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* ---- one device ---- */

static void emit_counters(const struct netdev_state *state, const char *device,
                          const struct counter *counters, int count)
{
    char alias[ALIAS_BYTES] = "";
    const char *const labels[] = {"device", device, state->with_alias ? "ifalias" : NULL, alias, NULL};
    if (state->with_alias &&
        sysfs_word(alias, sizeof alias, "%s/class/net/%s/ifalias", state->sysfs, device) < 0)
        alias[0] = '\0';
    for (int i = 0; i < count; i++) {
        char name[64], help[96];
        if (state->is_replaced && netclass_rtnl_has_counter(counters[i].key))
            continue;
        stpcpy(stpcpy(stpcpy(name, "node_network_"), counters[i].key), "_total");
        stpcpy(stpcpy(stpcpy(help, "Network device statistic "), counters[i].key), ".");
        state->sink->sample(state->sink, name, METRIC_COUNTER, help, labels, (double)counters[i].value);
    }
}

/* The names that node_exporter has without its detailed metrics: several of the kernel's counters are summed.
 */
static void emit_summed(const struct netdev_state *state, const char *device,
                        const struct rtnl_link_stats64 *s)
{
    const struct counter counters[] = {
        {"receive_packets", s->rx_packets},
        {"transmit_packets", s->tx_packets},
        {"receive_bytes", s->rx_bytes},
        {"transmit_bytes", s->tx_bytes},
        {"receive_errs", s->rx_errors},
        {"transmit_errs", s->tx_errors},
        {"receive_drop", s->rx_dropped + s->rx_missed_errors},
        {"transmit_drop", s->tx_dropped},
        {"receive_multicast", s->multicast},
        {"transmit_colls", s->collisions},
        {"receive_frame", s->rx_frame_errors + s->rx_length_errors + s->rx_over_errors + s->rx_crc_errors},
        {"receive_fifo", s->rx_fifo_errors},
        {"transmit_carrier",
         s->tx_carrier_errors + s->tx_aborted_errors + s->tx_heartbeat_errors + s->tx_window_errors},
        {"transmit_fifo", s->tx_fifo_errors},
        {"receive_compressed", s->rx_compressed},
        {"transmit_compressed", s->tx_compressed},
        {"receive_nohandler", s->rx_nohandler},
    };
    emit_counters(state, device, counters, sizeof counters / sizeof *counters);
}

/* The kernel's own counters. */
static void emit_detailed(const struct netdev_state *state, const char *device,
                          const struct rtnl_link_stats64 *s)
{
    const struct counter counters[] = {
        {"receive_packets", s->rx_packets},
        {"transmit_packets", s->tx_packets},
        {"receive_bytes", s->rx_bytes},
        {"transmit_bytes", s->tx_bytes},
        {"receive_errors", s->rx_errors},
        {"transmit_errors", s->tx_errors},
        {"receive_dropped", s->rx_dropped},
        {"transmit_dropped", s->tx_dropped},
        {"multicast", s->multicast},
        {"collisions", s->collisions},
        {"receive_length_errors", s->rx_length_errors},
        {"receive_over_errors", s->rx_over_errors},
        {"receive_crc_errors", s->rx_crc_errors},
        {"receive_frame_errors", s->rx_frame_errors},
        {"receive_fifo_errors", s->rx_fifo_errors},
        {"receive_missed_errors", s->rx_missed_errors},
        {"transmit_aborted_errors", s->tx_aborted_errors},
        {"transmit_carrier_errors", s->tx_carrier_errors},
        {"transmit_fifo_errors", s->tx_fifo_errors},
        {"transmit_heartbeat_errors", s->tx_heartbeat_errors},
        {"transmit_window_errors", s->tx_window_errors},
        {"receive_compressed", s->rx_compressed},
        {"transmit_compressed", s->tx_compressed},
        {"receive_nohandler", s->rx_nohandler},
    };
    emit_counters(state, device, counters, sizeof counters / sizeof *counters);
}

static void emit_link(const struct netdev_state *state, const struct link *link)
{
    if (!*link->name || !link->has_stats ||
        !pattern_filter_passes(&state->devices, bytes_of_string(link->name)))
        return;
    if (state->detailed)
        emit_detailed(state, link->name, &link->stats);
    else
        emit_summed(state, link->name, &link->stats);
}

static int on_message(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct link link;
    if (head->nlmsg_type != RTM_NEWLINK || link_parse(content, &link) < 0)
        return 0;
    emit_link(ctx, &link);
    link_fini(&link);
    return 0;
}

int netdev_parse(struct bytes datagram, struct metric_sink *sink)
{
    struct netdev_state state = {.sink = sink};
    return netlink_parse(datagram, on_message, &state);
}

static int read_links(const struct netdev_state *state)
{
    const struct link *items;
    size_t count = 0;
    int err = links_read(state->links, state->reader, &items, &count);
    for (size_t i = 0; i < count; i++)
        emit_link(state, &items[i]);
    return err;
}

/* ---- /proc/net/dev: two lines of heads, then "DEVICE: COUNTER ..." ---- */

static int parse_file_line(const struct netdev_state *state, struct bytes line)
{
    static const char *const names[2][FILE_COUNTERS] = {
        {"receive_bytes", "receive_packets", "receive_errs", "receive_drop", "receive_fifo", "receive_frame",
         "receive_compressed", "receive_multicast", "transmit_bytes", "transmit_packets", "transmit_errs",
         "transmit_drop", "transmit_fifo", "transmit_colls", "transmit_carrier", "transmit_compressed"},
        {"receive_bytes", "receive_packets", "receive_errors", "receive_dropped", "receive_fifo",
         "receive_frame", "receive_compressed", "receive_multicast", "transmit_bytes", "transmit_packets",
         "transmit_errors", "transmit_dropped", "transmit_fifo", "transmit_colls", "transmit_carrier",
         "transmit_compressed"},
    };
    struct counter counters[FILE_COUNTERS];
    struct bytes field;
    char device[DEVICE_BYTES];
    const uint8_t *colon = memrchr(line.ptr, ':', line.len);
    if (!colon)
        return 0; /* a head */
    struct bytes name = {line.ptr, (size_t)(colon - line.ptr)}, rest = bytes_skip(line, name.len + 1);
    if (!text_field(&name, &field))
        return -EINVAL;
    text_copy(field, device, sizeof device);
    if (!pattern_filter_passes(&state->devices, field))
        return 0;
    for (int i = 0; i < FILE_COUNTERS; i++) {
        counters[i].key = names[state->detailed][i];
        if (!text_field(&rest, &field) || text_u64(field, &counters[i].value) < 0)
            return -EINVAL;
    }
    emit_counters(state, device, counters, FILE_COUNTERS);
    return 0;
}

static int read_file(const struct netdev_state *state)
{
    struct bytes text, line;
    int err = procfile_read(state->file, &text);
    while (err == 0 && text_line(&text, &line))
        err = line.len ? parse_file_line(state, line) : 0;
    return err;
}

/* What the own network namespace has is not shown for another one's. */
static int read_addresses(const struct netdev_state *state)
{
    const struct link *items;
    size_t count = 0;
    if (!state->netlink)
        return -EOPNOTSUPP;
    int err = links_read(state->links, state->reader, &items, &count);
    return err == 0 ? netdev_addresses_emit(state->netlink, items, count, &state->devices, state->sink) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct netdev_state *state = ctx;
    state->sink = sink;
    int err = state->by_file ? read_file(state) : read_links(state);
    return err == 0 && state->with_addresses ? read_addresses(state) : err;
}

const struct collector collector_netdev = {.name = "netdev",
                                           .enabled_by_default = true,
                                           .start = start,
                                           .update = update,
                                           .stop = stop,
                                           .flags = flags};
