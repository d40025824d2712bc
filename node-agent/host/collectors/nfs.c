/* nfs.c - the NFS client: /proc/net/rpc/nfs. */
#include <errno.h>

#include "node-agent/host/collectors/nfs_rpc.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

static const char *const version4[] = {"Null",
                                       "Read",
                                       "Write",
                                       "Commit",
                                       "Open",
                                       "OpenConfirm",
                                       "OpenNoattr",
                                       "OpenDowngrade",
                                       "Close",
                                       "Setattr",
                                       "FsInfo",
                                       "Renew",
                                       "SetClientID",
                                       "SetClientIDConfirm",
                                       "Lock",
                                       "Lockt",
                                       "Locku",
                                       "Access",
                                       "Getattr",
                                       "Lookup",
                                       "LookupRoot",
                                       "Remove",
                                       "Rename",
                                       "Link",
                                       "Symlink",
                                       "Create",
                                       "Pathconf",
                                       "StatFs",
                                       "ReadLink",
                                       "ReadDir",
                                       "ServerCaps",
                                       "DelegReturn",
                                       "GetACL",
                                       "SetACL",
                                       "FsLocations",
                                       "ReleaseLockowner",
                                       "Secinfo",
                                       "FsidPresent",
                                       "ExchangeID",
                                       "CreateSession",
                                       "DestroySession",
                                       "Sequence",
                                       "GetLeaseTime",
                                       "ReclaimComplete",
                                       "GetDeviceInfo",
                                       "LayoutGet",
                                       "LayoutCommit",
                                       "LayoutReturn",
                                       "SecinfoNoName",
                                       "TestStateID",
                                       "FreeStateID",
                                       "GetDeviceList",
                                       "BindConnToSession",
                                       "DestroyClientID",
                                       "Seek",
                                       "Allocate",
                                       "DeAllocate",
                                       "LayoutStats",
                                       "Clone",
                                       NULL};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = host_net_file(config, "rpc/nfs");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static void emit_net(struct metric_sink *sink, const struct nfs_rpc_line *line)
{
    static const char *const help = "Total NFSd network packets (sent+received) by protocol type.";
    COLLECTOR_SAMPLE(sink, "node_nfs_packets_total", METRIC_COUNTER, help, (double)line->numbers[1],
                     "protocol", "udp");
    COLLECTOR_SAMPLE(sink, "node_nfs_packets_total", METRIC_COUNTER, help, (double)line->numbers[2],
                     "protocol", "tcp");
    collector_emit(sink, "node_nfs_connections_total", METRIC_COUNTER,
                   "Total number of NFSd TCP connections.", (double)line->numbers[3]);
}

static void emit_rpc(struct metric_sink *sink, const struct nfs_rpc_line *line)
{
    collector_emit(sink, "node_nfs_rpcs_total", METRIC_COUNTER, "Total number of RPCs performed.",
                   (double)line->numbers[0]);
    collector_emit(sink, "node_nfs_rpc_retransmissions_total", METRIC_COUNTER,
                   "Number of RPC transmissions performed.", (double)line->numbers[1]);
    collector_emit(sink, "node_nfs_rpc_authentication_refreshes_total", METRIC_COUNTER,
                   "Number of RPC authentication refreshes performed.", (double)line->numbers[2]);
}

static void emit_line(struct metric_sink *sink, const struct nfs_rpc_line *line)
{
    static const struct {
        const char *key, *proto, *const *names;
    } versions[] = {
        {"proc2", "2", nfs_rpc_version2}, {"proc3", "3", nfs_rpc_version3}, {"proc4", "4", version4}};
    if (text_is(line->key, "net"))
        emit_net(sink, line);
    else if (text_is(line->key, "rpc"))
        emit_rpc(sink, line);
    for (int i = 0; i < 3; i++)
        if (text_is(line->key, versions[i].key))
            nfs_rpc_emit(sink, "node_nfs_requests_total", "Number of NFS procedures invoked.",
                         versions[i].proto, versions[i].names, line);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    struct nfs_rpc_line parsed;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line)) {
        err = nfs_rpc_parse(line, &parsed);
        if (err == 0)
            emit_line(sink, &parsed);
    }
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_nfs = {.name = "nfs",
                                        .enabled_by_default = true,
                                        .start = start,
                                        .update = update,
                                        .stop = stop,
                                        .announced = true};
