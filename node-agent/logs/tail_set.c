#include "node-agent/logs/tail_set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/logs/tail_start.h"

static int add_log(struct tail_set *set, struct tail_owner *owner, struct tail_log *log)
{
    if (set->count == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 64;
        struct tail_log **logs = realloc(set->logs, cap * sizeof(struct tail_log *));
        if (logs)
            set->logs = logs;
        struct tail_owner **owners = realloc(set->owners, cap * sizeof(struct tail_owner *));
        if (owners)
            set->owners = owners;
        if (!logs || !owners)
            return -ENOMEM;
        set->cap = cap;
    }
    set->owners[set->count] = owner;
    set->logs[set->count++] = log;
    return 0;
}

static struct tail_log *find_log(struct tail_set *set, struct tail_owner *owner, uint32_t restart)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->owners[i] == owner && set->logs[i]->restart == restart)
            return set->logs[i];
    return NULL;
}

static struct tail_log *get_log(struct tail_set *set, struct tail_owner *owner, uint32_t restart)
{
    struct tail_log *log = find_log(set, owner, restart);
    if (log)
        return log;
    const struct tail_options *options = set->options;
    int err = owner->plain_name ? tail_log_new_plain(owner->path, owner->plain_name, owner->static_labels,
                                                     options->labels, options->max_line, &log)
                                : tail_log_new(owner->path, owner->pod_folder, owner->container, restart,
                                               options->labels, options->max_line, &log);
    if (err < 0)
        return NULL;
    if (add_log(set, owner, log) < 0) {
        tail_log_free(log);
        return NULL;
    }
    return log;
}

static void drop_log(struct tail_set *set, size_t i)
{
    tail_log_free(set->logs[i]);
    set->logs[i] = set->logs[--set->count];
    set->owners[i] = set->owners[set->count];
}

/* The file of the log that the name stands for now, by inode; a closed one may be another's inode by now. */
static struct tail_file *find_file(struct tail_log *log, const char *name, const struct stat *st)
{
    for (struct tail_file *f = log->files; f; f = f->next) {
        bool is_packed_only = f->zipped && (f->fd < 0 || f->inflate); /* its inode may be another's */
        if (is_packed_only && strcmp(f->name, name) == 0)
            return f;
        if (is_packed_only || f->inode != st->st_ino || f->device != st->st_dev)
            continue;
        if (f->fd >= 0 || (strcmp(f->name, name) == 0 && f->size == (uint64_t)st->st_size) ||
            tail_file_is_at(f, log->folder, name))
            return f;
    }
    return NULL;
}

static bool is_rotated(const struct tail_log *log, const char *name)
{
    return strcmp(name, log->live_name) != 0;
}

struct adoption {
    struct tail_file *file;
    char numbers[40];          /* what its key has between the names and the fingerprint */
    char prefix[TAIL_KEY_LEN]; /* of a compressed file's keys */
    const char *key;
    uint32_t head_len;
};

static bool is_of(const struct adoption *a, const char *text, struct tail_key *key)
{
    if (!a->file->by_head)
        return strstr(text, a->numbers) && tail_key_parse(text, key) == 0 && tail_file_matches(a->file, key);
    return strncmp(text, a->prefix, strlen(a->prefix)) == 0 && tail_key_parse(text, key) == 0 &&
           tail_file_matches_unpacked(a->file, key, a->prefix);
}

static void consider(void *ctx, struct offset *at)
{
    struct adoption *a = ctx;
    struct tail_key key;
    if (is_of(a, at->key, &key) && key.head_len > a->head_len) {
        a->head_len = key.head_len;
        a->key = at->key;
    }
}

/* Finds the key of the adoption's file by device and inode. */
static void search_offsets(const struct tail_set *set, struct adoption *a)
{
    snprintf(a->numbers, sizeof a->numbers, ":%" PRIx64 ":%" PRIx64 ":", (uint64_t)a->file->device,
             (uint64_t)a->file->inode);
    offsets_each(set->options->offsets, consider, a);
}

/* The key that the offsets have for the file; NULL: none. */
static const char *find_key(struct tail_set *set, const struct tail_log *log, struct tail_file *file)
{
    struct adoption a = {.file = file};
    tail_key_prefix(log->name, a.prefix);
    search_offsets(set, &a);
    if (!a.key && !file->by_head && !log->plain && is_rotated(log, file->name)) {
        file->by_head = true; /* it may be a copy, made while nobody looked */
        offsets_each(set->options->offsets, consider, &a);
    }
    return a.key;
}

/* Gives a new file the identity that the offsets have for it, and the position that belongs to it. False:
 * they have none. */
static bool recognise(struct tail_set *set, const struct tail_log *log, struct tail_file *file)
{
    const char *key = find_key(set, log, file);
    if (key && tail_file_adopt(file, key) == 0)
        tail_file_reset(file, set->options->offsets);
    return key != NULL;
}

struct search {
    char prefix[TAIL_KEY_LEN];
    bool found;
};

static void compare_prefix(void *ctx, struct offset *at)
{
    struct search *search = ctx;
    size_t len = strlen(search->prefix);
    search->found |= strncmp(at->key, search->prefix, len) == 0 && at->key[len] == ':';
}

/* Whether the offsets have any file of the log. */
static bool is_known_log(struct tail_set *set, const struct tail_log *log)
{
    struct search search = {.found = false};
    tail_key_prefix(log->name, search.prefix);
    offsets_each(set->options->offsets, compare_prefix, &search);
    return search.found;
}

/* Of a log that was there before the agent: what read_from leaves out counts as committed and delivered. */
static void start_file(struct tail_set *set, const struct tail_log *log, struct tail_file *file)
{
    uint64_t pos;
    if (tail_start_find(file, log->plain, set->options->from_ns, &pos) < 0 || pos == 0 ||
        tail_file_identify(file, log->name) < 0)
        return;
    struct offset *at = offsets_put(set->options->offsets, file->identity);
    if (!at)
        return;
    at->committed = at->delivered = at->claimed = pos;
    tail_file_reset(file, set->options->offsets);
    file->tally.counts[LOG_SKIPPED_BYTES] += pos;
}

static struct tail_file *open_file(struct tail_set *set, struct tail_log *log, const char *name, bool zipped)
{
    struct tail_file *file;
    int err = set->open_files >= set->options->max_files
                  ? -EMFILE
                  : tail_file_open(log->folder, name, zipped, set->options->host_root, &file);
    if (err == 0)
        return file;
    if (err != -ENOENT && err != -EINVAL)
        stats_add(set->options->errors, 1);
    return NULL;
}

static bool is_in_offsets(const struct tail_set *set, struct tail_file *file)
{
    struct adoption a = {.file = file};
    search_offsets(set, &a);
    return a.key != NULL;
}

/* A rotated file that nobody knows may be a copy of the live one, which will be truncated (copytruncate).
 * True: as long as it is not, there is nothing in the copy that is not read there. */
static bool is_spare_copy(const struct tail_log *log, const struct tail_file *file)
{
    for (struct tail_file *f = log->files; f; f = f->next)
        if (f->fd >= 0 && !f->inflate && !is_rotated(log, f->name) && tail_file_look(f, f->changed_ns) == 0 &&
            tail_file_check(f) == 0 && tail_file_holds(f, file))
            return true;
    return false;
}

/* The same when it is truncated by now: the copy goes on where the live one was. */
static bool succeed(struct tail_log *log, struct tail_file *file)
{
    if (tail_file_look(file, file->changed_ns) < 0) /* it may have grown since it was opened */
        return false;
    for (struct tail_file *f = log->files; f; f = f->next) {
        bool is_live = f->fd >= 0 && !f->inflate && f->identity && !is_rotated(log, f->name);
        if (is_live && tail_head_begins(&f->head, &file->head) &&
            (tail_file_look(f, f->changed_ns) == -ESTALE || tail_file_check(f) == -ESTALE))
            tail_file_restart(f);
        if (tail_file_succeed(file, f))
            return true;
    }
    return false;
}

static struct tail_file *take_file(struct tail_set *set, struct tail_log *log, struct tail_file *file)
{
    struct tail_file *added = file;
    set->open_files++;
    bool is_first = !set->settled && set->options->from_ns != TAIL_START_ALL;
    bool is_other = is_first && !log->started && is_known_log(set, log);
    bool is_copy = !file->inflate && is_rotated(log, file->name) && !is_in_offsets(set, file);
    bool is_known = (is_copy && succeed(log, file)) || recognise(set, log, file);
    if (!is_known && is_first && !is_other) {
        start_file(set, log, file);
        log->started = true;
    }
    tail_log_take(log, &file);
    return added;
}

static struct tail_file *add_file(struct tail_set *set, struct tail_log *log, const char *name, ino_t inode)
{
    struct tail_file *file = open_file(set, log, name, false);
    if (!file)
        return NULL;
    bool is_other = file->inode != inode; /* renamed meanwhile: its folder's change will be told */
    bool is_empty = file->head.len == 0;  /* a copy that is being made would be taken for a file of its own */
    if (is_other ||
        (is_rotated(log, name) && !is_in_offsets(set, file) && (is_empty || is_spare_copy(log, file)))) {
        tail_file_free(file);
        return NULL;
    }
    return take_file(set, log, file);
}

static void rename_file(struct tail_file *file, const char *name)
{
    char *copy = strcmp(file->name, name) ? strdup(name) : NULL;
    if (!copy)
        return;
    free(file->name);
    file->name = copy;
}

void tail_set_see(struct tail_set *set, struct tail_owner *owner, const char *name, uint32_t restart,
                  const struct stat *st)
{
    struct tail_log *log = get_log(set, owner, restart);
    struct tail_file *file = log ? find_file(log, name, st) : NULL;
    if (!log)
        return;
    if (file)
        rename_file(file, name);
    else
        file = add_file(set, log, name, st->st_ino);
    if (!file)
        return;
    if (file->fd < 0)
        file->size = (uint64_t)st->st_size;
    file->linked = true;
    log->dirty = true;
}

static struct tail_file *find_name(struct tail_log *log, const char *name)
{
    struct tail_file *f = log->files;
    while (f && strcmp(f->name, name) != 0)
        f = f->next;
    return f;
}

/* The file that was compressed before its new name was seen: it has no name any more, and begins alike. It
 * may have grown or been truncated since it was read. */
static struct tail_file *find_unlinked(struct tail_log *log, const struct tail_file *unpacked)
{
    for (struct tail_file *f = log->files; f; f = f->next) {
        if (f->linked)
            continue;
        int err = f->fd >= 0 ? tail_file_check(f) : 0;
        if (err == -ESTALE ? tail_file_became(f, unpacked)
                           : err == 0 && tail_head_begins(&f->head, &unpacked->head))
            return f;
    }
    return NULL;
}

void tail_set_see_zipped(struct tail_set *set, struct tail_owner *owner, const char *name, uint32_t restart)
{
    struct tail_log *log = get_log(set, owner, restart);
    struct tail_file *file = log ? find_name(log, name) : NULL;
    struct tail_file *opened = log && !file ? open_file(set, log, name, true) : NULL;
    if (opened && (file = find_unlinked(log, opened))) {
        tail_file_free(opened);
        rename_file(file, name);
    } else if (opened) {
        file = take_file(set, log, opened);
        log->dirty = true;
    }
    if (!file)
        return;
    file->zipped = file->linked = true;
}

bool tail_set_knows(struct tail_set *set, struct tail_owner *owner, const char *name, bool zipped)
{
    struct tail_log *log = get_log(set, owner, 0);
    struct tail_file *file = log ? open_file(set, log, name, zipped) : NULL;
    bool known = file && find_key(set, log, file);
    tail_file_free(file);
    return known;
}

bool tail_set_follows(struct tail_set *set, struct tail_owner *owner, const char *name, const struct stat *st)
{
    struct tail_log *log = find_log(set, owner, 0);
    return log && (st ? find_file(log, name, st) : find_name(log, name));
}

void tail_set_mark_written(struct tail_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->logs[i]->dirty |= set->owners[i]->wrote;
    for (size_t i = 0; i < set->count; i++)
        set->owners[i]->wrote = false;
}

int64_t tail_set_grew_ns(struct tail_set *set, const struct tail_owner *owner, int64_t now_ns)
{
    int64_t grew_ns = 0;
    for (size_t i = 0; i < set->count; i++) {
        for (struct tail_file *f = set->owners[i] == owner ? set->logs[i]->files : NULL; f; f = f->next) {
            if (f->fd >= 0)
                (void)tail_file_look(f, now_ns); /* a truncated one has another size, too */
            grew_ns = f->changed_ns > grew_ns ? f->changed_ns : grew_ns;
        }
    }
    return grew_ns;
}

void tail_set_unsee(struct tail_set *set, struct tail_owner *owner)
{
    for (size_t i = 0; i < set->count; i++)
        for (struct tail_file *f = set->owners[i] == owner ? set->logs[i]->files : NULL; f; f = f->next)
            f->linked = false;
}

/* What was live and is not any more waits a while for its last lines. */
static void age_log(struct tail_log *log, int64_t now_ns)
{
    for (struct tail_file *f = log->files; f; f = f->next) {
        bool live = f->linked && !f->zipped && strcmp(f->name, log->live_name) == 0;
        if (!live && (f->live || f->changed_ns <= 0)) {
            f->changed_ns = now_ns;
            log->dirty = true;
        }
        f->live = live;
    }
    tail_log_sort(log);
}

void tail_set_seen(struct tail_set *set, struct tail_owner *owner, int64_t now_ns)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < set->count; i++)
        if (set->owners[i] == owner && set->logs[i]->restart > newest)
            newest = set->logs[i]->restart;
    for (size_t i = 0; i < set->count; i++) {
        if (set->owners[i] != owner)
            continue;
        set->logs[i]->ended = set->logs[i]->restart < newest;
        age_log(set->logs[i], now_ns);
    }
}

bool tail_set_has(const struct tail_set *set, const struct tail_owner *owner)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->owners[i] == owner)
            return true;
    return false;
}

void tail_set_mark_dirty(struct tail_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->logs[i]->dirty = true;
}

void tail_set_tidy(struct tail_set *set, int64_t now_ns)
{
    set->open_files = 0;
    for (size_t i = 0; i < set->count;) {
        struct tail_log *log = set->logs[i];
        tail_log_tidy(log, set->options->offsets, now_ns, set->options->linger_ns);
        for (struct tail_file *f = log->files; f; f = f->next)
            set->open_files += f->fd >= 0;
        if (log->files)
            i++;
        else
            drop_log(set, i);
    }
}

static bool is_packed(const struct tail_log *log, const struct tail_file *file, const struct tail_key *key)
{
    char prefix[TAIL_KEY_LEN];
    tail_key_prefix(log->name, prefix);
    return tail_file_matches_unpacked(file, key, prefix);
}

struct tail_file *tail_set_find(const struct tail_set *set, const struct tail_key *key,
                                struct tail_log **ret_log)
{
    struct tail_file *found = NULL;
    for (size_t i = 0; i < set->count; i++) {
        for (struct tail_file *f = set->logs[i]->files; f; f = f->next) {
            bool is_own_inode = !f->by_head || (!f->identity && !f->inflate);
            bool is_it = is_own_inode && tail_file_matches(f, key);
            if (!is_it && (found || !f->by_head || !is_packed(set->logs[i], f, key)))
                continue;
            *ret_log = set->logs[i];
            found = f;
            if (is_it)
                return f;
        }
    }
    return found;
}

void tail_set_fini(struct tail_set *set)
{
    while (set->count)
        drop_log(set, 0);
    free(set->logs);
    free(set->owners);
}
