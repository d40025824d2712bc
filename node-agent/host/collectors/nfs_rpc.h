/* nfs_rpc.h - /proc/net/rpc/nfs and nfsd: lines "KEY NUMBER ..." (net/sunrpc/stats.c, fs/nfsd/stats.c), and
 * the names of the procedures in their order. */
#ifndef NODE_AGENT_COLLECTORS_NFS_RPC_H
#define NODE_AGENT_COLLECTORS_NFS_RPC_H

#include "node-agent/host/collector.h"

enum { NFS_RPC_NUMBERS = 128 };

struct nfs_rpc_line {
    struct bytes key;
    uint64_t numbers[NFS_RPC_NUMBERS]; /* 0 past count */
    size_t count;
};

/* nfs_rpc_parse: 0, or -EINVAL where a number is none. Numbers with a fraction are cut. */
int nfs_rpc_parse(struct bytes line, struct nfs_rpc_line *ret_line);

/* nfs_rpc_emit: a counter for each procedure, named by NULL-terminated names ("" is left out), from
 * numbers[1] on. */
void nfs_rpc_emit(struct metric_sink *sink, const char *name, const char *help, const char *proto,
                  const char *const *names, const struct nfs_rpc_line *line);

/* Of version 2 and 3. */
extern const char *const nfs_rpc_version2[], *const nfs_rpc_version3[];

#endif
