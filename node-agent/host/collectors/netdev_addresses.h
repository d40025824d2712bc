/* netdev_addresses.h - the addresses of the network devices (--collector.netdev.address-info), asked over
 * rtnetlink. */
#ifndef NODE_AGENT_COLLECTORS_NETDEV_ADDRESSES_H
#define NODE_AGENT_COLLECTORS_NETDEV_ADDRESSES_H

#include "node-agent/host/collector.h"
#include "node-agent/host/links.h"
#include "node-agent/host/netlink.h"
#include "node-agent/pattern.h"

/* netdev_addresses_emit: of the links that the filter lets pass. netlink is one of NETLINK_ROUTE. 0 or errors
 * as netlink_dump. */
int netdev_addresses_emit(struct netlink *netlink, const struct link *links, size_t count,
                          const struct pattern_filter *devices, struct metric_sink *sink);

/* netdev_addresses_scope: what node_exporter calls an address of that family (in network byte order). Pure.
 */
const char *netdev_addresses_scope(int family, const uint8_t *address);

#endif
