#include "base/start_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int tell(const char *key, const char *what, const char *name, int err, struct buf *errors)
{
    (void)buf_printf(errors, "%s: %s %s: %s\n", key, what, name, strerror(-err));
    return err;
}

/* ---- addresses */

static const char *port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon ? colon + 1 : "";
}

/* Whether the program listens on this port itself, on whichever address. */
static bool is_ours(const char *port, const char *const *in_use)
{
    for (; *in_use; in_use++)
        if (strcmp(port_of(*in_use), port) == 0)
            return true;
    return false;
}

static int split(const char *address, char *host, size_t size)
{
    const char *scheme = strstr(address, "://"), *begin = scheme ? scheme + 3 : address;
    const char *colon = strrchr(begin, ':');
    size_t len = colon ? (size_t)(colon - begin) : size;
    if (len >= 2 && begin[0] == '[' && begin[len - 1] == ']') {
        begin++;
        len -= 2;
    }
    if (len >= size)
        return -EINVAL;
    memcpy(host, begin, len);
    host[len] = '\0';
    return 0;
}

static int try_to_listen(const struct addrinfo *at)
{
    int on = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
                      bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, 1) < 0
                  ? -errno
                  : 0;
    close(fd);
    return err;
}

int start_probe_listen(const char *key, const char *address, const char *const *in_use, struct buf *errors)
{
    char host[256];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *port = port_of(address);
    if (!*address)
        return 0;
    if (is_ours(port, in_use)) /* it will be free; the host is still to be one of this machine */
        port = "0";
    int err = split(address, host, sizeof host);
    if (err == 0 && getaddrinfo(*host && strcmp(host, "*") != 0 ? host : NULL, port, &hints, &found) != 0)
        err = -EADDRNOTAVAIL;
    if (err == 0) {
        err = try_to_listen(found);
        freeaddrinfo(found);
    }
    return err < 0 ? tell(key, "cannot listen on", address, err, errors) : 0;
}

/* ---- files */

/* The path up to the last folder of it that is there. 0 or a negative errno. */
static int find_existing(char *path, struct stat *ret_st)
{
    while (stat(path, ret_st) < 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT)
            return -errno;
        if (!slash)
            strcpy(path, ".");
        else
            slash[slash == path] = '\0';
    }
    return 0;
}

/* By doing it: root may do what a file system does not. */
static int try_to_make(const char *folder)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/.tributary-XXXXXX", folder);
    if (!mkdtemp(path))
        return -errno;
    return rmdir(path) < 0 ? -errno : 0;
}

int start_probe_folder(const char *key, const char *path, struct buf *errors)
{
    char at[PATH_MAX];
    struct stat st;
    if (!*path)
        return 0;
    int err = snprintf(at, sizeof at, "%s", path) < (int)sizeof at ? find_existing(at, &st) : -ENAMETOOLONG;
    if (err == 0)
        err = S_ISDIR(st.st_mode) ? try_to_make(at) : -ENOTDIR;
    return err < 0 ? tell(key, "cannot write to", path, err, errors) : 0;
}

int start_probe_file(const char *key, const char *path, struct buf *errors)
{
    if (!*path)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tell(key, "cannot read", path, -errno, errors);
    close(fd);
    return 0;
}
