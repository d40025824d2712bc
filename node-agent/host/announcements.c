#include "node-agent/host/announcements.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"

enum { KERNEL_GROUP = 1, ROOM_BYTES = 16384, MESSAGE_BYTES = 64, SETTLE_S = 2, RENEW_S = 60 };

struct announcements {
    int fd; /* -1: cannot be relied upon */
    uint64_t epoch;
    int64_t announced_ns, renewed_ns; /* the last announcement; the beginning of the epoch */
};

static bool is_of(const char *path, unsigned long magic)
{
    struct statfs s;
    return statfs(path, &s) == 0 && (unsigned long)s.f_type == magic;
}

/* Only there every network namespace of the first user namespace is told of all devices. */
static bool is_first_user_namespace(void)
{
    unsigned long inside = 1, outside = 1, count = 0;
    FILE *f = fopen("/proc/self/uid_map", "re");
    bool read = f && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3;
    if (f)
        fclose(f);
    return read && inside == 0 && outside == 0 && count == UINT32_MAX;
}

static int open_socket(void)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    const int room = ROOM_BYTES; /* past it one error stands for all */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

struct announcements *announcements_new(const char *procfs, const char *sysfs)
{
    struct announcements *announcements = calloc(1, sizeof *announcements);
    if (!announcements)
        return NULL;
    bool reliable = is_of(procfs, PROC_SUPER_MAGIC) && is_of(sysfs, SYSFS_MAGIC) && is_first_user_namespace();
    announcements->fd = reliable ? open_socket() : -1;
    announcements->announced_ns = -SETTLE_S * INT64_C(1000000000);
    return announcements;
}

void announcements_free(struct announcements *announcements)
{
    if (!announcements)
        return;
    if (announcements->fd >= 0)
        close(announcements->fd);
    free(announcements);
}

/* Takes all that came; whether there was any, or more than there was room for. */
static bool was_announced(int fd)
{
    char message[MESSAGE_BYTES]; /* what it says does not matter */
    bool any = false;
    for (;;) {
        ssize_t n = recv(fd, message, sizeof message, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return any;
        any = true;
        if (n < 0 && errno != EINTR && errno != ENOBUFS)
            return any;
    }
}

uint64_t announcements_epoch(struct announcements *announcements)
{
    if (announcements->fd < 0)
        return 0;
    int64_t now_ns = clock_mono_ns();
    if (was_announced(announcements->fd)) {
        announcements->announced_ns = now_ns;
        announcements->epoch++;
    }
    if (now_ns - announcements->announced_ns < SETTLE_S * INT64_C(1000000000))
        return 0;
    if (announcements->epoch == 0 || now_ns - announcements->renewed_ns > RENEW_S * INT64_C(1000000000)) {
        announcements->renewed_ns = now_ns;
        announcements->epoch++;
    }
    return announcements->epoch;
}
