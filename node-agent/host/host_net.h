/* host_net.h - where the host's network is seen from: the agent may run in a network namespace of its own,
 * with the host's /proc mounted elsewhere. Never the pod's own numbers under the host's names. */
#ifndef NODE_AGENT_HOST_NET_H
#define NODE_AGENT_HOST_NET_H

#include <stdbool.h>

#include "node-agent/config.h"
#include "node-agent/host/procfile.h"

/* host_net_is_own: whether the agent's own network namespace is the host's, so that netlink and
 * /proc/sys/net speak of the host. A tree that is no proc file system is taken for the host's. */
bool host_net_is_own(const struct agent_config *config);

/* host_net_folder: the folder of the host's net files, in storage; returned. One that cannot be read where
 * nothing shows the host's. */
const char *host_net_folder(const struct agent_config *config, char *storage, size_t size);

/* host_net_file: procfile_new for a file in that folder. */
struct procfile *host_net_file(const struct agent_config *config, const char *name);

#endif
