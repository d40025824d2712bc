#include "base/buffer/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buffer/buffer_store.h"
#include "base/buffer/buffer_writer.h"

/* ---- opening */

static int make_folder(const char *folder)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path)
        return -ENAMETOOLONG;
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    return mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

/* A quota that the volume cannot hold would end on a really full volume, where not even a delete works. */
static void cap_quota(struct buffer *buffer)
{
    struct statvfs volume;
    if (statvfs(buffer->folder, &volume) < 0)
        return;
    int64_t most = (int64_t)volume.f_blocks * (int64_t)volume.f_frsize / 100 * 95;
    if (buffer->quota_bytes > most)
        buffer->quota_bytes = buffer->tally.quota_bytes = most;
}

/* One process a file: the numbers and cursors in memory are true for as long as nobody else writes. */
static int lock_file(struct buffer *buffer)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.lock", buffer->folder, telemetry_name(buffer->signal));
    buffer->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (buffer->lock_fd < 0)
        return -errno;
    return flock(buffer->lock_fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static void init_threads(struct buffer *buffer)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&buffer->queue_filled, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&buffer->queue_lock, NULL);
    pthread_mutex_init(&buffer->state_lock, NULL);
    pthread_mutex_init(&buffer->hook_lock, NULL);
    buffer_recent_init(&buffer->recent);
}

static void free_buffer(struct buffer *buffer)
{
    buffer_store_close(buffer);
    buffer_recent_fini(&buffer->recent);
    if (buffer->lock_fd >= 0)
        close(buffer->lock_fd);
    pthread_cond_destroy(&buffer->queue_filled);
    pthread_mutex_destroy(&buffer->queue_lock);
    pthread_mutex_destroy(&buffer->state_lock);
    pthread_mutex_destroy(&buffer->hook_lock);
    free(buffer->folder);
    free(buffer->path);
    free(buffer);
}

static struct buffer *new_buffer(const struct buffer_options *options)
{
    struct buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer)
        return NULL;
    init_threads(buffer);
    buffer->lock_fd = -1;
    buffer->signal = options->signal;
    buffer->when_full = options->when_full;
    buffer->keeps_senders = options->keeps_senders;
    buffer->quota_bytes = buffer->tally.quota_bytes = options->quota_bytes;
    buffer->tally.quota_age_ms = options->quota_age_ms;
    buffer->quota_age_ns = options->quota_age_ms * 1000000;
    buffer->retention_ns = options->retention_ms * 1000000;
    buffer->folder = strdup(options->folder);
    if (!buffer->folder ||
        asprintf(&buffer->path, "%s/%s.db", options->folder, telemetry_name(options->signal)) < 0) {
        buffer->path = NULL;
        free_buffer(buffer);
        return NULL;
    }
    return buffer;
}

int buffer_open(const struct buffer_options *options, struct buffer **ret_buffer, struct buf *errors)
{
    if (options->backend_count > BUFFER_MAX_BACKENDS)
        return -E2BIG;
    struct buffer *buffer = new_buffer(options);
    if (!buffer)
        return -ENOMEM;
    int err = make_folder(buffer->folder);
    if (err == 0)
        err = lock_file(buffer);
    if (err < 0)
        buf_printf(errors, "%s: %s\n", buffer->folder,
                   err == -EWOULDBLOCK ? "another process uses this buffer" : strerror(-err));
    cap_quota(buffer);
    if (err == 0)
        err = buffer_store_open(buffer, options, errors);
    if (err == 0)
        err = buffer_writer_start(buffer);
    if (err < 0) {
        free_buffer(buffer);
        return err;
    }
    *ret_buffer = buffer;
    return 0;
}

void buffer_close(struct buffer *buffer)
{
    if (!buffer)
        return;
    buffer_writer_stop(buffer);
    free_buffer(buffer);
}

/* ---- any thread */

const char *buffer_id(const struct buffer *buffer)
{
    return buffer->id;
}

void buffer_append(struct buffer *buffer, struct buffer_append *append)
{
    append->outcome = BUFFER_FAILED;
    append->row_id = 0;
    append->standing = (struct buffer_standing){0};
    buffer_writer_queue(buffer, (struct buffer_work){.kind = BUFFER_WORK_APPEND, .of.append = append});
}

void buffer_resume(struct buffer *buffer, struct buffer_resume *resume)
{
    resume->ends = NULL;
    resume->end_count = 0;
    resume->standing = (struct buffer_standing){0};
    buffer_writer_queue(buffer, (struct buffer_work){.kind = BUFFER_WORK_RESUME, .of.resume = resume});
}

void buffer_settle(struct buffer *buffer, struct buffer_settlement *settlement)
{
    buffer_writer_queue(buffer,
                        (struct buffer_work){.kind = BUFFER_WORK_SETTLE, .of.settlement = settlement});
}

void buffer_hand_over(struct buffer *buffer, struct buffer_handed *handed)
{
    buffer_writer_queue(buffer, (struct buffer_work){.kind = BUFFER_WORK_HAND_OVER, .of.handed = handed});
}

void buffer_change_refusal(struct buffer *buffer, struct buffer_refusal_change *change)
{
    buffer_writer_queue(buffer, (struct buffer_work){.kind = BUFFER_WORK_REFUSAL, .of.change = change});
}

void buffer_note_replay(struct buffer *buffer, struct buffer_replay_note *note)
{
    buffer_writer_queue(buffer, (struct buffer_work){.kind = BUFFER_WORK_REPLAY, .of.replay = note});
}

int64_t buffer_newest(const struct buffer *buffer, int slot)
{
    return atomic_load_explicit(&buffer->published[slot], memory_order_acquire);
}

void buffer_on_commit(struct buffer *buffer, void (*fn)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&buffer->hook_lock);
    if (buffer->hook_count == BUFFER_MAX_HOOKS)
        abort(); /* a bug of ours: the header says how many */
    buffer->hooks[buffer->hook_count].fn = fn;
    buffer->hooks[buffer->hook_count++].ctx = ctx;
    pthread_mutex_unlock(&buffer->hook_lock);
}

void buffer_off_commit(struct buffer *buffer, void (*fn)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&buffer->hook_lock);
    for (int i = 0; i < buffer->hook_count; i++) {
        if (buffer->hooks[i].fn == fn && buffer->hooks[i].ctx == ctx)
            buffer->hooks[i--] = buffer->hooks[--buffer->hook_count];
    }
    pthread_mutex_unlock(&buffer->hook_lock);
}

void buffer_get_state(struct buffer *buffer, struct buffer_state *ret_state)
{
    pthread_mutex_lock(&buffer->state_lock);
    *ret_state = buffer->state;
    pthread_mutex_unlock(&buffer->state_lock);
    ret_state->damaged_rows = atomic_load_explicit(&buffer->damaged_rows, memory_order_relaxed);
}
