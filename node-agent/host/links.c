#include "node-agent/host/links.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "node-agent/host/netlink.h"

enum {
    DEVICES_MAX = 65536,
    MAX_READERS = 32,
    FRESH_MS = 1000,
    EPOCH_MS = 60000,
    CHANGES_BYTES = 16384,
    CHANGE_BYTES = 64,
    OTHER_NAMES_BYTES = 16384
};

struct links {
    struct netlink *netlink;        /* owned */
    unsigned users, readers, given; /* given: a bit for each reader that has this dump */
    int64_t read_at_ms;
    struct link *items; /* owned */
    size_t count, room;
    int changes; /* a socket that hears of changes; -1: none */
    uint64_t epoch;
    int64_t epoch_ms; /* when it began */
};

/* ---- one message ---- */

static unsigned number(struct bytes content)
{
    uint32_t value = 0;
    memcpy(&value, content.ptr, content.len < sizeof value ? content.len : sizeof value);
    return value;
}

static void put_address(struct bytes content, char text[LINK_ADDRESS_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < content.len && i < LINK_ADDRESS_BYTES / 3; i++) {
        if (i > 0)
            *at++ = ':';
        *at++ = hex[content.ptr[i] >> 4];
        *at++ = hex[content.ptr[i] & 15];
    }
    *at = '\0';
}

/* Older kernels give 32-bit counters only, and fewer of them: the same fields in the same order. */
static void widen(struct bytes from, struct rtnl_link_stats64 *stats)
{
    uint64_t *to = (uint64_t *)stats;
    for (size_t i = 0; i < from.len / sizeof(uint32_t) && i < sizeof *stats / sizeof *to; i++) {
        uint32_t value;
        memcpy(&value, from.ptr + i * sizeof value, sizeof value);
        to[i] = value;
    }
}

static void take_name(struct bytes content, struct link *link)
{
    size_t len = strnlen((const char *)content.ptr, content.len);
    len = len < LINK_NAME_BYTES ? len : LINK_NAME_BYTES - 1;
    memcpy(link->name, content.ptr, len);
    link->name[len] = '\0';
}

static void take_stats(struct bytes content, struct link *link)
{
    memset(&link->stats, 0, sizeof link->stats);
    memcpy(&link->stats, content.ptr, content.len < sizeof link->stats ? content.len : sizeof link->stats);
}

/* The attributes that are plain numbers. */
static unsigned *number_of(struct link *link, int type)
{
    static const struct {
        int type;
        size_t offset;
    } rows[] = {
        {IFLA_LINK, offsetof(struct link, below)},
        {IFLA_MTU, offsetof(struct link, mtu)},
        {IFLA_TXQLEN, offsetof(struct link, queue_len)},
        {IFLA_GROUP, offsetof(struct link, group)},
        {IFLA_LINKMODE, offsetof(struct link, mode)},
        {IFLA_OPERSTATE, offsetof(struct link, operstate)},
        {IFLA_CARRIER, offsetof(struct link, carrier)},
        {IFLA_CARRIER_CHANGES, offsetof(struct link, carrier_changes)},
        {IFLA_CARRIER_UP_COUNT, offsetof(struct link, carrier_ups)},
        {IFLA_CARRIER_DOWN_COUNT, offsetof(struct link, carrier_downs)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type)
            return (unsigned *)((char *)link + rows[i].offset);
    return NULL;
}

/* IFLA_PROP_LIST: of it the names that a device has besides its own. What memory does not suffice for is left
 * out. */
static char *other_names(struct bytes properties)
{
    struct bytes value;
    struct buf names;
    int err = 0;
    buf_init(&names, OTHER_NAMES_BYTES);
    for (int type; err == 0 && netlink_attribute(&properties, &type, &value);) {
        size_t len = strnlen((const char *)value.ptr, value.len);
        if (type != IFLA_ALT_IFNAME || len == 0)
            continue;
        err = buf_append(&names, value.ptr, len);
        if (err == 0)
            err = buf_append(&names, "", 1);
    }
    size_t len = names.len;
    if (err == 0 && len && buf_append(&names, "", 1) == 0)
        return (char *)buf_detach(&names, &len);
    buf_fini(&names);
    return NULL;
}

void link_fini(struct link *link)
{
    free(link->alias);
    free(link->other_names);
    link->alias = link->other_names = NULL;
}

int link_parse(struct bytes content, struct link *ret_link)
{
    struct ifinfomsg head;
    struct bytes value;
    bool has64 = false;
    if (content.len < NLMSG_ALIGN(sizeof head))
        return -EBADMSG;
    memcpy(&head, content.ptr, sizeof head);
    struct link link = {.index = (unsigned)head.ifi_index,
                        .below = (unsigned)head.ifi_index,
                        .type = head.ifi_type,
                        .flags = head.ifi_flags};
    content = bytes_skip(content, NLMSG_ALIGN(sizeof head));
    for (int type; netlink_attribute(&content, &type, &value);) {
        unsigned *to = number_of(&link, type);
        if (to)
            *to = number(value);
        else if (type == IFLA_IFNAME)
            take_name(value, &link);
        else if (type == IFLA_ADDRESS)
            put_address(value, link.address);
        else if (type == IFLA_BROADCAST)
            put_address(value, link.broadcast);
        else if (type == IFLA_IFALIAS && !link.alias)
            link.alias = strndup((const char *)value.ptr, value.len);
        else if (type == IFLA_PROP_LIST && !link.other_names)
            link.other_names = other_names(value);
        else if (type == IFLA_STATS64)
            take_stats(value, &link);
        else if (type == IFLA_STATS && !has64)
            widen(value, &link.stats);
        has64 = has64 || type == IFLA_STATS64;
        link.has_stats = link.has_stats || type == IFLA_STATS64 || type == IFLA_STATS;
        link.has_carrier = link.has_carrier || type == IFLA_CARRIER;
        link.has_operstate = link.has_operstate || type == IFLA_OPERSTATE;
        link.has_carrier_counts = link.has_carrier_counts || type == IFLA_CARRIER_UP_COUNT;
    }
    *ret_link = link;
    return 0;
}

/* ---- the table ---- */

static struct links *shared; /* owned by its users together */

static int open_changes(void)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    const int room = CHANGES_BYTES; /* past it one error stands for all */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static struct links *links_new(void)
{
    struct links *links = calloc(1, sizeof *links);
    if (!links)
        return NULL;
    links->netlink = netlink_new(NETLINK_ROUTE);
    if (!links->netlink) {
        free(links);
        return NULL;
    }
    links->changes = open_changes();
    return links;
}

struct links *links_join(unsigned *ret_reader)
{
    if (!shared && !(shared = links_new()))
        return NULL;
    shared->users++;
    *ret_reader = shared->readers++ % MAX_READERS;
    return shared;
}

static void clear(struct links *links)
{
    for (size_t i = 0; i < links->count; i++)
        link_fini(&links->items[i]);
    links->count = 0;
}

void links_leave(struct links *links)
{
    if (!links || --links->users > 0)
        return;
    clear(links);
    netlink_free(links->netlink);
    if (links->changes >= 0)
        close(links->changes);
    free(links->items);
    free(links);
    shared = NULL;
}

static int on_message(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct links *links = ctx;
    if (head->nlmsg_type != RTM_NEWLINK)
        return 0;
    if (links->count == links->room) {
        size_t room = links->room ? 2 * links->room : 4;
        struct link *items = room <= DEVICES_MAX ? realloc(links->items, room * sizeof *items) : NULL;
        if (!items)
            return room <= DEVICES_MAX ? -ENOMEM : -E2BIG;
        links->items = items;
        links->room = room;
    }
    int err = link_parse(content, &links->items[links->count]);
    links->count += err == 0 ? 1 : 0;
    return err;
}

/* Takes all messages that came: each tells of a change, whatever it says. */
static bool has_changed(int fd)
{
    char message[CHANGE_BYTES];
    bool any = false;
    for (;;) {
        ssize_t n = recv(fd, message, sizeof message, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return any;
        any = true;
        if (n < 0 && errno != EINTR && errno != ENOBUFS)
            return any;
    }
}

static void move_epoch(struct links *links)
{
    int64_t now_ms = clock_mono_ns() / 1000000;
    if (links->epoch && now_ms - links->epoch_ms < EPOCH_MS && !has_changed(links->changes))
        return;
    links->epoch++;
    links->epoch_ms = now_ms;
}

uint64_t links_epoch(const struct links *links)
{
    return links->epoch;
}

static int dump(struct links *links)
{
    const struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
    if (links->changes >= 0)
        move_epoch(links);
    clear(links);
    links->read_at_ms = clock_mono_ns() / 1000000;
    links->given = 0;
    return netlink_dump(links->netlink, RTM_GETLINK, &all, sizeof all, on_message, links);
}

int links_read(struct links *links, unsigned reader, const struct link **ret_items, size_t *ret_count)
{
    unsigned bit = 1u << reader;
    bool is_fresh =
        links->count && !(links->given & bit) && clock_mono_ns() / 1000000 - links->read_at_ms < FRESH_MS;
    int err = is_fresh ? 0 : dump(links);
    if (err < 0) {
        clear(links);
        return err;
    }
    links->given |= bit;
    *ret_items = links->items;
    *ret_count = links->count;
    return 0;
}
