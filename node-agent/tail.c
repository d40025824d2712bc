#include "node-agent/tail.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "node-agent/podpath.h"
#include "node-agent/tail_watch.h"

enum level { ROOT, POD, CONTAINER };

struct folder { /* one of the tree under the root */
    struct folder *next, *children;
    struct folder *parent;
    struct tail *tail;
    char *name, *path; /* owned */
    enum level level;
    int wd;       /* of its inotify watch; -1: none */
    bool seen;    /* in the listing of its parent */
    bool changed; /* to be listed again */
    bool wrote;   /* a file in it was written to */
};

struct owned_log {
    struct folder *folder;
    struct tail_log *log;
};

struct tail {
    struct tail_options options;
    struct tail_watch *watch;
    uv_timer_t timer;
    struct folder *root;
    struct tail_log **logs; /* owned, in no order; folders[i] is where logs[i] is */
    struct folder **folders;
    size_t log_count, log_cap, open_files;
};

/* ---- logs and files ---- */

static int add_log(struct tail *t, struct folder *folder, struct tail_log *log)
{
    if (t->log_count == t->log_cap) {
        size_t cap = t->log_cap ? 2 * t->log_cap : 64;
        struct tail_log **logs = realloc(t->logs, cap * sizeof(struct tail_log *));
        if (logs)
            t->logs = logs;
        struct folder **folders = realloc(t->folders, cap * sizeof(struct folder *));
        if (folders)
            t->folders = folders;
        if (!logs || !folders)
            return -ENOMEM;
        t->log_cap = cap;
    }
    t->folders[t->log_count] = folder;
    t->logs[t->log_count++] = log;
    return 0;
}

static struct tail_log *find_log(struct tail *t, const struct folder *folder, uint32_t restart)
{
    for (size_t i = 0; i < t->log_count; i++)
        if (t->folders[i] == folder && t->logs[i]->restart == restart)
            return t->logs[i];
    return NULL;
}

static struct tail_log *get_log(struct tail *t, struct folder *folder, uint32_t restart)
{
    struct tail_log *log = find_log(t, folder, restart);
    if (log)
        return log;
    if (tail_log_new(folder->path, folder->parent->name, folder->name, restart, t->options.labels,
                     t->options.max_line, &log) < 0)
        return NULL;
    if (add_log(t, folder, log) < 0) {
        tail_log_free(log);
        return NULL;
    }
    return log;
}

static void drop_log(struct tail *t, size_t i)
{
    tail_log_free(t->logs[i]);
    t->logs[i] = t->logs[--t->log_count];
    t->folders[i] = t->folders[t->log_count];
}

/* The file of the log that the name stands for now, by inode; a closed one may be another's inode by now. */
static struct tail_file *find_file(struct tail_log *log, const char *name, const struct stat *st)
{
    for (struct tail_file *f = log->files; f; f = f->next) {
        if (f->inode != st->st_ino || f->device != st->st_dev)
            continue;
        if (f->fd >= 0 || (strcmp(f->name, name) == 0 && f->size == (uint64_t)st->st_size) ||
            tail_file_is_at(f, log->folder, name))
            return f;
    }
    return NULL;
}

struct adoption {
    struct tail_file *file;
    char numbers[40]; /* what its key has between the names and the fingerprint */
    const char *key;
    uint32_t head_len;
};

static void consider(void *ctx, struct offset *at)
{
    struct adoption *a = ctx;
    struct tail_key key;
    if (strstr(at->key, a->numbers) && tail_file_parse_key(at->key, &key) == 0 &&
        key.head_len > a->head_len && tail_file_matches(a->file, &key)) {
        a->head_len = key.head_len;
        a->key = at->key;
    }
}

/* Gives a new file the identity that the offsets have for it, and the position that belongs to it. */
static void recognise(struct tail *t, struct tail_file *file)
{
    struct adoption a = {.file = file};
    snprintf(a.numbers, sizeof a.numbers, ":%" PRIx64 ":%" PRIx64 ":", (uint64_t)file->device,
             (uint64_t)file->inode);
    offsets_each(t->options.offsets, consider, &a);
    if (a.key && tail_file_adopt(file, a.key) == 0)
        tail_file_reset(file, t->options.offsets);
}

static struct tail_file *open_file(struct tail *t, struct tail_log *log, const char *name)
{
    struct tail_file *file, *added;
    int err = t->open_files >= t->options.max_files ? -EMFILE : tail_file_open(log->folder, name, &file);
    if (err < 0) {
        if (err != -ENOENT && err != -EINVAL)
            stats_add(t->options.errors, 1);
        return NULL;
    }
    t->open_files++;
    recognise(t, file);
    added = file;
    tail_log_take(log, &file);
    return added;
}

static void rename_file(struct tail_file *file, const char *name)
{
    char *copy = strcmp(file->name, name) ? strdup(name) : NULL;
    if (!copy)
        return;
    free(file->name);
    file->name = copy;
}

/* A folder's watch tells of writes to its own files; a symlink's target needs a watch of its own. */
static void watch_link(struct folder *folder, const char *path)
{
    struct stat st;
    int wd;
    if (folder->tail->watch && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        tail_watch_add(folder->tail->watch, path, true, folder, &wd);
}

static void see_file(struct folder *folder, const char *name)
{
    struct tail *t = folder->tail;
    struct podpath_file parsed;
    struct stat st;
    char path[PATH_MAX];
    if (podpath_parse_file(name, &parsed) < 0 ||
        snprintf(path, sizeof path, "%s/%s", folder->path, name) >= (int)sizeof path || stat(path, &st) < 0)
        return;
    if (!parsed.rotated)
        watch_link(folder, path);
    struct tail_log *log = get_log(t, folder, parsed.restart);
    if (!log)
        return;
    struct tail_file *file = find_file(log, name, &st);
    if (file)
        rename_file(file, name);
    else
        file = open_file(t, log, name);
    if (!file)
        return;
    if (file->fd < 0)
        file->size = (uint64_t)st.st_size;
    file->linked = true;
    file->live = !parsed.rotated;
    log->dirty = true;
}

/* ---- folders ---- */

static void scan(struct folder *folder);

static void watch(struct folder *folder)
{
    struct tail *t = folder->tail;
    if (folder->wd < 0 && t->watch)
        tail_watch_add(t->watch, folder->path, folder->level == CONTAINER, folder, &folder->wd);
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
    const struct tail *t = folder->tail;
    for (size_t i = 0; i < t->log_count; i++)
        if (t->folders[i] == folder)
            return true;
    for (const struct folder *c = folder->children; c; c = c->next)
        if (is_in_use(c))
            return true;
    return false;
}

static void unsee(struct folder *folder)
{
    struct tail *t = folder->tail;
    for (struct folder *c = folder->children; c; c = c->next)
        c->seen = false;
    for (size_t i = 0; i < t->log_count; i++)
        for (struct tail_file *f = t->folders[i] == folder ? t->logs[i]->files : NULL; f; f = f->next)
            f->linked = false;
}

/* What was live and is not any more waits a while for its last lines. */
static void age_logs(struct folder *folder, int64_t now_ns)
{
    struct tail *t = folder->tail;
    uint32_t newest = 0;
    for (size_t i = 0; i < t->log_count; i++)
        if (t->folders[i] == folder && t->logs[i]->restart > newest)
            newest = t->logs[i]->restart;
    for (size_t i = 0; i < t->log_count; i++) {
        struct tail_log *log = t->logs[i];
        if (t->folders[i] != folder)
            continue;
        log->ended = log->restart < newest;
        for (struct tail_file *f = log->files; f; f = f->next) {
            bool live =
                f->linked && f->name[strlen(f->name) - 1] == 'g'; /* N.log; rotated ones end in a digit */
            if (!live && f->changed_ns <= 0)
                f->changed_ns = now_ns;
            if (f->live && !live)
                f->changed_ns = now_ns, log->dirty = true;
            f->live = live;
        }
        tail_log_sort(log);
    }
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
    unsee(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (folder->level == CONTAINER)
            see_file(folder, e->d_name);
        else
            see_folder(folder, e->d_name);
    }
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
        age_logs(folder, clock_mono_ns());
    else
        drop_unseen(folder);
}

/* ---- the whole ---- */

static void tidy(struct tail *t)
{
    int64_t now_ns = clock_mono_ns();
    t->open_files = 0;
    for (size_t i = 0; i < t->log_count;) {
        struct tail_log *log = t->logs[i];
        tail_log_tidy(log, t->options.offsets, now_ns, t->options.linger_ns);
        for (struct tail_file *f = log->files; f; f = f->next)
            t->open_files += f->fd >= 0;
        if (log->files)
            i++;
        else
            drop_log(t, i);
    }
}

void tail_rescan(struct tail *t)
{
    tidy(t);
    scan(t->root);
    for (size_t i = 0; i < t->log_count; i++)
        t->logs[i]->dirty = true;
}

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

/* The logs of folders that were written to have something to read. */
static void mark_dirty(struct tail *t)
{
    for (size_t i = 0; i < t->log_count; i++)
        t->logs[i]->dirty |= t->folders[i]->wrote;
    for (size_t i = 0; i < t->log_count; i++)
        t->folders[i]->wrote = false;
}

static void on_watch(void *ctx, void *owner, int wd, enum tail_watch_change change)
{
    struct tail *t = ctx;
    struct folder *folder = owner;
    switch (change) {
    case TAIL_WROTE:
        folder->wrote = true;
        break;
    case TAIL_GONE:
        folder->wd = folder->wd == wd ? -1 : folder->wd;
        folder->wrote = folder->changed = true;
        break;
    case TAIL_CHANGED:
        folder->wrote = folder->changed = true;
        break;
    case TAIL_OVERFLOW:
        t->root->changed = true;
        for (size_t i = 0; i < t->log_count; i++)
            t->logs[i]->dirty = true;
        break;
    case TAIL_ROUND_END:
        mark_dirty(t);
        scan_changed(t->root);
        t->options.on_change(t->options.ctx);
        break;
    }
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
    t->root = new_folder(t, NULL, options->root);
    int err = t->root ? tail_watch_new(loop, on_watch, t, &t->watch) : -ENOMEM;
    if (err < 0) {
        if (t->root)
            free_folder(t->root);
        free(t);
        return err;
    }
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, on_timer, (uint64_t)options->rescan_ms, (uint64_t)options->rescan_ms);
    tail_rescan(t);
    *ret_tail = t;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void tail_close(struct tail *t)
{
    if (!t)
        return;
    while (t->log_count)
        drop_log(t, 0);
    free(t->logs);
    free(t->folders);
    tail_watch_close(t->watch); /* ends all its watches; one by one they would take long */
    t->watch = NULL;
    free_folder(t->root);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

void tail_set_linger(struct tail *t, int64_t linger_ns)
{
    t->options.linger_ns = linger_ns;
}

struct tail_log **tail_logs(struct tail *t, size_t *ret_count)
{
    *ret_count = t->log_count;
    return t->logs;
}

bool tail_has_dirty(const struct tail *t)
{
    for (size_t i = 0; i < t->log_count; i++)
        if (t->logs[i]->dirty)
            return true;
    return false;
}

struct tail_file *tail_find(struct tail *t, const struct tail_key *key, struct tail_log **ret_log)
{
    for (size_t i = 0; i < t->log_count; i++) {
        for (struct tail_file *f = t->logs[i]->files; f; f = f->next) {
            if (!tail_file_matches(f, key))
                continue;
            *ret_log = t->logs[i];
            return f;
        }
    }
    return NULL;
}
