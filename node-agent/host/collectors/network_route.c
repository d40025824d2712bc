/* network_route.c - the unicast routes of all tables, asked over rtnetlink (Linux' uapi/linux/rtnetlink.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/links.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/seen_set.h"

enum { ADDRESS_BYTES = 64, MAX_ROUTES = 1 << 20, DEVICES_ROOM = 8 };

struct route {
    char source[ADDRESS_BYTES], destination[ADDRESS_BYTES], gateway[ADDRESS_BYTES];
    uint32_t priority;
    uint8_t protocol;
};

struct device {
    unsigned index;
    unsigned routes;
};

struct route_state {
    struct netlink *netlink; /* owned; NULL: the routes that would be seen are not the host's */
    struct links *links;
    unsigned reader;
    const struct link *items; /* of this update */
    size_t item_count;
    struct device *devices; /* owned; those with routes */
    size_t device_count;
    struct seen_set seen; /* the routes shown: the same route may be in several tables */
    struct metric_sink *sink;
};

static void stop(void *ctx)
{
    struct route_state *state = ctx;
    netlink_free(state->netlink);
    links_leave(state->links);
    free(state->devices);
    seen_set_fini(&state->seen);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct route_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    bool own = host_net_is_own(config);
    if (own) {
        state->netlink = netlink_new(NETLINK_ROUTE);
        state->links = links_join(&state->reader);
    }
    if (own && (!state->netlink || !state->links)) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

static const char *protocol_name(uint8_t protocol)
{
    static const struct {
        uint8_t protocol;
        const char *name;
    } rows[] = {{0, "unspec"},    {1, "redirect"}, {2, "kernel"}, {3, "boot"},   {4, "static"},
                {8, "gated"},     {9, "ra"},       {10, "mrt"},   {11, "zebra"}, {12, "bird"},
                {13, "dnrouted"}, {14, "xorp"},    {15, "ntk"},   {16, "dhcp"},  {17, "mrouted"},
                {42, "babel"},    {186, "bgp"},    {187, "isis"}, {188, "ospf"}, {189, "rip"},
                {192, "eigrp"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].protocol == protocol)
            return rows[i].name;
    return "unknown";
}

static void put_address(struct bytes address, char text[ADDRESS_BYTES])
{
    text[0] = '\0';
    if (address.len == 4)
        inet_ntop(AF_INET, address.ptr, text, ADDRESS_BYTES);
    else if (address.len == 16)
        inet_ntop(AF_INET6, address.ptr, text, ADDRESS_BYTES);
}

static const char *name_of(const struct route_state *state, unsigned index)
{
    for (size_t i = 0; i < state->item_count; i++)
        if (state->items[i].index == index)
            return state->items[i].name;
    return "";
}

static int count_route(struct route_state *state, unsigned index)
{
    for (size_t i = 0; i < state->device_count; i++)
        if (state->devices[i].index == index)
            return state->devices[i].routes++, 0;
    if (state->device_count % DEVICES_ROOM == 0) {
        struct device *devices =
            realloc(state->devices, (state->device_count + DEVICES_ROOM) * sizeof *devices);
        if (!devices)
            return -ENOMEM;
        state->devices = devices;
    }
    state->devices[state->device_count++] = (struct device){.index = index, .routes = 1};
    return 0;
}

static int emit_route(struct route_state *state, const struct route *route, unsigned index,
                      const char *weight)
{
    char priority[16];
    snprintf(priority, sizeof priority, "%u", route->priority);
    const char *const labels[] = {"device",   name_of(state, index),
                                  "src",      route->source,
                                  "dest",     route->destination,
                                  "gw",       route->gateway,
                                  "priority", priority,
                                  "proto",    protocol_name(route->protocol),
                                  "weight",   weight,
                                  NULL};
    int seen = seen_set_add(&state->seen, labels, MAX_ROUTES);
    if (seen == 0)
        state->sink->sample(state->sink, "node_network_route_info", METRIC_GAUGE,
                            "network routing table information", labels, 1);
    return seen < 0 ? seen : count_route(state, index);
}

/* Next hops: struct rtnexthop, each followed by attributes of its own. */
static int emit_hops(struct route_state *state, struct route *route, struct bytes hops)
{
    struct rtnexthop hop;
    int err = 0;
    while (err == 0 && hops.len >= sizeof hop) {
        memcpy(&hop, hops.ptr, sizeof hop);
        if (hop.rtnh_len < sizeof hop || hop.rtnh_len > hops.len)
            return -EBADMSG;
        struct bytes rest = {hops.ptr + sizeof hop, hop.rtnh_len - sizeof hop}, value;
        char weight[16];
        route->gateway[0] = '\0';
        for (int type; netlink_attribute(&rest, &type, &value);)
            if (type == RTA_GATEWAY)
                put_address(value, route->gateway);
        snprintf(weight, sizeof weight, "%d", hop.rtnh_hops + 1);
        err = emit_route(state, route, (unsigned)hop.rtnh_ifindex, weight);
        size_t step = RTNH_ALIGN(hop.rtnh_len);
        hops = bytes_skip(hops, step < hops.len ? step : hops.len);
    }
    return err;
}

static uint32_t number(struct bytes content)
{
    uint32_t value = 0;
    memcpy(&value, content.ptr, content.len < sizeof value ? content.len : sizeof value);
    return value;
}

static void put_destination(struct bytes address, unsigned bits, char text[ADDRESS_BYTES])
{
    uint8_t masked[16] = {0};
    if (bits == 0 || address.len > sizeof masked) {
        snprintf(text, ADDRESS_BYTES, "default");
        return;
    }
    for (size_t i = 0; i < address.len; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * (unsigned)i : 0;
        masked[i] = (uint8_t)(kept >= 8 ? address.ptr[i] : address.ptr[i] & (0xff00 >> kept));
    }
    put_address((struct bytes){masked, address.len}, text);
    size_t len = strlen(text);
    snprintf(text + len, ADDRESS_BYTES - len, "/%u", bits);
}

static int on_route(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct rtmsg message;
    struct route route = {.priority = 0};
    struct bytes destination = {0}, hops = {0}, value;
    unsigned index = 0;
    if (head->nlmsg_type != RTM_NEWROUTE || content.len < sizeof message)
        return 0;
    memcpy(&message, content.ptr, sizeof message);
    if (message.rtm_type != RTN_UNICAST)
        return 0;
    content = bytes_skip(content, NLMSG_ALIGN(sizeof message));
    for (int type; netlink_attribute(&content, &type, &value);) {
        if (type == RTA_DST)
            destination = value;
        else if (type == RTA_PREFSRC)
            put_address(value, route.source);
        else if (type == RTA_GATEWAY)
            put_address(value, route.gateway);
        else if (type == RTA_OIF)
            index = number(value);
        else if (type == RTA_PRIORITY)
            route.priority = number(value);
        else if (type == RTA_MULTIPATH)
            hops = value;
    }
    route.protocol = message.rtm_protocol;
    put_destination(destination, message.rtm_dst_len, route.destination);
    return hops.len ? emit_hops(ctx, &route, hops) : emit_route(ctx, &route, index, "");
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct route_state *state = ctx;
    const struct rtmsg all = {.rtm_family = 0};
    if (!state->netlink)
        return -EACCES;
    state->sink = sink;
    state->device_count = 0;
    seen_set_clear(&state->seen);
    int err = links_read(state->links, state->reader, &state->items, &state->item_count);
    if (err == 0)
        err = netlink_dump(state->netlink, RTM_GETROUTE, &all, sizeof all, on_route, state);
    for (size_t i = 0; i < state->device_count && err == 0; i++)
        COLLECTOR_SAMPLE(sink, "node_network_routes", METRIC_GAUGE, "network routes by interface",
                         state->devices[i].routes, "device", name_of(state, state->devices[i].index));
    return err;
}

const struct collector collector_network_route = {
    .name = "network_route", .start = start, .update = update, .stop = stop};
