/* announcements.h - whether the kernel has announced a change of devices or modules: what it tells udev
 * (uevents, by netlink(7), NETLINK_KOBJECT_UEVENT; Linux' lib/kobject_uevent.c).
 *
 * Folders of /sys and files of /proc that are there only with some module or device need not be looked for
 * again while nothing was announced. One thread at a time.
 */
#ifndef NODE_AGENT_ANNOUNCEMENTS_H
#define NODE_AGENT_ANNOUNCEMENTS_H

#include <stdint.h>

struct announcements;

/* announcements_new: procfs and sysfs are where the host's are. Opens the socket. NULL when memory is out. */
struct announcements *announcements_new(const char *procfs, const char *sysfs);
void announcements_free(struct announcements *announcements); /* NULL is fine */

/* announcements_epoch: a number that stays the same while nothing was announced, at most a minute; 0 where
 * that cannot be relied upon: just after an announcement (a module is announced before it starts), below
 * folders that are no /proc or /sys, in a user namespace (it is told nothing), without the socket. */
uint64_t announcements_epoch(struct announcements *announcements);

#endif
