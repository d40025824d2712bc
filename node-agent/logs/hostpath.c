#include "node-agent/logs/hostpath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The link's target as the host names it: a relative one begins where the link stands, which has the same
 * path on the host. */
static int read_target(const char *path, char target[PATH_MAX])
{
    char link[PATH_MAX];
    ssize_t len = readlink(path, link, sizeof link - 1);
    const char *slash = strrchr(path, '/');
    if (len < 0)
        return -ENOENT; /* no link, so what was told of path stands */
    link[len] = '\0';
    int folder_len = link[0] == '/' || !slash ? 0 : (int)(slash - path + 1);
    return snprintf(target, PATH_MAX, "%.*s%s", folder_len, path, link) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int open_below(const char *root, const char *target, int flags)
{
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT};
    char path[PATH_MAX];
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -ENOENT;
    long fd = syscall(SYS_openat2, root_fd, target, &how, sizeof how);
    int err = fd < 0 ? -errno : 0;
    close(root_fd);
    if (err != -ENOSYS)
        return err < 0 ? err : (int)fd;
    if (snprintf(path, sizeof path, "%s/%s", root, target) >= (int)sizeof path)
        return -ENAMETOOLONG;
    fd = open(path, flags);
    return fd < 0 ? -errno : (int)fd;
}

int hostpath_open(const char *host_root, const char *path, int flags)
{
    char target[PATH_MAX];
    flags |= O_CLOEXEC;
    if (!(flags & O_PATH))
        flags |= O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags);
    int err = fd < 0 ? -errno : 0;
    if (err != -ENOENT || !host_root || strcmp(host_root, "") == 0 || strcmp(host_root, "/") == 0)
        return err < 0 ? err : fd;
    err = read_target(path, target);
    return err < 0 ? err : open_below(host_root, target, flags);
}

int hostpath_stat(const char *host_root, const char *path, struct stat *ret_st)
{
    struct stat st;
    int err = stat(path, &st) < 0 ? -errno : 0;
    if (err == -ENOENT) {
        int fd = hostpath_open(host_root, path, O_PATH);
        if (fd < 0)
            return fd;
        err = fstat(fd, &st) < 0 ? -errno : 0;
        close(fd);
    }
    if (err == 0)
        *ret_st = st;
    return err;
}
