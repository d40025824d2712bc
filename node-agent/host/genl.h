/* genl.h - generic netlink (Linux' uapi/linux/genetlink.h): requests to a family of the kernel that is known
 * by its name. One thread at a time. */
#ifndef NODE_AGENT_GENL_H
#define NODE_AGENT_GENL_H

#include "node-agent/host/netlink.h"

/* genl_find: the number of the family of that name. 0, -ENOENT (the kernel has none), or as netlink_ask. */
int genl_find(struct netlink *netlink, const char *family, int *ret_family);

/* genl_dump: asks for a dump; attributes are made with genl_put. fn gets the attributes of each message. */
int genl_dump(struct netlink *netlink, int family, uint8_t command, uint8_t version, struct bytes attributes,
              int (*fn)(void *ctx, struct bytes attributes), void *ctx);

/* genl_put: appends an attribute to storage, which has room for it (at most 200 bytes are used). */
void genl_put(uint8_t *storage, size_t *len, int type, const void *value, size_t value_len);

#endif
