#include "node-agent/logs/tail_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/logs/loglabels.h"

enum { MAX_LABELS = 64 * 1024 };

int tail_log_label(struct tail_log *log, const struct podpath *path, const char *container,
                   const struct conf_map *extra, const struct conf_map *labels)
{
    struct conf_pair pairs[2 * LOGLABELS_MAX];
    struct conf_map all = {pairs, 0};
    for (size_t i = 0; log->static_labels && i < log->static_labels->count && i < LOGLABELS_MAX; i++)
        pairs[all.count++] = log->static_labels->items[i];
    for (size_t i = 0; extra && i < extra->count && i < LOGLABELS_MAX; i++)
        pairs[all.count++] = extra->items[i];
    for (int i = 0; i < CRI_STREAMS; i++) {
        struct buf text;
        char *copy = NULL;
        buf_init(&text, MAX_LABELS);
        int err = loglabels_write(path, container, cri_stream_name((enum cri_stream)i), &all, labels, &text);
        if (err == 0)
            err = buf_append(&text, "", 1);
        if (err == 0 && !(copy = strdup((const char *)text.ptr)))
            err = -ENOMEM;
        buf_fini(&text);
        if (err < 0)
            return err;
        free(log->streams[i].labels);
        log->streams[i].labels = copy;
    }
    return 0;
}

static void forget_stream(struct tail_stream *stream)
{
    stream->part.open = stream->part.cut = stream->part.past = false;
    buf_release(&stream->part.text, 0);
    if (stream->join) {
        stream->join->open = false;
        buf_release(&stream->join->text, 0);
    }
    stream->last = (struct tail_last){.time_ns = -1, .sent_ns = -1};
    stream->newest_ns = 0;
}

static struct tail_log *new_log(const char *folder, size_t max_line)
{
    struct tail_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    for (int i = 0; i < CRI_STREAMS; i++) {
        buf_init(&log->streams[i].part.text, max_line + 1);
        forget_stream(&log->streams[i]);
    }
    log->dirty = true;
    log->folder = strdup(folder);
    return log;
}

/* Gives the log to the caller when err is 0 and all its names are there. */
static int finish_new(struct tail_log *log, int err, struct tail_log **ret_log)
{
    if (err < 0) {
        tail_log_free(log);
        return err;
    }
    *ret_log = log;
    return 0;
}

int tail_log_new(const char *folder, const char *pod_folder, const char *container, uint32_t restart,
                 const struct conf_map *labels, size_t max_line, struct tail_log **ret_log)
{
    struct podpath path;
    if (podpath_parse_folder(pod_folder, &path) < 0)
        return -EINVAL;
    struct tail_log *log = new_log(folder, max_line);
    if (!log)
        return -ENOMEM;
    log->restart = restart;
    if (asprintf(&log->name, "%s/%s/%" PRIu32, pod_folder, container, restart) < 0)
        log->name = NULL;
    if (asprintf(&log->live_name, "%" PRIu32 ".log", restart) < 0)
        log->live_name = NULL;
    int err = log->folder && log->name && log->live_name ? 0 : -ENOMEM;
    if (err == 0)
        err = tail_log_label(log, &path, container, NULL, labels);
    return finish_new(log, err, ret_log);
}

int tail_log_new_plain(const char *folder, const char *name, const struct conf_map *static_labels,
                       const struct conf_map *labels, size_t max_line, struct tail_log **ret_log)
{
    struct tail_log *log = new_log(folder, max_line);
    if (!log)
        return -ENOMEM;
    log->plain = true;
    log->static_labels = static_labels;
    log->live_name = strdup(name);
    if (asprintf(&log->name, "%s/%s", folder, name) < 0)
        log->name = NULL;
    int err = log->folder && log->name && log->live_name ? 0 : -ENOMEM;
    if (err == 0)
        err = tail_log_label(log, NULL, "", NULL, labels);
    return finish_new(log, err, ret_log);
}

void tail_log_free(struct tail_log *log)
{
    if (!log)
        return;
    for (struct tail_file *f = log->files, *next; f; f = next) {
        next = f->next;
        tail_file_free(f);
    }
    for (int i = 0; i < CRI_STREAMS; i++) {
        buf_fini(&log->streams[i].part.text);
        if (log->streams[i].join)
            buf_fini(&log->streams[i].join->text);
        free(log->streams[i].join);
        free(log->streams[i].labels);
    }
    buf_fini(&log->metadata);
    free(log->plan);
    free(log->folder);
    free(log->live_name);
    free(log->name);
    free(log);
}

void tail_log_take(struct tail_log *log, struct tail_file **file)
{
    struct tail_file **link = &log->files;
    while (*link)
        link = &(*link)->next;
    (*file)->next = NULL;
    (*file)->recalled = log->recalled;
    *link = *file;
    *file = NULL;
}

/* A pod log's rotated names are the live name, a dot and a time; a host file's may be numbers, so their last
 * change counts. A live file is newer than all of them. */
static bool is_older(const struct tail_log *log, const struct tail_file *a, const struct tail_file *b)
{
    bool a_rotated = strcmp(a->name, log->live_name) != 0, b_rotated = strcmp(b->name, log->live_name) != 0;
    if (a_rotated && b_rotated)
        return log->plain ? a->modified_ns < b->modified_ns : strcmp(a->name, b->name) < 0;
    if (a_rotated != b_rotated)
        return a_rotated;
    return !a->live && b->live; /* the same live name, one after the other */
}

void tail_log_sort(struct tail_log *log)
{
    struct tail_file *sorted = NULL;
    for (struct tail_file *f = log->files, *next; f; f = next) {
        struct tail_file **link = &sorted;
        next = f->next;
        while (*link && !is_older(log, f, *link))
            link = &(*link)->next;
        f->next = *link;
        *link = f;
    }
    log->files = sorted;
}

void tail_log_close_line(struct tail_log *log, int stream)
{
    struct tail_part *part = &log->streams[stream].part;
    part->open = part->cut = part->past = false;
    buf_release(&part->text, 0);
    for (struct tail_file *f = log->files; f; f = f->next)
        f->open_at[stream] = TAIL_NONE;
}

void tail_log_close_join(struct tail_log *log, int stream)
{
    struct tail_join *join = log->streams[stream].join;
    if (!join)
        return;
    join->open = false;
    buf_release(&join->text, 0);
    for (struct tail_file *f = log->files; f; f = f->next)
        f->join_at[stream] = TAIL_NONE;
}

bool tail_log_has_join(const struct tail_log *log, int stream)
{
    return log->streams[stream].join && log->streams[stream].join->open;
}

size_t tail_log_part_bytes(const struct tail_log *log)
{
    size_t bytes = 0;
    for (int i = 0; i < CRI_STREAMS; i++)
        bytes += log->streams[i].part.text.cap + (log->streams[i].join ? log->streams[i].join->text.cap : 0);
    return bytes;
}

void tail_log_fall_back(struct tail_log *log)
{
    for (struct tail_file *f = log->files; f; f = f->next)
        tail_file_fall_back(f);
    for (int i = 0; i < CRI_STREAMS; i++) {
        tail_log_close_line(log, i);
        tail_log_close_join(log, i);
    }
    if (log->plan)
        log->plan->filled_ns = 0; /* lines that only pass again count for the rate */
}

void tail_log_reset(struct tail_log *log, const struct offsets *offsets)
{
    for (struct tail_file *f = log->files; f; f = f->next) {
        tail_file_reset(f, offsets);
        f->recalled = false;
    }
    for (int i = 0; i < CRI_STREAMS; i++)
        forget_stream(&log->streams[i]);
    if (log->plan)
        log->plan->filled_ns = 0;
    log->recalled = false;
    log->dirty = true;
}

static bool is_over(struct tail_file *file, const struct offsets *offsets, int64_t now_ns, int64_t linger_ns)
{
    if (file->live)
        return false;
    int err = file->fd < 0 ? 0 : tail_file_look(file, now_ns); /* it may have grown unread */
    bool is_emptied = err == -ESTALE && file->size == 0 && !file->linked && tail_file_base(file) == file->pos;
    if (err < 0 && !is_emptied)
        return false;
    if (tail_file_base(file) < file->size || now_ns - file->changed_ns < linger_ns)
        return false;
    return tail_file_is_committed(file, offsets);
}

/* A file that left the folder while others of its log are there was deleted, and is not only out of sight. */
static void age_offsets(const struct tail_log *log, const struct tail_file *gone, struct offsets *offsets,
                        int64_t now_ns)
{
    char storage[TAIL_KEY_LEN];
    bool has_others = false;
    for (const struct tail_file *f = log->files; f; f = f->next)
        has_others |= f != gone && f->linked;
    for (int s = -1; has_others && gone->identity && s < CRI_STREAMS; s++)
        offsets_age(offsets, tail_file_key(gone, s, storage), now_ns - OFFSETS_AWAY_NS + OFFSETS_GONE_NS);
}

void tail_log_tidy(struct tail_log *log, struct offsets *offsets, int64_t now_ns, int64_t linger_ns)
{
    for (struct tail_file **link = &log->files; *link;) {
        struct tail_file *f = *link;
        if (is_over(f, offsets, now_ns, linger_ns))
            tail_file_close(f);
        if (f->fd >= 0 || f->linked) {
            link = &f->next;
            continue;
        }
        age_offsets(log, f, offsets, now_ns);
        *link = f->next;
        tail_file_free(f);
    }
}

uint64_t tail_log_unread(struct tail_log *log, int64_t now_ns)
{
    uint64_t bytes = 0;
    for (struct tail_file *f = log->files; f; f = f->next) {
        if (f->fd >= 0 && tail_file_examine(f, now_ns) == -ESTALE)
            bytes += f->size; /* truncated: all of it is new */
        else if (f->pos < f->size)
            bytes += f->size - f->pos;
    }
    return bytes;
}
