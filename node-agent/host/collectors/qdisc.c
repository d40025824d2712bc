/* qdisc.c - the root queueing disciplines of the network devices, asked over rtnetlink (Linux'
 * uapi/linux/rtnetlink.h, gen_stats.h); or, with --collector.qdisc.fixtures, the objects of results.json in
 * that folder. */
#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/links.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/text.h"
#include "node-agent/logs/json_flat.h"
#include "node-agent/pattern.h"

enum { ROWS = 7, KIND_BYTES = 32 };
enum number { BYTES, PACKETS, DROPS, REQUEUES, OVERLIMITS, QLEN, BACKLOG };

static const struct {
    const char *key, *name;
    enum metric_type type;
    const char *help;
} rows[ROWS] = {
    [BYTES] = {"Bytes", "node_qdisc_bytes_total", METRIC_COUNTER, "Number of bytes sent."},
    [PACKETS] = {"Packets", "node_qdisc_packets_total", METRIC_COUNTER, "Number of packets sent."},
    [DROPS] = {"Drops", "node_qdisc_drops_total", METRIC_COUNTER, "Number of packets dropped."},
    [REQUEUES] = {"Requeues", "node_qdisc_requeues_total", METRIC_COUNTER,
                  "Number of packets dequeued, not transmitted, and requeued."},
    [OVERLIMITS] = {"Overlimits", "node_qdisc_overlimits_total", METRIC_COUNTER,
                    "Number of overlimit packets."},
    [QLEN] = {"Qlen", "node_qdisc_current_queue_length", METRIC_GAUGE,
              "Number of packets currently in queue to be sent."},
    [BACKLOG] = {"Backlog", "node_qdisc_backlog", METRIC_GAUGE,
                 "Number of bytes currently in queue to be sent."},
};

struct qdisc_state {
    struct pattern_filter devices;
    struct procfile *fixture; /* owned; NULL: the kernel */
    struct netlink *netlink;  /* owned; NULL: the devices that would be seen are not the host's */
    struct links *links;
    unsigned reader;
    const struct link *items; /* of this update */
    size_t item_count;
    struct metric_sink *sink;
};

static void stop(void *ctx)
{
    struct qdisc_state *state = ctx;
    pattern_filter_fini(&state->devices);
    procfile_free(state->fixture);
    netlink_free(state->netlink);
    links_leave(state->links);
    free(state);
}

static int open_source(struct qdisc_state *state, const struct agent_config *config)
{
    const char *fixtures = collector_flag(config, "qdisc.fixtures", "");
    if (*fixtures) {
        state->fixture = procfile_new(fixtures, "results.json");
        return state->fixture ? 0 : -ENOMEM;
    }
    if (!host_net_is_own(config))
        return 0;
    state->netlink = netlink_new(NETLINK_ROUTE);
    state->links = links_join(&state->reader);
    return state->netlink && state->links ? 0 : -ENOMEM;
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct qdisc_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err =
        pattern_filter_init(&state->devices, config, "qdisc.device-include", "qdisc.device-exclude", "");
    if (err == 0)
        err = open_source(state, config);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static void emit(const struct qdisc_state *state, const char *device, const char *kind,
                 const uint64_t *numbers)
{
    if (!pattern_filter_passes(&state->devices, bytes_of_string(device)))
        return;
    for (int i = 0; i < ROWS; i++)
        COLLECTOR_SAMPLE(state->sink, rows[i].name, rows[i].type, rows[i].help, (double)numbers[i], "device",
                         device, "kind", kind);
}

/* ---- the kernel ---- */

static void take_stats(struct bytes nested, uint64_t numbers[ROWS])
{
    struct bytes value;
    for (int type; netlink_attribute(&nested, &type, &value);) {
        struct gnet_stats_basic basic = {0};
        struct gnet_stats_queue queue = {0};
        if (type == TCA_STATS_BASIC) {
            memcpy(&basic, value.ptr, value.len < sizeof basic ? value.len : sizeof basic);
            numbers[BYTES] = basic.bytes;
            numbers[PACKETS] = basic.packets;
        } else if (type == TCA_STATS_QUEUE) {
            memcpy(&queue, value.ptr, value.len < sizeof queue ? value.len : sizeof queue);
            numbers[QLEN] = queue.qlen;
            numbers[BACKLOG] = queue.backlog;
            numbers[DROPS] = queue.drops;
            numbers[REQUEUES] = queue.requeues;
            numbers[OVERLIMITS] = queue.overlimits;
        }
    }
}

static const char *name_of(const struct qdisc_state *state, int index)
{
    for (size_t i = 0; i < state->item_count; i++)
        if ((int)state->items[i].index == index)
            return state->items[i].name;
    return "";
}

static int on_qdisc(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct tcmsg message;
    struct bytes value;
    uint64_t numbers[ROWS] = {0};
    char kind[KIND_BYTES] = "";
    if (head->nlmsg_type != RTM_NEWQDISC || content.len < sizeof message)
        return 0;
    memcpy(&message, content.ptr, sizeof message);
    if (message.tcm_parent != TC_H_ROOT && message.tcm_parent != 0)
        return 0;
    content = bytes_skip(content, NLMSG_ALIGN(sizeof message));
    for (int type; netlink_attribute(&content, &type, &value);) {
        if (type == TCA_KIND)
            snprintf(kind, sizeof kind, "%.*s", (int)value.len, (const char *)value.ptr);
        else if (type == TCA_STATS2)
            take_stats(value, numbers);
    }
    emit(ctx, name_of(ctx, message.tcm_ifindex), kind, numbers);
    return 0;
}

static int ask_kernel(struct qdisc_state *state)
{
    const struct tcmsg all = {.tcm_family = 0};
    int err = links_read(state->links, state->reader, &state->items, &state->item_count);
    return err == 0 ? netlink_dump(state->netlink, RTM_GETQDISC, &all, sizeof all, on_qdisc, state) : err;
}

/* ---- the fixture ---- */

static int read_fixture(const struct qdisc_state *state)
{
    struct json_flat object;
    struct bytes text;
    int err = procfile_read(state->fixture, &text);
    while (err == 0 && (err = json_flat_next(&text, &object)) > 0) {
        uint64_t numbers[ROWS] = {0}, parent = 0;
        char device[64], kind[KIND_BYTES];
        for (int i = 0; i < ROWS; i++)
            text_u64(json_flat_get(&object, rows[i].key), &numbers[i]);
        text_u64(json_flat_get(&object, "Parent"), &parent);
        text_copy(json_flat_get(&object, "IfaceName"), device, sizeof device);
        text_copy(json_flat_get(&object, "Kind"), kind, sizeof kind);
        if (parent == 0)
            emit(state, device, kind, numbers);
        err = 0;
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct qdisc_state *state = ctx;
    state->sink = sink;
    if (state->fixture)
        return read_fixture(state);
    return state->netlink ? ask_kernel(state) : -EACCES;
}

static const char *const flags[] = {"qdisc.device-include=~", "qdisc.device-exclude=~",
                                    "qdisc.fixtures=", NULL};

const struct collector collector_qdisc = {
    .name = "qdisc", .start = start, .update = update, .stop = stop, .flags = flags};
