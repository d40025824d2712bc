/* access_why.h - says in words why a path cannot be read, and what is missing: which user, capability or
 * label.
 *
 * Looks at the path's folders in turn, at their owners and modes, at this process's user, groups and
 * effective capabilities (/proc/self/status, CapEff; capabilities(7)), and, where the mode would allow it, at
 * the labels of SELinux (the extended attribute security.selinux and /proc/self/attr/current). Blocks on the
 * file system.
 */
#ifndef NODE_AGENT_ACCESS_WHY_H
#define NODE_AGENT_ACCESS_WHY_H

#include "base/buf.h"

/* access_why_tell: appends one line without its end. err: the negative errno of opening, reading or listing
 * path, or of making files in the folder path. 0 or what buf_append says. */
enum access_why { ACCESS_READ, ACCESS_WRITE };
int access_why_tell(const char *path, enum access_why use, int err, struct buf *out);

/* access_why_is_folder: whether path is a folder that can be listed. */
bool access_why_is_folder(const char *path);

#endif
