/* tcpstat.c - the TCP sockets by their state, and the bytes in their queues: asked of the kernel's socket
 * diagnosis (Linux' uapi/linux/inet_diag.h, sock_diag(7)). */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/sysfs.h"

enum { STATES = 14, RX_QUEUED = 12, TX_QUEUED = 13, ALL_STATES = 0xfff };
static const char *const names[STATES] = {
    "unknown", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2",       "time_wait",
    "close",   "close_wait",  "last_ack", "listen",   "closing",   "rx_queued_bytes", "tx_queued_bytes"};

struct tcpstat_state {
    const char *procfs;      /* borrowed from the config */
    struct netlink *netlink; /* owned; NULL: the sockets that would be seen are not the host's */
    uint64_t values[STATES];
    bool has[STATES];
};

static void stop(void *ctx)
{
    struct tcpstat_state *state = ctx;
    netlink_free(state->netlink);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct tcpstat_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->procfs = config->host_metrics.path_procfs;
    bool own = host_net_is_own(config);
    state->netlink = own ? netlink_new(NETLINK_SOCK_DIAG) : NULL;
    if (own && !state->netlink) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

static void add(struct tcpstat_state *state, int at, uint64_t value)
{
    state->values[at] += value;
    state->has[at] = true;
}

static int on_socket(void *ctx, const struct nlmsghdr *head, struct bytes content)
{
    struct inet_diag_msg message;
    (void)head;
    if (content.len < sizeof message)
        return -EBADMSG;
    memcpy(&message, content.ptr, sizeof message);
    add(ctx, message.idiag_state < RX_QUEUED ? message.idiag_state : 0, 1);
    add(ctx, RX_QUEUED, message.idiag_rqueue);
    add(ctx, TX_QUEUED, message.idiag_wqueue);
    return 0;
}

static int ask(struct tcpstat_state *state, uint8_t family)
{
    const struct inet_diag_req_v2 request = {
        .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ALL_STATES};
    return netlink_dump(state->netlink, SOCK_DIAG_BY_FAMILY, &request, sizeof request, on_socket, state);
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct tcpstat_state *state = ctx;
    if (!state->netlink)
        return -EACCES;
    memset(state->values, 0, sizeof state->values);
    memset(state->has, 0, sizeof state->has);
    int err = ask(state, AF_INET);
    if (err == 0 && sysfs_exists("%s/net/tcp6", state->procfs))
        err = ask(state, AF_INET6);
    for (int i = 0; i < STATES && err == 0; i++)
        if (state->has[i])
            COLLECTOR_SAMPLE(sink, "node_tcp_connection_states", METRIC_GAUGE, "Number of connection states.",
                             (double)state->values[i], "state", names[i]);
    return err;
}

const struct collector collector_tcpstat = {
    .name = "tcpstat", .start = start, .update = update, .stop = stop};
