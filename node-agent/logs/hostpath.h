/* hostpath.h - opens paths whose symlinks were made for the host, from within a container.
 *
 * A pod's log may be a symlink into the container runtime's storage, with a target that is right on the host
 * and absent in the agent's mounts, or to another link that is one. Where the host's root is mounted
 * (path_rootfs), each link of such a chain is looked for below it by openat2(2) with RESOLVE_IN_ROOT,
 * absolute targets included, and where it is not there followed as it stands here. Kernels before 5.6 have no
 * openat2; there a link below the host's root must not lead to another absolute one. Any thread.
 */
#ifndef NODE_AGENT_HOSTPATH_H
#define NODE_AGENT_HOSTPATH_H

#include <sys/stat.h>

/* hostpath_open: path as it is here; and where it is a symlink that leads nowhere, as it is below host_root
 * (NULL, "" or "/": not). flags: of open(2); O_CLOEXEC, O_NONBLOCK and O_NOCTTY are added. The descriptor or
 * a negative errno. */
int hostpath_open(const char *host_root, const char *path, int flags);

/* hostpath_stat: of what hostpath_open opens. 0 or a negative errno. */
int hostpath_stat(const char *host_root, const char *path, struct stat *ret_st);

#endif
