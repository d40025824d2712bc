/* mount_probe.h - statfs(2) with a deadline: a mount that hangs costs the caller its timeout once, and a
 * thread until it answers.
 *
 * A probe asks on a thread of its own. When the deadline passes that thread is left behind with its mount,
 * which is reported as stuck without being asked again until the thread comes back; the next mount is asked
 * on a new thread. At most MOUNT_PROBE_STUCK threads are left behind; past that no mount is asked. One
 * caller's thread at a time.
 */
#ifndef NODE_AGENT_MOUNT_PROBE_H
#define NODE_AGENT_MOUNT_PROBE_H

#include <stdint.h>
#include <sys/vfs.h>

enum { MOUNT_PROBE_STUCK = 16 };

struct mount_probe;

/* mount_probe_new: ask is statfs(2) or what stands for it: 0, or -1 with errno. 0 or -ENOMEM. */
int mount_probe_new(int (*ask)(const char *path, struct statfs *ret_statfs), struct mount_probe **ret_probe);

/* mount_probe_get: 0 with *ret_statfs, -ETIMEDOUT (stuck, now or from before), or ask's negative errno. */
int mount_probe_get(struct mount_probe *probe, const char *path, int64_t timeout_ms,
                    struct statfs *ret_statfs);

/* mount_probe_free: threads that are stuck free what is theirs when they come back. NULL is fine. */
void mount_probe_free(struct mount_probe *probe);

#endif
