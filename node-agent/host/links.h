/* links.h - the network devices as the kernel's rtnetlink tells them (Linux' uapi/linux/rtnetlink.h,
 * if_link.h): one dump serves all collectors that ask in the same scrape.
 *
 * One table a process, on one thread.
 */
#ifndef NODE_AGENT_LINKS_H
#define NODE_AGENT_LINKS_H

#include <linux/if_link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { LINK_NAME_BYTES = 64, LINK_ADDRESS_BYTES = 96 };

struct link {
    char name[LINK_NAME_BYTES];
    unsigned index, below, type, flags; /* below: the device it stands on, itself by default */
    unsigned mtu, queue_len, group, mode, operstate, carrier;
    unsigned carrier_changes, carrier_ups, carrier_downs;
    bool has_carrier, has_carrier_counts, has_operstate, has_stats;
    char address[LINK_ADDRESS_BYTES], broadcast[LINK_ADDRESS_BYTES]; /* as "02:fc:00"; "" without */
    char *alias;                                                     /* owned; NULL without */
    char *other_names; /* owned; each with a NUL, an empty one ends; NULL without */
    struct rtnl_link_stats64 stats;
};

/* link_parse: what follows the header of an RTM_NEWLINK message; the caller ends it with link_fini. 0,
 * -EBADMSG. */
int link_parse(struct bytes content, struct link *ret_link);
void link_fini(struct link *link);

struct links;

/* links_join: the process' table; *ret_reader tells the callers apart, at most 32. NULL when memory is out.
 */
struct links *links_join(unsigned *ret_reader);
void links_leave(struct links *links); /* NULL is fine */

/* links_read: the devices now, borrowed until the next call. A dump is made unless there is one, younger than
 * a second, that this reader was not given yet. 0 or a negative errno. */
int links_read(struct links *links, unsigned reader, const struct link **ret_items, size_t *ret_count);

/* links_epoch: a number that stays the same from dump to dump while the kernel tells of no change of a device
 * (its counters apart), at most a minute; 0: it cannot tell. */
uint64_t links_epoch(const struct links *links);

#endif
