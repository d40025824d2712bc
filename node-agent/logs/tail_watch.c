#include "node-agent/logs/tail_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "node-agent/logs/tail.h"

enum { EVENTS_SIZE = 16 * 1024, ROUND_READS = 64 };

struct watched {
    int wd;
    void *owner; /* borrowed */
};

struct tail_watch {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    tail_watch_fn *fn;
    void *ctx;
    struct watched *watched; /* owned; by wd, which only grow */
    size_t count, cap;
    int closing;
};

static struct watched *find(struct tail_watch *w, int wd)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->watched[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->count && w->watched[low].wd == wd ? &w->watched[low] : NULL;
}

static void forget(struct tail_watch *w, struct watched *at)
{
    size_t behind = w->count - (size_t)(at - w->watched) - 1;
    memmove(at, at + 1, behind * sizeof *at);
    w->count--;
}

static void tell(struct tail_watch *w, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        w->fn(w->ctx, NULL, -1, TAIL_OVERFLOW);
        return;
    }
    struct watched *at = find(w, event->wd);
    if (!at)
        return;
    void *owner = at->owner;
    enum tail_watch_change change = event->mask & IN_MODIFY ? TAIL_WROTE : TAIL_CHANGED;
    if (event->mask & IN_IGNORED) {
        forget(w, at);
        change = TAIL_GONE;
    }
    w->fn(w->ctx, owner, event->wd, change);
}

static ssize_t read_events(struct tail_watch *w)
{
    _Alignas(struct inotify_event) char events[EVENTS_SIZE];
    ssize_t n = read(w->fd, events, sizeof events);
    for (char *p = events; n > 0 && p < events + n;) {
        const struct inotify_event *event = (const void *)p;
        tell(w, event);
        p += sizeof *event + event->len;
    }
    return n;
}

static void on_events(uv_poll_t *poll, int status, int events);

static void on_pause_end(uv_timer_t *timer)
{
    struct tail_watch *w = timer->data;
    uv_poll_start(&w->poll, UV_READABLE, on_events);
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct tail_watch *w = poll->data;
    (void)status;
    (void)events;
    int reads = 0;
    while (reads < ROUND_READS && read_events(w) > 0)
        reads++;
    uv_poll_stop(poll);
    uv_timer_start(&w->pause, on_pause_end, TAIL_PAUSE_MS, 0);
    w->fn(w->ctx, NULL, -1, TAIL_ROUND_END);
}

int tail_watch_new(uv_loop_t *loop, tail_watch_fn *fn, void *ctx, struct tail_watch **ret_watch)
{
    struct tail_watch *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct tail_watch){.fn = fn, .ctx = ctx, .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    int err = w->fd < 0 ? -errno : uv_poll_init(loop, &w->poll, w->fd);
    if (err < 0) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return err;
    }
    uv_timer_init(loop, &w->pause);
    w->poll.data = w->pause.data = w;
    uv_poll_start(&w->poll, UV_READABLE, on_events);
    *ret_watch = w;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct tail_watch *w = handle->data;
    if (--w->closing > 0)
        return;
    close(w->fd);
    free(w->watched);
    free(w);
}

void tail_watch_close(struct tail_watch *w)
{
    if (!w)
        return;
    w->closing = 2;
    uv_close((uv_handle_t *)&w->poll, on_closed);
    uv_close((uv_handle_t *)&w->pause, on_closed);
}

static int note(struct tail_watch *w, int wd, void *owner)
{
    struct watched *at = find(w, wd);
    if (at) {
        at->owner = owner;
        return 0;
    }
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        struct watched *bigger = realloc(w->watched, cap * sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        w->watched = bigger;
        w->cap = cap;
    }
    size_t i = w->count++;
    for (; i > 0 && w->watched[i - 1].wd > wd; i--)
        w->watched[i] = w->watched[i - 1];
    w->watched[i] = (struct watched){wd, owner};
    return 0;
}

int tail_watch_add(struct tail_watch *w, const char *path, bool writes, void *owner, int *ret_wd)
{
    uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                    (writes ? IN_MODIFY : 0);
    int wd = inotify_add_watch(w->fd, path, mask);
    int err = wd < 0 ? -errno : note(w, wd, owner);
    if (err < 0)
        return err;
    *ret_wd = wd;
    return 0;
}

void tail_watch_drop(struct tail_watch *w, const void *owner)
{
    for (size_t i = 0; i < w->count;) {
        if (w->watched[i].owner != owner) {
            i++;
            continue;
        }
        inotify_rm_watch(w->fd, w->watched[i].wd);
        forget(w, &w->watched[i]);
    }
}
