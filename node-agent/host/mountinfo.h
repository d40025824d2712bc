/* mountinfo.h - the mounts of the host's first process: /proc/1/mountinfo (proc(5)), or the own process'
 * where that is hidden.
 *
 * A line, separated by single blanks: id, parent, major:minor, root, mount point, options, optional fields,
 * "-", type, source, options of the file system. One thread at a time.
 */
#ifndef NODE_AGENT_MOUNTINFO_H
#define NODE_AGENT_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

struct mount {
    const char *device, *point, *type, *major, *minor; /* valid UTF-8; point as seen below the root folder */
    bool read_only;
    bool may_hang; /* asking it leads through a mount of a type that the kernel does not answer by itself */
};

struct mountinfo;

/* mountinfo_new: procfs is copied. wanted(ctx, mount) says which mounts to show; root is taken off the mount
 * points ("/": nothing is). NULL when memory is out. */
struct mountinfo *mountinfo_new(const char *procfs, const char *root,
                                bool (*wanted)(void *ctx, const struct mount *mount), void *ctx);
void mountinfo_free(struct mountinfo *mountinfo); /* NULL is fine */

/* mountinfo_read: the wanted mounts in their order, without repeats of the same device, point and type;
 * borrowed until the next call. The file is read again when the kernel tells of a change, and after half a
 * minute: it does not tell when a file system turned read-only by itself. 0, -EINVAL (not such lines), or a
 * negative errno. */
int mountinfo_read(struct mountinfo *mountinfo, const struct mount **ret_mounts, size_t *ret_count);

#endif
