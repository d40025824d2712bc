/* failing_disk.c - a disk that fails on demand, for a program under test: LD_PRELOAD it.
 *
 * FAILING_DISK_FOLDER: only files in it fail. FAILING_DISK_CONTROL: a file of four 32-bit numbers of the
 * host's byte order, read at every call, so that the test switches the fault on and off while the program
 * runs: the errno (0: the disk works), every how manieth call fails, and, written here, the calls seen and
 * the calls failed while it was on. Calls are writes, syncs and truncations. tests/e2e/lib/failing_disk.py is
 * the other side.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/preload/disk_calls.h"

struct control {
    atomic_int error, every, calls, failed;
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAILING_DISK_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    folder = getenv("FAILING_DISK_FOLDER");
    if (fd < 0 || !folder)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    control = at == MAP_FAILED ? NULL : at;
    close(fd);
}

static bool is_in_folder(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(folder);
    return len > (ssize_t)prefix && !memcmp(path, folder, prefix) && path[prefix] == '/';
}

static bool fails(int fd)
{
    int error = control ? atomic_load(&control->error) : 0, every = error ? atomic_load(&control->every) : 0;
    if (every <= 0 || !is_in_folder(fd) || (atomic_fetch_add(&control->calls, 1) + 1) % every)
        return false;
    atomic_fetch_add(&control->failed, 1);
    errno = error;
    return true;
}
