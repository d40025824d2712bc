/* fuzz_netlink.c - any datagram of the kernel's: what is made of it stays within its bounds and ends. */
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/collectors/netclass_rtnl.h"
#include "node-agent/host/collectors/netdev.h"
#include "node-agent/host/collectors/wifi_nl80211.h"
#include "node-agent/host/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_sample(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                         const char *const *labels, double value)
{
    (void)sink, (void)type, (void)value;
    require(strlen(name) > 0 && strlen(help) > 0);
    for (; labels && *labels; labels++)
        require(strlen(*labels) < 65536);
}

static void check_attributes(struct bytes attributes)
{
    char name[LINK_NAME_BYTES];
    uint32_t mbits;
    uint8_t duplex;
    struct wifi_device device;
    struct wifi_bss bss;
    struct wifi_station station;
    if (netclass_rtnl_parse_modes(attributes, name, &mbits, &duplex))
        require(memchr(name, 0, sizeof name) != NULL);
    if (wifi_nl80211_interface(attributes, &device))
        require(memchr(device.name, 0, sizeof device.name) != NULL);
    if (wifi_nl80211_bss(attributes, &bss))
        require(memchr(bss.ssid, 0, sizeof bss.ssid) != NULL);
    wifi_nl80211_station(attributes, &station);
}

static int on_message(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct link link;
    (void)ctx;
    require(head->nlmsg_len == NLMSG_HDRLEN + content.len);
    if (link_parse(content, &link) == 0) {
        require(memchr(link.name, 0, sizeof link.name) != NULL);
        require(memchr(link.address, 0, sizeof link.address) != NULL);
        for (const char *at = link.other_names; at && *at; at += strlen(at) + 1)
            require(strlen(at) < 16384);
        link_fini(&link);
    }
    if (content.len >= 4)
        check_attributes(bytes_skip(content, 4)); /* behind generic netlink's header */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct metric_sink sink = {check_sample};
    struct bytes datagram = {data, size};
    require(netlink_parse(datagram, on_message, NULL) <= 1);
    require(netdev_parse(datagram, &sink) <= 1);
    check_attributes(datagram);
    return 0;
}
