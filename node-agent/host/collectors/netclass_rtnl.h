/* netclass_rtnl.h - the netclass collector with --collector.netclass.netlink: the devices' properties as
 * rtnetlink and the kernel's ethtool family (Linux' uapi/linux/ethtool_netlink.h) tell them; what neither
 * does comes from sysfs. */
#ifndef NODE_AGENT_COLLECTORS_NETCLASS_RTNL_H
#define NODE_AGENT_COLLECTORS_NETCLASS_RTNL_H

#include "node-agent/host/collector.h"
#include "node-agent/host/links.h"
#include "node-agent/pattern.h"

struct netclass_rtnl;

/* netclass_rtnl_new: sysfs is copied; with_stats: the devices' counters too. NULL when memory is out. */
struct netclass_rtnl *netclass_rtnl_new(const char *sysfs, bool with_stats);
void netclass_rtnl_free(struct netclass_rtnl *rtnl); /* NULL is fine */

/* netclass_rtnl_update: of the links that ignored lets pass. 0 or a negative errno. */
int netclass_rtnl_update(struct netclass_rtnl *rtnl, const struct link *links, size_t count,
                         const struct pattern_filter *ignored, struct metric_sink *sink);

/* netclass_rtnl_has_counter: whether with_stats gives the counter of that name ("receive_bytes"), so that the
 * netdev collector must not. */
bool netclass_rtnl_has_counter(const char *name);

/* netclass_rtnl_parse_modes: speed (Mbit/s) and duplex of the device of an answer of the ethtool family, its
 * attributes. Pure. False: not such an answer. */
bool netclass_rtnl_parse_modes(struct bytes attributes, char name[LINK_NAME_BYTES], uint32_t *ret_mbits,
                               uint8_t *ret_duplex);

#endif
