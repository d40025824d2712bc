/* disk_calls.h - writes, syncs and truncations that stand before the C library's, for SQLite too.
 *
 * Who includes it, once in a program or a library, says in fails() which of them fail, with what errno.
 */
#ifndef TESTS_PRELOAD_DISK_CALLS_H
#define TESTS_PRELOAD_DISK_CALLS_H

#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* fails: whether this call is to fail; errno is set then. Any thread. */
static bool fails(int fd);

ssize_t pwrite(int fd, const void *from, size_t len, off_t at);
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at);
int fsync(int fd);
int fdatasync(int fd);
int ftruncate(int fd, off_t len);
int ftruncate64(int fd, off64_t len);

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    return fails(fd) ? -1 : syscall(SYS_pwrite64, fd, from, len, at);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at)
{
    return fails(fd) ? -1 : syscall(SYS_pwrite64, fd, from, len, at);
}

int fsync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
    return fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off64_t len)
{
    return fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

#endif
