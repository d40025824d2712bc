#include "node-agent/logs/tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "node-agent/logs/hostpath.h"
#include "node-agent/logs/podpath.h"
#include "node-agent/logs/tail_host.h"
#include "node-agent/logs/tail_set.h"
#include "node-agent/logs/tail_watch.h"

enum level { ROOT, POD, CONTAINER };

enum { HOT_ROUNDS = 5, COOL_MS = 1000 }; /* written to in so many rounds on end; not written to for so long */
#define MS INT64_C(1000000)

struct folder { /* one of the tree under the root */
    struct folder *next, *children;
    struct folder *parent;
    struct tail *tail;
    char *name, *path; /* owned */
    enum level level;
    int wd;                  /* of its inotify watch; -1: none */
    bool seen;               /* in the listing of its parent */
    bool changed;            /* to be listed again */
    bool is_polled;          /* written to all the time: looked at by the clock, no writes are reported */
    unsigned hot_rounds;     /* on end, in which it was written to */
    int64_t wrote_ns;        /* the last of them, or when a polled file was seen to grow; monotonic */
    struct tail_owner owner; /* of a container's logs */
};

struct tail {
    struct tail_options options;
    struct tail_watch *watch;
    uv_timer_t timer, poll;
    int closing;
    struct folder *root;
    struct tail_set set;
    struct tail_host *host; /* owned; NULL: no host files */
};

/* A folder's watch tells of writes to its own files; a symlink's target needs a watch of its own. */
static void watch_link(struct folder *folder, const char *path)
{
    struct stat st;
    char target[32];
    int wd;
    if (!folder->tail->watch || lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
        return;
    int fd = hostpath_open(folder->tail->options.host_root, path, O_PATH);
    if (fd < 0)
        return;
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    tail_watch_add(folder->tail->watch, target, true, folder, &wd);
    close(fd);
}

static void see_zipped(struct folder *folder, const char *name)
{
    struct podpath_file parsed;
    char plain[NAME_MAX + 1];
    if (podpath_parse_file(name, &parsed) < 0 || !parsed.zipped)
        return;
    snprintf(plain, sizeof plain, "%.*s", (int)(strlen(name) - strlen(PODPATH_ZIPPED)), name);
    tail_set_see_zipped(&folder->tail->set, &folder->owner, plain, parsed.restart);
}

/* True when it is to be seen when all others were. */
static bool see_file(struct folder *folder, const char *name)
{
    struct podpath_file parsed;
    struct stat st;
    char path[PATH_MAX];
    if (podpath_parse_file(name, &parsed) < 0)
        return false;
    if (parsed.zipped)
        return true;
    if (snprintf(path, sizeof path, "%s/%s", folder->path, name) >= (int)sizeof path ||
        hostpath_stat(folder->tail->options.host_root, path, &st) < 0)
        return false;
    if (!parsed.rotated)
        watch_link(folder, path);
    tail_set_see(&folder->tail->set, &folder->owner, name, parsed.restart, &st);
    return false;
}

static void unsee(struct folder *folder)
{
    for (struct folder *c = folder->children; c; c = c->next)
        c->seen = false;
    tail_set_unsee(&folder->tail->set, &folder->owner);
}

static void scan(struct folder *folder);

static void watch(struct folder *folder)
{
    struct tail *t = folder->tail;
    int err = 0;
    if (folder->wd < 0 && t->watch)
        err = tail_watch_add(t->watch, folder->path, folder->level == CONTAINER && !folder->is_polled, folder,
                             &folder->wd);
    if (err < 0 && err != -ENOENT) /* out of watches: rescans still find what is new */
        stats_add(t->options.errors, 1);
}

static struct folder *new_folder(struct tail *t, struct folder *parent, const char *name)
{
    struct folder *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    *f = (struct folder){.parent = parent, .tail = t, .wd = -1, .seen = true, .level = ROOT};
    f->name = strdup(name);
    if (parent) {
        f->level = parent->level + 1;
        if (asprintf(&f->path, "%s/%s", parent->path, name) < 0)
            f->path = NULL;
        f->next = parent->children;
    } else {
        f->path = strdup(name);
    }
    if (!f->name || !f->path) {
        free(f->name);
        free(f->path);
        free(f);
        return NULL;
    }
    f->owner =
        (struct tail_owner){.path = f->path, .pod_folder = parent ? parent->name : "", .container = f->name};
    if (parent)
        parent->children = f;
    return f;
}

static void free_folder(struct folder *f)
{
    for (struct folder *c = f->children, *next; c; c = next) {
        next = c->next;
        free_folder(c);
    }
    if (f->tail->watch)
        tail_watch_drop(f->tail->watch, f);
    free(f->name);
    free(f->path);
    free(f);
}

static void see_folder(struct folder *parent, const char *name)
{
    struct podpath path;
    struct folder *f = parent->children;
    if (name[0] == '.' || (parent->level == ROOT && podpath_parse_folder(name, &path) < 0))
        return;
    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    if (!f)
        f = new_folder(parent->tail, parent, name);
    if (!f)
        return;
    f->seen = true;
    scan(f);
}

/* Whether the folder, or one below, still has a log that is being read. */
static bool is_in_use(const struct folder *folder)
{
    bool used = tail_set_has(&folder->tail->set, &folder->owner);
    for (const struct folder *c = folder->children; c && !used; c = c->next)
        used = is_in_use(c);
    return used;
}

static void drop_unseen(struct folder *folder)
{
    for (struct folder **link = &folder->children; *link;) {
        struct folder *c = *link;
        if (!c->seen)
            scan(c); /* what it still lists is nothing: its files become unlinked */
        if (c->seen || is_in_use(c)) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        free_folder(c);
    }
}

/* Sees what the folder holds. False when that cannot be told now. */
static bool list(struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    if (!dir && errno != ENOENT && errno != ENOTDIR) {
        stats_add(folder->tail->options.errors, 1);
        return false;
    }
    bool zipped = false;
    unsee(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (folder->level == CONTAINER)
            zipped |= see_file(folder, e->d_name);
        else
            see_folder(folder, e->d_name);
    }
    if (zipped)
        rewinddir(dir);
    for (struct dirent *e; zipped && (e = readdir(dir));)
        see_zipped(folder, e->d_name);
    if (dir)
        closedir(dir);
    return true;
}

static void scan(struct folder *folder)
{
    folder->changed = false;
    watch(folder);
    if (!list(folder))
        return;
    if (folder->level == CONTAINER)
        tail_set_seen(&folder->tail->set, &folder->owner, clock_mono_ns());
    else
        drop_unseen(folder);
}

/* ---- the whole ---- */

void tail_rescan(struct tail *t)
{
    tail_set_tidy(&t->set, clock_mono_ns());
    scan(t->root);
    if (t->host)
        tail_host_scan(t->host);
    tail_set_mark_dirty(&t->set);
}

static void on_poll(uv_timer_t *timer);

static void scan_changed(struct folder *folder)
{
    if (folder->changed) {
        scan(folder);
        return;
    }
    for (struct folder *c = folder->children, *next; c; c = next) {
        next = c->next;
        scan_changed(c);
    }
}

/* ---- folders that are written to all the time */

static void set_polled(struct folder *folder, bool is_polled)
{
    folder->is_polled = is_polled;
    folder->hot_rounds = 0;
    folder->wd = -1;
    watch(folder); /* the same watch, other reports */
}

/* A round of reports is over in which the folder was written to. */
static void note_written(struct folder *folder, int64_t now_ns)
{
    bool is_on_end = now_ns - folder->wrote_ns < 2 * TAIL_PAUSE_MS * MS;
    folder->hot_rounds = is_on_end ? folder->hot_rounds + 1 : 1;
    folder->wrote_ns = now_ns;
    if (folder->hot_rounds >= HOT_ROUNDS && folder->wd >= 0) {
        set_polled(folder, true);
        uv_timer_t *poll = &folder->tail->poll;
        if (!uv_is_active((uv_handle_t *)poll))
            uv_timer_start(poll, on_poll, TAIL_PAUSE_MS, TAIL_PAUSE_MS);
    }
}

/* Whether there is more than what the clock will look at shortly anyway. */
static bool note_all_written(struct folder *folder, int64_t now_ns)
{
    bool has_written = folder->level == CONTAINER && folder->owner.wrote && !folder->is_polled;
    bool is_news = has_written || (folder->changed && !folder->is_polled);
    if (has_written)
        note_written(folder, now_ns);
    for (struct folder *c = folder->children; c; c = c->next)
        is_news |= note_all_written(c, now_ns);
    return is_news;
}

/* Its files are taken as written to. Once none has grown for a while, writes are reported again; what came
 * before they were is seen by this look. */
static bool poll_folders(struct folder *folder, int64_t now_ns)
{
    bool any = folder->is_polled;
    if (folder->is_polled) {
        folder->owner.wrote = true;
        if (now_ns - folder->wrote_ns > COOL_MS * MS) {
            if (tail_set_grew_ns(&folder->tail->set, &folder->owner, now_ns) > folder->wrote_ns)
                folder->wrote_ns = now_ns;
            else
                set_polled(folder, false);
        }
    }
    for (struct folder *c = folder->children; c; c = c->next)
        any |= poll_folders(c, now_ns);
    return any;
}

static void on_poll(uv_timer_t *timer)
{
    struct tail *t = timer->data;
    if (!poll_folders(t->root, clock_mono_ns()))
        uv_timer_stop(timer);
    tail_set_mark_written(&t->set);
    t->options.on_change(t->options.ctx);
}

static void end_round(struct tail *t)
{
    bool is_news = note_all_written(t->root, clock_mono_ns());
    tail_set_mark_written(&t->set);
    scan_changed(t->root);
    if (is_news)
        t->options.on_change(t->options.ctx);
}

static void on_watch(void *ctx, void *owner, int wd, enum tail_watch_change change)
{
    struct tail *t = ctx;
    struct folder *folder = owner;
    switch (change) {
    case TAIL_WROTE:
        folder->owner.wrote = true;
        break;
    case TAIL_GONE:
        folder->wd = folder->wd == wd ? -1 : folder->wd;
        folder->owner.wrote = folder->changed = true;
        break;
    case TAIL_CHANGED:
        folder->owner.wrote = folder->changed = true;
        break;
    case TAIL_OVERFLOW:
        t->root->changed = true;
        tail_set_mark_dirty(&t->set);
        break;
    case TAIL_ROUND_END:
        end_round(t);
        break;
    }
}

static void on_host_round(void *ctx)
{
    struct tail *t = ctx;
    tail_set_mark_written(&t->set);
    t->options.on_change(t->options.ctx);
}

static void on_timer(uv_timer_t *timer)
{
    struct tail *t = timer->data;
    tail_rescan(t);
    t->options.on_change(t->options.ctx);
}

int tail_new(uv_loop_t *loop, const struct tail_options *options, struct tail **ret_tail)
{
    struct tail *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->options = *options;
    t->set.options = &t->options;
    t->root = new_folder(t, NULL, options->root);
    int err = t->root ? tail_watch_new(loop, on_watch, t, &t->watch) : -ENOMEM;
    if (err == 0 && options->files && options->files->count)
        err = tail_host_new(loop, options->files, &t->set, on_host_round, t, &t->host);
    if (err < 0) {
        tail_watch_close(t->watch);
        t->watch = NULL;
        if (t->root)
            free_folder(t->root);
        free(t);
        return err;
    }
    uv_timer_init(loop, &t->timer);
    uv_timer_init(loop, &t->poll);
    t->timer.data = t->poll.data = t;
    uv_timer_start(&t->timer, on_timer, (uint64_t)options->rescan_ms, (uint64_t)options->rescan_ms);
    tail_rescan(t);
    t->set.settled = true;
    *ret_tail = t;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct tail *t = handle->data;
    if (--t->closing == 0)
        free(t);
}

void tail_close(struct tail *t)
{
    if (!t)
        return;
    tail_set_fini(&t->set);
    tail_host_close(t->host);
    tail_watch_close(t->watch); /* ends all its watches; one by one they would take long */
    t->watch = NULL;
    free_folder(t->root);
    t->closing = 2;
    uv_close((uv_handle_t *)&t->timer, on_closed);
    uv_close((uv_handle_t *)&t->poll, on_closed);
}

void tail_set_linger(struct tail *t, int64_t linger_ns)
{
    t->options.linger_ns = linger_ns;
}

struct tail_log **tail_logs(struct tail *t, size_t *ret_count)
{
    *ret_count = t->set.count;
    return t->set.logs;
}

void tail_descriptors(const struct tail *t, size_t *ret_open, size_t *ret_max)
{
    *ret_open = t->set.open_files;
    *ret_max = t->options.max_files;
}

bool tail_has_dirty(const struct tail *t)
{
    for (size_t i = 0; i < t->set.count; i++)
        if (t->set.logs[i]->dirty)
            return true;
    return false;
}

bool tail_is_polling(const struct tail *t)
{
    return uv_is_active((const uv_handle_t *)&t->poll);
}

struct tail_file *tail_find(struct tail *t, const struct tail_key *key, struct tail_log **ret_log)
{
    return tail_set_find(&t->set, key, ret_log);
}
