#include "node-agent/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct state_lock {
    int fd;
    bool is_held;
    uv_timer_t retry;
    void (*taken)(void *ctx);
    void *ctx;
};

static int open_file(const char *folder, int *ret_fd)
{
    char path[PATH_MAX];
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (snprintf(path, sizeof path, "%s/lock", folder) >= (int)sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/* 0, or -EWOULDBLOCK: somebody else holds it. */
static int try(struct state_lock *lock)
{
    if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    lock->is_held = true;
    uv_timer_stop(&lock->retry);
    return 0;
}

static void on_retry(uv_timer_t *timer)
{
    struct state_lock *lock = timer->data;
    if (try(lock) == 0)
        lock->taken(lock->ctx);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int state_lock_new(uv_loop_t *loop, const char *folder, void (*taken)(void *ctx), void *ctx,
                   struct state_lock **ret_lock)
{
    struct state_lock *lock = calloc(1, sizeof *lock);
    if (!lock)
        return -ENOMEM;
    *lock = (struct state_lock){.taken = taken, .ctx = ctx};
    int err = open_file(folder, &lock->fd);
    if (err < 0) {
        free(lock);
        return err;
    }
    uv_timer_init(loop, &lock->retry);
    lock->retry.data = lock;
    err = try(lock);
    if (err < 0 && err != -EWOULDBLOCK && err != -EINTR) {
        state_lock_close(lock);
        return err;
    }
    if (err < 0)
        uv_timer_start(&lock->retry, on_retry, STATE_LOCK_RETRY_MS, STATE_LOCK_RETRY_MS);
    *ret_lock = lock;
    return 0;
}

bool state_lock_is_held(const struct state_lock *lock)
{
    return lock->is_held;
}

void state_lock_close(struct state_lock *lock)
{
    if (!lock)
        return;
    close(lock->fd);
    uv_close((uv_handle_t *)&lock->retry, on_closed);
}
