/* nfsd.c - the NFS server: /proc/net/rpc/nfsd. */
#include <errno.h>

#include "node-agent/host/collectors/nfs_rpc.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

/* The procedure "null" is not shown, here. */
static const char *const version2[] = {
    "",       "GetAttr", "SetAttr", "Root",    "Lookup", "ReadLink", "Read",    "WrCache", "Write", "Create",
    "Remove", "Rename",  "Link",    "SymLink", "MkDir",  "RmDir",    "ReadDir", "FsStat",  NULL};
static const char *const version3[] = {"",       "GetAttr", "SetAttr",  "Lookup", "Access",  "ReadLink",
                                       "Read",   "Write",   "Create",   "MkDir",  "SymLink", "MkNod",
                                       "Remove", "RmDir",   "Rename",   "Link",   "ReadDir", "ReadDirPlus",
                                       "FsStat", "FsInfo",  "PathConf", "Commit", NULL};
static const char *const version4[] = {"",
                                       "",
                                       "",
                                       "Access",
                                       "Close",
                                       "Commit",
                                       "Create",
                                       "DelegPurge",
                                       "DelegReturn",
                                       "GetAttr",
                                       "GetFH",
                                       "Link",
                                       "Lock",
                                       "Lockt",
                                       "Locku",
                                       "Lookup",
                                       "LookupRoot",
                                       "Nverify",
                                       "Open",
                                       "OpenAttr",
                                       "OpenConfirm",
                                       "OpenDgrd",
                                       "PutFH",
                                       "",
                                       "",
                                       "Read",
                                       "ReadDir",
                                       "ReadLink",
                                       "Remove",
                                       "Rename",
                                       "Renew",
                                       "RestoreFH",
                                       "SaveFH",
                                       "SecInfo",
                                       "SetAttr",
                                       "SetClientID",
                                       "SetClientIDConfirm",
                                       "Verify",
                                       "Write",
                                       "RelLockOwner",
                                       NULL};

static const struct { /* a metric without labels: the line's key and the number's place */
    const char *key;
    int at;
    const char *name;
    enum metric_type type;
    const char *help;
} rows[] = {
    {"rc", 0, "node_nfsd_reply_cache_hits_total", METRIC_COUNTER,
     "Total number of NFSd Reply Cache hits (client lost server response)."},
    {"rc", 1, "node_nfsd_reply_cache_misses_total", METRIC_COUNTER,
     "Total number of NFSd Reply Cache an operation that requires caching (idempotent)."},
    {"rc", 2, "node_nfsd_reply_cache_nocache_total", METRIC_COUNTER,
     "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…)."},
    {"fh", 0, "node_nfsd_file_handles_stale_total", METRIC_COUNTER,
     "Total number of NFSd stale file handles"},
    {"io", 0, "node_nfsd_disk_bytes_read_total", METRIC_COUNTER, "Total NFSd bytes read."},
    {"io", 1, "node_nfsd_disk_bytes_written_total", METRIC_COUNTER, "Total NFSd bytes written."},
    {"th", 0, "node_nfsd_server_threads", METRIC_GAUGE,
     "Total number of NFSd kernel threads that are running."},
    {"ra", 0, "node_nfsd_read_ahead_cache_size_blocks", METRIC_GAUGE,
     "How large the read ahead cache is in blocks."},
    {"ra", 11, "node_nfsd_read_ahead_cache_not_found_total", METRIC_COUNTER,
     "Total number of NFSd read ahead cache not found."},
    {"net", 3, "node_nfsd_connections_total", METRIC_COUNTER, "Total number of NFSd TCP connections."},
    {"rpc", 0, "node_nfsd_server_rpcs_total", METRIC_COUNTER, "Total number of NFSd RPCs."},
};
enum { ROWS = sizeof rows / sizeof *rows };

static const struct {
    const char *key;
    int at;
    const char *name, *help, *label, *value;
} labelled[] = {
    {"net", 1, "node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.",
     "proto", "udp"},
    {"net", 2, "node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.",
     "proto", "tcp"},
    {"rpc", 2, "node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", "error",
     "fmt"},
    {"rpc", 3, "node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", "error",
     "auth"},
    {"rpc", 4, "node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.", "error",
     "cInt"},
    {"wdeleg_getattr", 0, "node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.",
     "method", "WdelegGetattr"},
};
enum { LABELLED = sizeof labelled / sizeof *labelled };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = host_net_file(config, "rpc/nfsd");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static void take_numbers(const struct nfs_rpc_line *line, double sums[ROWS + LABELLED])
{
    for (int i = 0; i < ROWS; i++)
        if (text_is(line->key, rows[i].key))
            sums[i] = (double)line->numbers[rows[i].at];
    for (int i = 0; i < LABELLED; i++)
        if (text_is(line->key, labelled[i].key))
            sums[ROWS + i] = (double)line->numbers[labelled[i].at];
}

static void emit_procedures(struct metric_sink *sink, const struct nfs_rpc_line *line)
{
    static const struct {
        const char *key, *proto, *const *names;
    } versions[] = {{"proc2", "2", version2}, {"proc3", "3", version3}, {"proc4ops", "4", version4}};
    for (int i = 0; i < 3; i++)
        if (text_is(line->key, versions[i].key))
            nfs_rpc_emit(sink, "node_nfsd_requests_total",
                         "Total number NFSd Requests by method and protocol.", versions[i].proto,
                         versions[i].names, line);
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    struct nfs_rpc_line parsed;
    double sums[ROWS + LABELLED] = {0};
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line)) {
        err = nfs_rpc_parse(line, &parsed);
        if (err == 0)
            take_numbers(&parsed, sums);
        if (err == 0)
            emit_procedures(sink, &parsed);
    }
    for (int i = 0; i < ROWS && err == 0; i++)
        collector_emit(sink, rows[i].name, rows[i].type, rows[i].help, sums[i]);
    for (int i = 0; i < LABELLED && err == 0; i++) {
        const char *proto = strcmp(labelled[i].label, "method") == 0 ? "proto" : NULL;
        COLLECTOR_SAMPLE(sink, labelled[i].name, METRIC_COUNTER, labelled[i].help, sums[ROWS + i],
                         labelled[i].label, labelled[i].value, proto, "4");
    }
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_nfsd = {.name = "nfsd",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .announced = true};
