#include "node-agent/logs/tail_host.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "node-agent/config.h"
#include "node-agent/logs/podpath.h"
#include "node-agent/logs/tail_watch.h"

enum { MAX_SIBLINGS = 64 }; /* rotated files of one log that are looked at */

struct host_file { /* one log */
    struct host_file *next;
    struct host_folder *folder;
    char *name; /* owned */
    bool seen;  /* a glob's match at the last look */
    bool known; /* its folder was listed for it before: what is rotated since is followed by inode */
    struct tail_owner owner;
};

struct host_folder {
    struct host_folder *next;
    char *path; /* owned */
    int wd;
};

struct tail_host {
    const struct conf_list *files; /* borrowed */
    struct tail_set *set;          /* borrowed */
    struct tail_watch *watch;
    struct host_folder *folders; /* owned */
    struct host_file *logs;      /* owned */
    bool changed;
    int64_t start_s; /* wall clock */
    void (*on_round)(void *ctx);
    void *ctx;
};

struct sibling {
    char name[NAME_MAX + 1]; /* without .gz */
    bool zipped;
    struct stat st;
};

static size_t ending_len(const char *name, size_t len, const char *set)
{
    size_t n = 0;
    while (n < len && strchr(set, name[len - 1 - n]))
        n++;
    return n;
}

/* .1 .12 .20251122 -20251122 .2025-11-22 -20251122-101500, and .gz behind it */
size_t tail_host_rotation_len(const char *name)
{
    size_t whole = strlen(name), len = whole, zip = strlen(PODPATH_ZIPPED);
    if (len > zip && strcmp(name + len - zip, PODPATH_ZIPPED) == 0)
        len -= zip;
    size_t digits = ending_len(name, len, "0123456789-");
    const char *mark = name + len - digits;
    if (digits > 0 && *mark == '-' && digits > 1 && len > digits)
        return whole - (len - digits);
    if (digits > 0 && len > digits + 1 && mark[-1] == '.')
        return whole - (len - digits - 1);
    return 0;
}

/* ---- what there is */

static struct host_folder *get_folder(struct tail_host *h, const char *path)
{
    struct host_folder *f = h->folders;
    while (f && strcmp(f->path, path) != 0)
        f = f->next;
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path))) {
        free(f);
        return NULL;
    }
    f->wd = -1;
    f->next = h->folders;
    h->folders = f;
    return f;
}

static void watch_folder(struct tail_host *h, struct host_folder *f)
{
    if (f->wd < 0 && tail_watch_add(h->watch, f->path, true, f, &f->wd) < 0)
        f->wd = -1; /* rescans still find what is new */
}

static struct host_file *find_log(struct tail_host *h, const struct host_folder *folder, const char *name)
{
    struct host_file *log = h->logs;
    while (log && (log->folder != folder || strcmp(log->name, name) != 0))
        log = log->next;
    return log;
}

static void add_log(struct tail_host *h, struct host_folder *folder, const char *name,
                    const struct conf_map *labels)
{
    struct host_file *log = calloc(1, sizeof *log);
    if (!log || !(log->name = strdup(name))) {
        free(log);
        return;
    }
    log->folder = folder;
    log->seen = true;
    log->owner = (struct tail_owner){.path = folder->path, .plain_name = log->name, .static_labels = labels};
    log->next = h->logs;
    h->logs = log;
    watch_folder(h, folder);
}

/* Whether the name without its rotation's ending is a file beside it. */
static bool is_rotated(const char *path, const char *name)
{
    char plain[PATH_MAX];
    struct stat st;
    size_t ending = tail_host_rotation_len(name);
    snprintf(plain, sizeof plain, "%.*s", (int)(strlen(path) - ending), path);
    return ending > 0 && stat(plain, &st) == 0;
}

static bool is_zipped(const char *name)
{
    size_t len = strlen(name), zip = strlen(PODPATH_ZIPPED);
    return len > zip && strcmp(name + len - zip, PODPATH_ZIPPED) == 0;
}

static bool is_excluded(const struct agent_log_files *files, const char *path)
{
    for (size_t i = 0; i < files->exclude.count; i++)
        if (fnmatch(files->exclude.items[i], path, FNM_PATHNAME) == 0)
            return true;
    return false;
}

static void take_match(struct tail_host *h, const struct agent_log_files *files, const char *path)
{
    char folder_path[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!slash || !slash[1] || stat(path, &st) < 0 || !S_ISREG(st.st_mode) || is_zipped(slash + 1) ||
        is_rotated(path, slash + 1) || is_excluded(files, path))
        return;
    snprintf(folder_path, sizeof folder_path, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    struct host_folder *folder = get_folder(h, folder_path);
    struct host_file *log = folder ? find_log(h, folder, slash + 1) : NULL;
    if (log)
        log->seen = true;
    else if (folder)
        add_log(h, folder, slash + 1, &files->labels);
}

/* New files are heard of where the glob names one folder. */
static void watch_glob(struct tail_host *h, const char *glob_text)
{
    char path[PATH_MAX];
    const char *slash = strrchr(glob_text, '/');
    size_t len = slash ? (size_t)(slash - glob_text) : 0, plain = strcspn(glob_text, "*?[\\");
    if (len == 0 || plain < len || len >= sizeof path)
        return;
    snprintf(path, sizeof path, "%.*s", (int)len, glob_text);
    struct host_folder *folder = get_folder(h, path);
    if (folder)
        watch_folder(h, folder);
}

static void match_globs(struct tail_host *h)
{
    const struct agent_log_files *files = h->files->items;
    for (size_t i = 0; i < h->files->count; i++) {
        for (size_t k = 0; k < files[i].paths.count; k++) {
            glob_t found;
            watch_glob(h, files[i].paths.items[k]);
            if (glob(files[i].paths.items[k], GLOB_NOSORT, NULL, &found) == 0)
                for (size_t m = 0; m < found.gl_pathc; m++)
                    take_match(h, &files[i], found.gl_pathv[m]);
            globfree(&found);
        }
    }
}

/* ---- one log's files */

static int compare_age(const void *a, const void *b)
{
    const struct timespec *x = &((const struct sibling *)a)->st.st_mtim;
    const struct timespec *y = &((const struct sibling *)b)->st.st_mtim;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Rotated files of the log, oldest first. */
static size_t list_siblings(const struct host_file *log, struct sibling *siblings)
{
    size_t count = 0, name_len = strlen(log->name);
    DIR *dir = opendir(log->folder->path);
    for (struct dirent *e; dir && count < MAX_SIBLINGS && (e = readdir(dir));) {
        struct sibling *s = &siblings[count];
        char path[PATH_MAX];
        size_t len = strlen(e->d_name);
        char ending[NAME_MAX + 2];
        if (strncmp(e->d_name, log->name, name_len) != 0 || len <= name_len)
            continue;
        snprintf(ending, sizeof ending, "x%s", e->d_name + name_len);
        if (tail_host_rotation_len(ending) != len - name_len)
            continue;
        if (snprintf(path, sizeof path, "%s/%s", log->folder->path, e->d_name) >= (int)sizeof path ||
            stat(path, &s->st) < 0 || !S_ISREG(s->st.st_mode))
            continue;
        s->zipped = is_zipped(e->d_name);
        snprintf(s->name, sizeof s->name, "%.*s", (int)(len - (s->zipped ? strlen(PODPATH_ZIPPED) : 0)),
                 e->d_name);
        count++;
    }
    if (dir)
        closedir(dir);
    qsort(siblings, count, sizeof *siblings, compare_age);
    return count;
}

/* Whether it was written and rotated while the agent ran, all before its folder was looked at. */
static bool is_begun_since(const struct tail_host *h, const struct sibling *s)
{
    return h->set->settled && (int64_t)s->st.st_mtim.tv_sec >= h->start_s;
}

/* Those that are followed already, and at the first look those from the one on that was being read. */
static void see_siblings(struct tail_host *h, struct host_file *log, const struct sibling *siblings,
                         size_t count)
{
    bool since = false;
    for (size_t i = 0; i < count; i++) {
        const struct sibling *s = &siblings[i];
        since |=
            !log->known && (is_begun_since(h, s) || tail_set_knows(h->set, &log->owner, s->name, s->zipped));
        if (!since && !tail_set_follows(h->set, &log->owner, s->name, s->zipped ? NULL : &s->st))
            continue;
        if (s->zipped)
            tail_set_see_zipped(h->set, &log->owner, s->name, 0);
        else
            tail_set_see(h->set, &log->owner, s->name, 0, &s->st);
    }
}

static void look(struct tail_host *h, struct host_file *log, struct sibling *siblings)
{
    char path[PATH_MAX];
    struct stat st;
    tail_set_unsee(h->set, &log->owner);
    see_siblings(h, log, siblings, list_siblings(log, siblings));
    if (snprintf(path, sizeof path, "%s/%s", log->folder->path, log->name) < (int)sizeof path &&
        stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        tail_set_see(h->set, &log->owner, log->name, 0, &st);
        log->known = true;
    }
    tail_set_seen(h->set, &log->owner, clock_mono_ns());
}

void tail_host_scan(struct tail_host *h)
{
    struct sibling *siblings = malloc(MAX_SIBLINGS * sizeof *siblings);
    h->changed = false;
    for (struct host_file *log = h->logs; log; log = log->next)
        log->seen = false;
    match_globs(h);
    for (struct host_file **link = &h->logs; *link && siblings;) {
        struct host_file *log = *link;
        look(h, log, siblings);
        if (log->seen || tail_set_has(h->set, &log->owner)) {
            link = &log->next;
            continue;
        }
        *link = log->next;
        free(log->name);
        free(log);
    }
    free(siblings);
}

/* ---- changes */

static void mark_written(struct tail_host *h, const struct host_folder *folder)
{
    for (struct host_file *log = h->logs; log; log = log->next)
        log->owner.wrote |= log->folder == folder;
}

static void on_watch(void *ctx, void *owner, int wd, enum tail_watch_change change)
{
    struct tail_host *h = ctx;
    struct host_folder *folder = owner;
    switch (change) {
    case TAIL_WROTE:
        mark_written(h, folder);
        break;
    case TAIL_GONE:
        folder->wd = folder->wd == wd ? -1 : folder->wd;
        h->changed = true;
        break;
    case TAIL_CHANGED:
        mark_written(h, folder);
        h->changed = true;
        break;
    case TAIL_OVERFLOW:
        tail_set_mark_dirty(h->set);
        h->changed = true;
        break;
    case TAIL_ROUND_END:
        if (h->changed)
            tail_host_scan(h);
        h->on_round(h->ctx);
        break;
    }
}

int tail_host_new(uv_loop_t *loop, const struct conf_list *files, struct tail_set *set,
                  void (*on_round)(void *ctx), void *ctx, struct tail_host **ret_host)
{
    struct tail_host *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    *h = (struct tail_host){.files = files, .set = set, .on_round = on_round, .ctx = ctx};
    h->start_s = clock_wall_ns() / 1000000000;
    int err = tail_watch_new(loop, on_watch, h, &h->watch);
    if (err < 0) {
        free(h);
        return err;
    }
    *ret_host = h;
    return 0;
}

void tail_host_close(struct tail_host *h)
{
    if (!h)
        return;
    tail_watch_close(h->watch);
    for (struct host_file *log = h->logs, *next; log; log = next) {
        next = log->next;
        free(log->name);
        free(log);
    }
    for (struct host_folder *f = h->folders, *next; f; f = next) {
        next = f->next;
        free(f->path);
        free(f);
    }
    free(h);
}
