#include "node-agent/host/collectors/netdev_addresses.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

struct walk {
    const struct link *links;
    size_t count;
    const struct pattern_filter *devices;
    struct metric_sink *sink;
};

static const char *scope4(const uint8_t *a)
{
    static const uint8_t all[4] = {255, 255, 255, 255}, none[4] = {0};
    if (a[0] == 127 || (a[0] == 169 && a[1] == 254) || (a[0] == 224 && a[1] == 0 && a[2] == 0))
        return "link-local";
    return (a[0] & 0xf0) == 0xe0 || memcmp(a, all, 4) == 0 || memcmp(a, none, 4) == 0 ? "" : "global";
}

const char *netdev_addresses_scope(int family, const uint8_t *a)
{
    static const uint8_t none[16] = {0}, self[16] = {[15] = 1}, mapped[12] = {[10] = 255, [11] = 255};
    if (family == AF_INET)
        return scope4(a);
    if (memcmp(a, mapped, sizeof mapped) == 0)
        return scope4(a + sizeof mapped);
    if (memcmp(a, self, sizeof self) == 0 || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
        (a[0] == 0xff && (a[1] & 0x0f) == 2))
        return "link-local";
    if (a[0] == 0xff)
        return (a[1] & 0x0f) == 1 ? "interface-local" : "";
    return memcmp(a, none, sizeof none) == 0 ? "" : "global";
}

static void emit(const struct walk *walk, const struct ifaddrmsg *head, const uint8_t *address)
{
    char text[INET6_ADDRSTRLEN], netmask[8];
    const struct link *link = walk->links, *end = walk->links + walk->count;
    while (link < end && link->index != head->ifa_index)
        link++;
    if (link == end || !pattern_filter_passes(walk->devices, bytes_of_string(link->name)) ||
        !inet_ntop(head->ifa_family, address, text, sizeof text))
        return;
    snprintf(netmask, sizeof netmask, "%u", head->ifa_prefixlen);
    COLLECTOR_SAMPLE(walk->sink, "node_network_address_info", METRIC_GAUGE, "node network address by device",
                     1, "device", link->name, "address", text, "netmask", netmask, "scope",
                     netdev_addresses_scope(head->ifa_family, address));
}

/* The address of the device itself is IFA_LOCAL where both are told: IFA_ADDRESS is the other end's then. */
static int on_address(void *ctx, const struct nlmsghdr *nlmsg, struct bytes content)
{
    struct ifaddrmsg head;
    struct bytes value, address = {0};
    if (nlmsg->nlmsg_type != RTM_NEWADDR || content.len < NLMSG_ALIGN(sizeof head))
        return 0;
    memcpy(&head, content.ptr, sizeof head);
    content = bytes_skip(content, NLMSG_ALIGN(sizeof head));
    size_t len = head.ifa_family == AF_INET ? 4 : head.ifa_family == AF_INET6 ? 16 : 0;
    for (int type; len && netlink_attribute(&content, &type, &value);)
        if (value.len == len && (type == IFA_LOCAL || (type == IFA_ADDRESS && !address.ptr)))
            address = value;
    if (address.ptr)
        emit(ctx, &head, address.ptr);
    return 0;
}

int netdev_addresses_emit(struct netlink *netlink, const struct link *links, size_t count,
                          const struct pattern_filter *devices, struct metric_sink *sink)
{
    const struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
    struct walk walk = {links, count, devices, sink};
    return netlink_dump(netlink, RTM_GETADDR, &all, sizeof all, on_address, &walk);
}
