#include "base/passed_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define VARIABLE "TRIBUTARY_SOCKETS"
enum { VARIABLE_BYTES = 120 * 1024, FIRST_FD = 3 }; /* the kernel takes 128 KiB of one variable */

struct passed {
    enum passed_socket kind;
    char *address; /* owned */
    int fd;        /* owned */
};

static struct passed table[PASSED_SOCKETS_MAX];
static size_t count;
static bool is_on;

static int add(enum passed_socket kind, const char *address, size_t len, int fd)
{
    char *copy = count < PASSED_SOCKETS_MAX ? strndup(address, len) : NULL;
    if (!copy)
        return count < PASSED_SOCKETS_MAX ? -ENOMEM : -ENOSPC;
    table[count++] = (struct passed){kind, copy, fd};
    return 0;
}

void passed_sockets_begin(void)
{
    is_on = true;
}

bool passed_sockets_is_on(void)
{
    return is_on;
}

int passed_sockets_keep(enum passed_socket kind, const char *address, int fd)
{
    if (!is_on)
        return 0;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (copy < 0)
        return -errno;
    int err = add(kind, address, strlen(address), copy);
    if (err < 0)
        close(copy);
    return err;
}

void passed_sockets_export(void)
{
    struct buf text;
    buf_init(&text, VARIABLE_BYTES);
    for (size_t i = 0; i < count; i++)
        if (fcntl(table[i].fd, F_SETFD, 0) < 0 ||
            buf_printf(&text, "%c%d=%s ", (char)table[i].kind, table[i].fd, table[i].address) < 0)
            fcntl(table[i].fd, F_SETFD, FD_CLOEXEC);
    if (text.len && buf_append(&text, "", 1) == 0)
        setenv(VARIABLE, (const char *)text.ptr, 1);
    buf_fini(&text);
}

/* One entry, "l5=ADDRESS". */
static void adopt(const char *entry, size_t len)
{
    struct stat st;
    char *end;
    long fd = strtol(entry + 1, &end, 10);
    if ((*entry != PASSED_LISTENER && *entry != PASSED_CONNECTION) || *end != '=' || end >= entry + len ||
        fd < FIRST_FD || fd > INT_MAX || fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    if (add((enum passed_socket) * entry, end + 1, (size_t)(entry + len - end - 1), (int)fd) < 0)
        close((int)fd);
}

void passed_sockets_adopt(void)
{
    const char *at = getenv(VARIABLE);
    while (at && *at) {
        size_t len = strcspn(at, " ");
        adopt(at, len);
        at += len + strspn(at + len, " ");
    }
    unsetenv(VARIABLE);
}

int passed_sockets_take(enum passed_socket kind, const char *address)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].kind != kind || strcmp(table[i].address, address) != 0)
            continue;
        int fd = table[i].fd;
        free(table[i].address);
        table[i] = table[--count];
        return fd;
    }
    return -1;
}

void passed_sockets_close_rest(void)
{
    while (count) {
        struct passed *last = &table[--count];
        close(last->fd);
        free(last->address);
    }
}
