#include "node-agent/host/collectors/nfs_rpc.h"

#include <errno.h>

#include "node-agent/host/text.h"

const char *const nfs_rpc_version2[] = {
    "Null",   "GetAttr", "SetAttr", "Root",    "Lookup", "ReadLink", "Read",    "WrCache", "Write", "Create",
    "Remove", "Rename",  "Link",    "SymLink", "MkDir",  "RmDir",    "ReadDir", "FsStat",  NULL};
const char *const nfs_rpc_version3[] = {"Null",   "GetAttr", "SetAttr",  "Lookup", "Access",  "ReadLink",
                                        "Read",   "Write",   "Create",   "MkDir",  "SymLink", "MkNod",
                                        "Remove", "RmDir",   "Rename",   "Link",   "ReadDir", "ReadDirPlus",
                                        "FsStat", "FsInfo",  "PathConf", "Commit", NULL};

int nfs_rpc_parse(struct bytes line, struct nfs_rpc_line *ret_line)
{
    struct bytes field;
    memset(ret_line, 0, sizeof *ret_line);
    text_field(&line, &ret_line->key);
    while (ret_line->count < NFS_RPC_NUMBERS && text_field(&line, &field)) {
        field.len = text_digits(field);
        if (text_u64(field, &ret_line->numbers[ret_line->count++]) < 0)
            return -EINVAL;
    }
    return 0;
}

void nfs_rpc_emit(struct metric_sink *sink, const char *name, const char *help, const char *proto,
                  const char *const *names, const struct nfs_rpc_line *line)
{
    for (int i = 0; names[i]; i++)
        if (*names[i])
            COLLECTOR_SAMPLE(sink, name, METRIC_COUNTER, help, (double)line->numbers[i + 1], "proto", proto,
                             "method", names[i]);
}
