/* netdev.h - the pure part of the netdev collector. */
#ifndef NODE_AGENT_COLLECTORS_NETDEV_H
#define NODE_AGENT_COLLECTORS_NETDEV_H

#include "node-agent/host/collector.h"

/* netdev_parse: emits what one datagram of an rtnetlink dump of links holds (Linux' uapi/linux/netlink.h,
 * if_link.h). 1: more datagrams follow; 0: this was the last; a negative errno: the kernel's, or -EBADMSG. */
int netdev_parse(struct bytes datagram, struct metric_sink *sink);

#endif
