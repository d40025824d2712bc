#include "base/conf/config_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"

struct sight { /* what stat says of the file behind the path */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct config_watch {
    const char *path; /* borrowed */
    void (*changed)(void *ctx, bool is_in_force);
    void *ctx;
    struct config_mark in_force, seen;
    struct sight last;
    bool is_settling; /* it was another one at the last look */
    uv_timer_t tick;
};

static int read_all(int fd, struct buf *out)
{
    enum { STEP = 16 * 1024 };
    for (;;) {
        int err = buf_reserve(out, STEP);
        if (err < 0)
            return err;
        ssize_t n = read(fd, out->ptr + out->len, STEP);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
    }
}

static int read_mark(const char *path, struct config_mark *ret_mark)
{
    struct buf content;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    buf_init(&content, CONFIG_WATCH_BYTES);
    int err = read_all(fd, &content);
    if (err == 0)
        *ret_mark = (struct config_mark){crc32c(buf_bytes(&content)), content.len};
    buf_fini(&content);
    close(fd);
    return err;
}

struct config_mark config_mark_read(const char *path)
{
    struct config_mark mark = {0, 0};
    read_mark(path, &mark);
    return mark;
}

static bool is_equal(struct config_mark a, struct config_mark b)
{
    return a.crc == b.crc && a.bytes == b.bytes;
}

static bool is_same_sight(const struct sight *a, const struct sight *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void look_at_content(struct config_watch *watch)
{
    struct config_mark now;
    if (read_mark(watch->path, &now) < 0 || is_equal(now, watch->seen))
        return;
    watch->seen = now;
    watch->changed(watch->ctx, is_equal(now, watch->in_force));
}

static void on_tick(uv_timer_t *timer)
{
    struct config_watch *watch = timer->data;
    struct stat st;
    if (stat(watch->path, &st) < 0)
        return;
    struct sight now = {st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
    if (!is_same_sight(&now, &watch->last)) {
        watch->last = now;
        watch->is_settling = true;
    } else if (watch->is_settling) {
        watch->is_settling = false;
        look_at_content(watch);
    }
}

int config_watch_new(uv_loop_t *loop, const char *path, struct config_mark in_force,
                     void (*changed)(void *ctx, bool is_in_force), void *ctx, struct config_watch **ret_watch)
{
    struct config_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->path = path;
    watch->changed = changed;
    watch->ctx = ctx;
    watch->in_force = watch->seen = in_force;
    uv_timer_init(loop, &watch->tick);
    watch->tick.data = watch;
    uv_timer_start(&watch->tick, on_tick, CONFIG_WATCH_MS, CONFIG_WATCH_MS);
    *ret_watch = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void config_watch_close(struct config_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->tick, on_closed);
}
