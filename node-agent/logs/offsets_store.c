#include "node-agent/logs/offsets_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"

struct offsets_store {
    uv_loop_t *loop;
    struct offsets *offsets; /* owned */
    char *path;              /* owned */
    uint64_t noted_bytes;    /* committed since the last save */
    size_t last_size;
    uint64_t written_bytes;
    int64_t last_ns;
    bool changed, hurry;
    int error;
    uv_work_t work;
    struct buf text; /* of the save under way */
    int work_error;
    bool busy, closed;
};

static void free_store(struct offsets_store *s)
{
    buf_fini(&s->text);
    free(s->path);
    free(s);
}

int offsets_store_open(uv_loop_t *loop, const char *folder, struct offsets_store **ret_store,
                       struct offsets **ret_offsets, int *ret_aside)
{
    struct offsets_store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct offsets_store){.loop = loop, .last_ns = clock_mono_ns()};
    buf_init(&s->text, OFFSETS_FILE_MAX);
    s->work.data = s;
    int err = 0;
    if (asprintf(&s->path, "%s/offsets", folder) < 0) {
        s->path = NULL;
        err = -ENOMEM;
    }
    if (err == 0 && mkdir(folder, 0700) < 0 && errno != EEXIST)
        err = -errno;
    if (err == 0)
        err = offsets_file_load(s->path, &s->offsets, ret_aside);
    if (err < 0) {
        free_store(s);
        return err;
    }
    *ret_store = s;
    *ret_offsets = s->offsets;
    return 0;
}

void offsets_store_close(struct offsets_store *s)
{
    if (!s)
        return;
    offsets_free(s->offsets);
    s->offsets = NULL;
    s->closed = true;
    if (!s->busy)
        free_store(s);
}

const char *offsets_store_path(const struct offsets_store *s)
{
    return s->path;
}

void offsets_store_note(struct offsets_store *s, uint64_t log_bytes)
{
    s->noted_bytes += log_bytes;
    s->changed = true;
}

void offsets_store_hurry(struct offsets_store *s)
{
    s->changed = s->hurry = true;
}

/* What the last save cost the disk; before there was one, the least that a save can cost. */
static uint64_t cost(const struct offsets_store *s)
{
    uint64_t pages = (s->last_size + OFFSETS_STORE_PAGE - 1) / OFFSETS_STORE_PAGE;
    return (pages ? pages : 1) * OFFSETS_STORE_PAGE + OFFSETS_STORE_META;
}

static bool is_due(const struct offsets_store *s, int64_t now_ns)
{
    return s->changed && (s->hurry || s->noted_bytes >= OFFSETS_STORE_RATIO * cost(s) ||
                          now_ns - s->last_ns >= OFFSETS_STORE_MOST_MS * INT64_C(1000000));
}

static void write_file(uv_work_t *work)
{
    struct offsets_store *s = work->data;
    s->work_error = offsets_file_replace(s->path, ".new", buf_bytes(&s->text));
}

static void on_written(uv_work_t *work, int status)
{
    struct offsets_store *s = work->data;
    s->busy = false;
    s->error = status < 0 ? status : s->work_error;
    s->changed |= s->error < 0;
    buf_release(&s->text, 0);
    if (s->closed)
        free_store(s);
}

/* The save's text is made now; what changes later is for the next one. */
static int snapshot(struct offsets_store *s, struct buf *text)
{
    int err = offsets_file_write(s->offsets, text);
    s->last_size = text->len;
    s->written_bytes += text->len;
    s->last_ns = clock_mono_ns();
    s->noted_bytes = 0;
    s->changed = s->hurry = false;
    return err;
}

void offsets_store_tick(struct offsets_store *s)
{
    if (s->busy || !is_due(s, clock_mono_ns()))
        return;
    s->error = snapshot(s, &s->text);
    if (s->error == 0)
        s->busy = uv_queue_work(s->loop, &s->work, write_file, on_written) == 0;
    if (!s->busy)
        buf_release(&s->text, 0);
}

int offsets_store_save(struct offsets_store *s)
{
    struct buf text;
    buf_init(&text, OFFSETS_FILE_MAX);
    int err = snapshot(s, &text);
    if (err == 0)
        err = offsets_file_replace(s->path, ".exit", buf_bytes(&text));
    buf_fini(&text);
    s->error = err;
    return err;
}

uint64_t offsets_store_written(const struct offsets_store *s)
{
    return s->written_bytes;
}

int offsets_store_error(const struct offsets_store *s)
{
    return s->error;
}
