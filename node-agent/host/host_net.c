#include "node-agent/host/host_net.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINK_BYTES = 64 };

static bool is_proc(const char *path)
{
    struct statfs s;
    return statfs(path, &s) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

static bool read_link(const char *procfs, const char *name, char link[LINK_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", procfs, name);
    ssize_t n = readlink(path, link, LINK_BYTES - 1);
    link[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool host_net_is_own(const struct agent_config *config)
{
    const char *procfs = config->host_metrics.path_procfs;
    char own[LINK_BYTES], host[LINK_BYTES];
    if (strcmp(procfs, "/proc") == 0 || !is_proc(procfs))
        return true;
    return read_link("/proc", "self/ns/net", own) && read_link(procfs, "1/ns/net", host) &&
           strcmp(own, host) == 0;
}

const char *host_net_folder(const struct agent_config *config, char *storage, size_t size)
{
    snprintf(storage, size, "%s/%s", config->host_metrics.path_procfs,
             host_net_is_own(config) ? "net" : "1/net");
    return storage;
}

struct procfile *host_net_file(const struct agent_config *config, const char *name)
{
    char folder[PATH_BYTES];
    return procfile_new(host_net_folder(config, folder, sizeof folder), name);
}
