/* netlink.h - dumps asked of the kernel over a netlink socket that stays open. One thread at a time.
 *
 * Source: Linux' uapi/linux/netlink.h. An answer has a second to come.
 */
#ifndef NODE_AGENT_NETLINK_H
#define NODE_AGENT_NETLINK_H

#include <linux/netlink.h>

#include "base/bytes.h"

struct netlink;

/* netlink_new: protocol is NETLINK_ROUTE and the like; opens nothing yet. NULL when memory is out. */
struct netlink *netlink_new(int protocol);
void netlink_free(struct netlink *netlink); /* NULL is fine */

/* netlink_dump: sends a request of that type with body and calls fn for each message of the answer, with what
 * follows its header; an error of fn's ends the dump. 0, fn's error, the kernel's, -EBADMSG, or the socket's
 * (-EAGAIN: no answer in time). */
int netlink_dump(struct netlink *netlink, int type, const void *body, size_t body_len,
                 int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx);

/* netlink_ask: the same without asking for a dump: one answer. */
int netlink_ask(struct netlink *netlink, int type, const void *body, size_t body_len,
                int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx);

/* netlink_parse: what netlink_dump does with one datagram. 1: more follow; 0: this was the last; errors as
 * netlink_dump. */
int netlink_parse(struct bytes datagram,
                  int (*fn)(void *ctx, const struct nlmsghdr *head, struct bytes content), void *ctx);

/* netlink_attribute: takes the next attribute off *rest; its type without the flag bits. False at the end and
 * where a length lies. */
bool netlink_attribute(struct bytes *rest, int *ret_type, struct bytes *ret_content);

#endif
