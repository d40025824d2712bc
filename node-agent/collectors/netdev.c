/* netdev.c - counters of the network devices, asked of the kernel over rtnetlink. */
#include "node-agent/collectors/netdev.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "node-agent/collectors/table.h"

enum { DATAGRAM_BYTES = 32768, ANSWER_SECONDS = 1, COUNTERS = 17 };

struct netdev_state {
    int fd;
    uint8_t datagram[DATAGRAM_BYTES] __attribute__((aligned(8)));
};

static void stop(void *ctx)
{
    struct netdev_state *state = ctx;
    if (state && state->fd >= 0)
        close(state->fd);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    (void)config;
    struct netdev_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->fd = -1;
    *ret_state = state;
    return 0;
}

/* ---- one device ---- */

/* The names that node_exporter has without its detailed metrics: several of the kernel's counters are summed.
 */
static void emit_counters(struct metric_sink *sink, const char *device, const struct rtnl_link_stats64 *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } counters[COUNTERS] = {
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
    const char *const labels[] = {"device", device, NULL};
    for (int i = 0; i < COUNTERS; i++) {
        char name[64], help[96];
        snprintf(name, sizeof name, "node_network_%s_total", counters[i].key);
        snprintf(help, sizeof help, "Network device statistic %s.", counters[i].key);
        sink->sample(sink, name, METRIC_COUNTER, help, labels, (double)counters[i].value);
    }
}

/* Older kernels give 32-bit counters only, and fewer of them: the same fields in the same order. */
static void widen(const uint8_t *from, size_t len, struct rtnl_link_stats64 *stats)
{
    uint64_t *to = (uint64_t *)stats;
    for (size_t i = 0; i < len / sizeof(uint32_t) && i < sizeof *stats / sizeof *to; i++) {
        uint32_t value;
        memcpy(&value, from + i * sizeof value, sizeof value);
        to[i] = value;
    }
}

static void parse_link(const uint8_t *attributes, size_t len, struct metric_sink *sink)
{
    struct rtnl_link_stats64 stats = {0};
    char device[64] = "";
    bool has64 = false, has32 = false;
    while (len >= sizeof(struct rtattr)) {
        struct rtattr attribute;
        memcpy(&attribute, attributes, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > len)
            break;
        const uint8_t *content = attributes + RTA_LENGTH(0);
        size_t size = attribute.rta_len - RTA_LENGTH(0);
        if (attribute.rta_type == IFLA_IFNAME) {
            snprintf(device, sizeof device, "%.*s", (int)size, (const char *)content);
        } else if (attribute.rta_type == IFLA_STATS64) {
            memset(&stats, 0, sizeof stats);
            memcpy(&stats, content, size < sizeof stats ? size : sizeof stats);
            has64 = true;
        } else if (attribute.rta_type == IFLA_STATS && !has64) {
            widen(content, size, &stats);
            has32 = true;
        }
        size_t step = RTA_ALIGN(attribute.rta_len);
        if (step > len)
            break;
        attributes += step;
        len -= step;
    }
    if (*device && (has64 || has32))
        emit_counters(sink, device, &stats);
}

static int parse_message(const struct nlmsghdr *head, const uint8_t *content, size_t len,
                         struct metric_sink *sink)
{
    int error;
    switch (head->nlmsg_type) {
    case NLMSG_DONE:
        return 0;
    case NLMSG_ERROR:
        if (len < sizeof error)
            return -EBADMSG;
        memcpy(&error, content, sizeof error);
        return error < 0 ? error : 0;
    case RTM_NEWLINK:
        if (len >= NLMSG_ALIGN(sizeof(struct ifinfomsg)))
            parse_link(content + NLMSG_ALIGN(sizeof(struct ifinfomsg)),
                       len - NLMSG_ALIGN(sizeof(struct ifinfomsg)), sink);
        return 1;
    default:
        return 1;
    }
}

int netdev_parse(struct bytes datagram, struct metric_sink *sink)
{
    while (datagram.len > 0) {
        struct nlmsghdr head;
        if (datagram.len < sizeof head)
            return -EBADMSG;
        memcpy(&head, datagram.ptr, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.len)
            return -EBADMSG;
        int more = parse_message(&head, datagram.ptr + NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN, sink);
        if (more <= 0)
            return more;
        size_t step = NLMSG_ALIGN(head.nlmsg_len);
        datagram = bytes_skip(datagram, step < datagram.len ? step : datagram.len);
    }
    return 1;
}

/* ---- the kernel ---- */

static int open_socket(struct netdev_state *state)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    state->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (state->fd < 0)
        return -errno;
    setsockopt(state->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return 0;
}

static int ask(const struct netdev_state *state)
{
    struct {
        struct nlmsghdr head;
        struct ifinfomsg body;
    } request = {
        .head = {.nlmsg_len = NLMSG_LENGTH(sizeof request.body),
                 .nlmsg_type = RTM_GETLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.ifi_family = AF_UNSPEC},
    };
    return send(state->fd, &request, sizeof request, 0) < 0 ? -errno : 0;
}

static int read_answer(struct netdev_state *state, struct metric_sink *sink)
{
    for (int more = 1; more > 0;) {
        ssize_t n = recv(state->fd, state->datagram, sizeof state->datagram, MSG_TRUNC);
        if (n < 0)
            return -errno;
        if ((size_t)n > sizeof state->datagram)
            return -EMSGSIZE;
        more = netdev_parse((struct bytes){state->datagram, (size_t)n}, sink);
        if (more < 0)
            return more;
    }
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct netdev_state *state = ctx;
    int err = state->fd < 0 ? open_socket(state) : 0;
    if (err == 0)
        err = ask(state);
    if (err == 0)
        err = read_answer(state, sink);
    if (err < 0 && state->fd >= 0) { /* an answer may still be under way: begin anew */
        close(state->fd);
        state->fd = -1;
    }
    return err;
}

const struct collector collector_netdev = {.name = "netdev",
                                           .enabled_by_default = true,
                                           .start = start,
                                           .update = update,
                                           .stop = stop,
                                           .blocks = false};
