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

enum { MAX_LINKS = 40 }; /* as the kernel follows at most: path_resolution(7) */

/* Where the link leads: a relative target begins where the link stands. -ENOENT: it is no link. */
static int read_target(const char *path, char target[PATH_MAX])
{
    char link[PATH_MAX];
    ssize_t len = readlink(path, link, sizeof link - 1);
    const char *slash = strrchr(path, '/');
    if (len < 0)
        return -ENOENT;
    link[len] = '\0';
    int folder_len = link[0] == '/' || !slash ? 0 : (int)(slash - path + 1);
    return snprintf(target, PATH_MAX, "%.*s%s", folder_len, path, link) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* What the host calls a path of here: the same, but for the root's own path where that stands before it. */
static const char *name_on_host(const char *root, const char *path)
{
    size_t len = strlen(root);
    while (len > 0 && root[len - 1] == '/')
        len--;
    return strncmp(path, root, len) == 0 && path[len] == '/' ? path + len : path;
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

/* Each link of the chain is looked for below the host's root, and followed here while it stands here. */
static int follow(const char *root, const char *path, int flags)
{
    char link[PATH_MAX], target[PATH_MAX];
    if (strlen(path) >= sizeof link)
        return -ENAMETOOLONG;
    strcpy(link, path);
    for (int i = 0; i < MAX_LINKS; i++) {
        int err = read_target(link, target);
        if (err < 0)
            return err; /* no link: what was told of the path stands */
        int fd = open_below(root, name_on_host(root, target), flags);
        if (fd != -ENOENT)
            return fd;
        strcpy(link, target);
    }
    return -ELOOP;
}

int hostpath_open(const char *host_root, const char *path, int flags)
{
    flags |= O_CLOEXEC;
    if (!(flags & O_PATH))
        flags |= O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags);
    int err = fd < 0 ? -errno : 0;
    if (err != -ENOENT || !host_root || strcmp(host_root, "") == 0 || strcmp(host_root, "/") == 0)
        return err < 0 ? err : fd;
    return follow(host_root, path, flags);
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
