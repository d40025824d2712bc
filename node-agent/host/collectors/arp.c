/* arp.c - the IPv4 neighbours of each device: asked of the kernel (rtnetlink), or lines of /proc/net/arp,
 * whose sixth field is the device. */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/links.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { MAX_DEVICES = 4096, FIELDS = 6, HEAD_FIELDS = 9, DEVICE = 5 };

struct arp_device {
    char name[IF_NAMESIZE];
    int index;
    unsigned entries;
};

struct arp_state {
    struct netlink *netlink; /* owned; NULL: the file */
    struct links *links;     /* with netlink: for the devices' names */
    unsigned reader;
    struct procfile *file; /* owned */
    struct pattern_filter filter;
    struct arp_device *devices; /* owned */
    size_t count;
};

static void stop(void *ctx)
{
    struct arp_state *state = ctx;
    netlink_free(state->netlink);
    links_leave(state->links);
    procfile_free(state->file);
    pattern_filter_fini(&state->filter);
    free(state->devices);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct arp_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err = pattern_filter_init(&state->filter, config, "arp.device-include", "arp.device-exclude", "");
    state->file = host_net_file(config, "arp");
    bool by_netlink = collector_flag_is_on(config, "arp.netlink", true) && host_net_is_own(config);
    if (by_netlink) {
        state->netlink = netlink_new(NETLINK_ROUTE);
        state->links = links_join(&state->reader);
    }
    if (err == 0 && (!state->file || (by_netlink && (!state->netlink || !state->links))))
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int count_entry(struct arp_state *state, int index, struct bytes name)
{
    for (size_t i = 0; i < state->count; i++)
        if (index ? state->devices[i].index == index : text_is(name, state->devices[i].name))
            return state->devices[i].entries++, 0;
    if (state->count == MAX_DEVICES)
        return -E2BIG;
    if (state->count % 8 == 0) {
        struct arp_device *devices = realloc(state->devices, (state->count + 8) * sizeof *devices);
        if (!devices)
            return -ENOMEM;
        state->devices = devices;
    }
    struct arp_device *device = &state->devices[state->count];
    *device = (struct arp_device){.index = index, .entries = 1};
    if (!index)
        text_copy(name, device->name, sizeof device->name);
    state->count++;
    return 0;
}

static int on_neighbour(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct ndmsg message;
    if (head->nlmsg_type != RTM_NEWNEIGH || content.len < sizeof message)
        return 0;
    memcpy(&message, content.ptr, sizeof message);
    if (message.ndm_family != AF_INET || message.ndm_state & NUD_NOARP)
        return 0;
    return count_entry(ctx, message.ndm_ifindex, (struct bytes){0});
}

static int read_file(struct arp_state *state)
{
    struct bytes text, line, fields[HEAD_FIELDS];
    int err = procfile_read(state->file, &text);
    while (err == 0 && text_line(&text, &line)) {
        size_t count = text_fields(line, fields, HEAD_FIELDS);
        if (count == FIELDS)
            err = count_entry(state, 0, fields[DEVICE]);
        else if (count != HEAD_FIELDS && count != 0)
            err = -EINVAL;
    }
    return err;
}

/* Names the devices by their index; those that are gone since have none. */
static int name_devices(struct arp_state *state)
{
    const struct link *links;
    size_t count = 0;
    int err = state->count ? links_read(state->links, state->reader, &links, &count) : 0;
    for (size_t i = 0; i < state->count && err == 0; i++)
        for (size_t l = 0; l < count; l++)
            if ((int)links[l].index == state->devices[i].index)
                text_copy(bytes_of_string(links[l].name), state->devices[i].name,
                          sizeof state->devices[i].name);
    return err;
}

static int read_neighbours(struct arp_state *state)
{
    const struct ndmsg all = {.ndm_family = AF_INET};
    int err = netlink_dump(state->netlink, RTM_GETNEIGH, &all, sizeof all, on_neighbour, state);
    return err == 0 ? name_devices(state) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct arp_state *state = ctx;
    state->count = 0;
    int err = state->netlink ? read_neighbours(state) : read_file(state);
    for (size_t i = 0; i < state->count && err == 0; i++)
        if (*state->devices[i].name &&
            pattern_filter_passes(&state->filter, bytes_of_string(state->devices[i].name)))
            COLLECTOR_SAMPLE(sink, "node_arp_entries", METRIC_GAUGE, "ARP entries by device",
                             state->devices[i].entries, "device", state->devices[i].name);
    return err;
}

static const char *const flags[] = {"arp.device-include=~", "arp.device-exclude=~", "arp.netlink", NULL};

const struct collector collector_arp = {.name = "arp",
                                        .enabled_by_default = true,
                                        .start = start,
                                        .update = update,
                                        .stop = stop,
                                        .flags = flags};
