#include "base/buffer/buffer_writer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buffer/buffer_refusals.h"
#include "base/buffer/buffer_rows.h"
#include "base/buffer/buffer_settle.h"
#include "base/buffer/buffer_space.h"
#include "base/clock.h"

enum { TIDY_BUSY_MS = 100, PATIENCE_MS = 4 };

struct group {
    struct buffer_work *works[BUFFER_GROUP_WORKS]; /* owned */
    size_t count;
    int64_t bytes;
};

/* ---- the queue */

static void answer(const struct buffer_work *work)
{
    switch (work->kind) {
    case BUFFER_WORK_APPEND:
        mailbox_post(work->of.append->reply_to, &work->of.append->letter);
        break;
    case BUFFER_WORK_RESUME:
        mailbox_post(work->of.resume->reply_to, &work->of.resume->letter);
        break;
    case BUFFER_WORK_SETTLE:
        mailbox_post(work->of.settlement->reply_to, &work->of.settlement->letter);
        break;
    case BUFFER_WORK_HAND_OVER:
        mailbox_post(work->of.handed->reply_to, &work->of.handed->letter);
        break;
    case BUFFER_WORK_REFUSAL:
        mailbox_post(work->of.change->reply_to, &work->of.change->letter);
        break;
    case BUFFER_WORK_REPLAY:
        mailbox_post(work->of.replay->reply_to, &work->of.replay->letter);
        break;
    }
}

static void fail(const struct buffer_work *work, int err)
{
    switch (work->kind) {
    case BUFFER_WORK_APPEND:
        work->of.append->outcome = err == -ENOSPC ? BUFFER_FULL : BUFFER_FAILED;
        break;
    case BUFFER_WORK_RESUME:
        work->of.resume->error = err;
        break;
    case BUFFER_WORK_SETTLE:
        work->of.settlement->error = err;
        break;
    case BUFFER_WORK_HAND_OVER:
        work->of.handed->error = err;
        break;
    case BUFFER_WORK_REFUSAL:
        work->of.change->error = err;
        break;
    case BUFFER_WORK_REPLAY:
        work->of.replay->error = err;
        break;
    }
}

void buffer_writer_queue(struct buffer *buffer, struct buffer_work work)
{
    struct buffer_work *copy = malloc(sizeof *copy);
    bool is_taken = false;
    work.next = NULL;
    if (copy) {
        *copy = work;
        pthread_mutex_lock(&buffer->queue_lock);
        is_taken = !buffer->is_stopping;
        if (is_taken && buffer->last)
            buffer->last->next = copy;
        else if (is_taken)
            buffer->first = copy;
        if (is_taken)
            buffer->last = copy;
        pthread_mutex_unlock(&buffer->queue_lock);
        pthread_cond_signal(&buffer->queue_filled); /* not under the lock, which the writer takes first */
    }
    if (!is_taken) {
        fail(&work, copy ? -ESHUTDOWN : -ENOMEM);
        answer(&work);
        free(copy);
    }
}

static int64_t bytes_of(const struct buffer_work *work)
{
    return work->kind == BUFFER_WORK_APPEND ? (int64_t)work->of.append->batch->payload.len : 0;
}

/* Whether all that is queued may wait a little for company: settlements that nobody posts after. */
static bool is_patient(const struct buffer *buffer)
{
    for (const struct buffer_work *work = buffer->first; work; work = work->next) {
        if (work->kind != BUFFER_WORK_SETTLE || work->of.settlement->posting_key)
            return false;
    }
    return true;
}

/* A moved cursor is committed with the next batch when one comes at once: a commit costs the same for both.
 */
static void wait_for_company(struct buffer *buffer)
{
    int64_t deadline_ns = clock_mono_ns() + (int64_t)PATIENCE_MS * 1000000;
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    while (buffer->first && !buffer->is_stopping && is_patient(buffer))
        if (pthread_cond_timedwait(&buffer->queue_filled, &buffer->queue_lock, &until) == ETIMEDOUT)
            break;
}

/* Takes what is queued, after waiting for it until deadline_ns of the monotonic clock. Returns false to stop.
 */
static bool take_group(struct buffer *buffer, int64_t deadline_ns, struct group *group)
{
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    group->count = 0;
    group->bytes = 0;
    pthread_mutex_lock(&buffer->queue_lock);
    while (!buffer->first && !buffer->is_stopping)
        if (pthread_cond_timedwait(&buffer->queue_filled, &buffer->queue_lock, &until) == ETIMEDOUT)
            break;
    wait_for_company(buffer);
    bool goes_on = buffer->first || !buffer->is_stopping;
    while (buffer->first && group->count < BUFFER_GROUP_WORKS &&
           (group->count == 0 || group->bytes + bytes_of(buffer->first) <= BUFFER_GROUP_BYTES)) {
        struct buffer_work *work = buffer->first;
        group->works[group->count++] = work;
        group->bytes += bytes_of(work);
        buffer->first = work->next;
        if (!buffer->first)
            buffer->last = NULL;
    }
    pthread_mutex_unlock(&buffer->queue_lock);
    return goes_on;
}

/* ---- one transaction */

static void drop_ends(struct buffer_resume *resume)
{
    for (size_t i = 0; i < resume->end_count; i++)
        free(resume->ends[i].file);
    free(resume->ends);
    resume->ends = NULL;
    resume->end_count = 0;
}

/* An error here is the transaction's; what concerns only this piece goes into it. */
static int apply(struct buffer *buffer, struct buffer_work *work)
{
    int err = 0;
    switch (work->kind) {
    case BUFFER_WORK_APPEND:
        return buffer_rows_append(buffer, work->of.append);
    case BUFFER_WORK_RESUME:
        work->of.resume->error = 0;
        return buffer_rows_resume(buffer, work->of.resume);
    case BUFFER_WORK_SETTLE:
        err = buffer_settle_apply(buffer, work->of.settlement);
        work->of.settlement->error = err;
        return err == -ENOENT || err == -EINVAL ? 0 : err;
    case BUFFER_WORK_HAND_OVER:
        err = buffer_rows_hand_over(buffer, work->of.handed->row_id);
        work->of.handed->error = err;
        return err == -ENOENT ? 0 : err;
    case BUFFER_WORK_REFUSAL:
        err = buffer_refusals_change(buffer, work->of.change);
        work->of.change->error = err;
        return err == -ENOENT ? 0 : err;
    case BUFFER_WORK_REPLAY:
        err = buffer_settle_replay(buffer, work->of.replay);
        work->of.replay->error = err;
        return err == -ENOENT ? 0 : err;
    }
    return err;
}

/* While the file could not be written every transaction writes: one that only reads would say that all is
 * well. */
static int transact(struct buffer *buffer, struct buffer_work *const *works, size_t count)
{
    size_t done = 0;
    int err = buffer->mirror_is_valid ? buffer_store_begin(buffer) : -EIO;
    if (err == 0 && !buffer->tally.can_commit)
        err = buffer_store_try(buffer);
    while (err == 0 && done < count)
        err = apply(buffer, works[done++]);
    if (err == 0)
        err = buffer_store_commit(buffer);
    if (err == 0)
        return 0;
    for (size_t i = 0; i < done; i++)
        if (works[i]->kind == BUFFER_WORK_RESUME)
            drop_ends(works[i]->of.resume);
    buffer_store_rollback(buffer);
    return err;
}

static void tally(struct buffer *buffer, struct buffer_work *const *works, size_t count, int64_t took_ns,
                  bool *added)
{
    struct buffer_state *t = &buffer->tally;
    t->commits++;
    t->commit_ns += took_ns;
    for (size_t i = 0; i < count; i++) {
        const struct buffer_append *append = works[i]->of.append;
        if (works[i]->kind != BUFFER_WORK_APPEND)
            continue;
        bool is_committed = append->outcome == BUFFER_COMMITTED;
        t->committed_batches += is_committed;
        t->committed_bytes += is_committed ? (int64_t)append->batch->payload.len : 0;
        t->accepted_records += is_committed ? append->batch->records : 0;
        t->repeated_batches += append->outcome == BUFFER_REPEATED;
        t->full_answers += append->outcome == BUFFER_FULL;
        *added |= is_committed;
    }
}

static void publish_state(struct buffer *buffer, int err)
{
    buffer_space_measure(buffer);
    buffer->tally.last_error = err;
    buffer->tally.can_commit = err == 0;
    pthread_mutex_lock(&buffer->state_lock);
    buffer->state = buffer->tally;
    pthread_mutex_unlock(&buffer->state_lock);
}

/* Commits the pieces together; returns the error when that failed and they are to be tried one by one. */
static int commit(struct buffer *buffer, struct buffer_work *const *works, size_t count, bool *added)
{
    int64_t began = clock_mono_ns();
    int err = transact(buffer, works, count);
    if (err == 0) {
        tally(buffer, works, count, clock_mono_ns() - began, added);
    } else if (count == 1) {
        fail(works[0], err);
        buffer->tally.full_answers += works[0]->kind == BUFFER_WORK_APPEND && err == -ENOSPC;
    }
    publish_state(buffer, err);
    return err;
}

/* For the fan-out that is about to ask for them; without one nobody does. */
static void keep_recent(struct buffer *buffer, const struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct buffer_append *append = group->works[i]->of.append;
        if (group->works[i]->kind == BUFFER_WORK_APPEND && append->outcome == BUFFER_COMMITTED &&
            append->row_id && buffer->backend_count)
            buffer_recent_keep(&buffer->recent, append->row_id, append->batch);
    }
}

static void run_group(struct buffer *buffer, struct group *group)
{
    bool added = false;
    int err = commit(buffer, group->works, group->count, &added);
    for (size_t i = 0; err < 0 && group->count > 1 && i < group->count; i++)
        commit(buffer, &group->works[i], 1, &added);
    keep_recent(buffer, group);
    pthread_mutex_lock(&buffer->hook_lock);
    for (int i = 0; added && i < buffer->hook_count; i++)
        buffer->hooks[i].fn(buffer->hooks[i].ctx);
    pthread_mutex_unlock(&buffer->hook_lock);
    for (size_t i = 0; i < group->count; i++) {
        answer(group->works[i]);
        free(group->works[i]);
    }
}

/* ---- the thread */

/* Between groups: the WAL, then one step of retention when it is due. Also how a file that could not commit
 * is tried again when nobody asks. */
static void tidy(struct buffer *buffer)
{
    int64_t now = clock_mono_ns();
    buffer_space_checkpoint(buffer);
    if (now < buffer->next_tidy_ns)
        return;
    bool has_more = false, could = buffer->tally.can_commit;
    buffer_recent_clear(&buffer->recent);
    if (!buffer->mirror_is_valid)
        buffer_store_rollback(buffer);
    int err = buffer->mirror_is_valid ? buffer_space_tidy(buffer, &has_more) : -EIO;
    if (err == 0 && !could)
        err = buffer_store_probe(buffer);
    publish_state(buffer, err);
    sqlite3_db_release_memory(buffer->db); /* its page cache fills with pages that are not asked for again */
    buffer->next_tidy_ns = clock_mono_ns() + (int64_t)(has_more ? TIDY_BUSY_MS : BUFFER_TIDY_MS) * 1000000;
}

static void *run(void *ctx)
{
    struct buffer *buffer = ctx;
    struct group group;
    while (take_group(buffer, buffer->next_tidy_ns, &group)) {
        if (group.count)
            run_group(buffer, &group);
        tidy(buffer);
    }
    return NULL;
}

int buffer_writer_start(struct buffer *buffer)
{
    buffer->next_tidy_ns = clock_mono_ns() + (int64_t)BUFFER_TIDY_MS * 1000000;
    publish_state(buffer, 0);
    int err = -pthread_create(&buffer->thread, NULL, run, buffer);
    buffer->has_thread = err == 0;
    return err;
}

void buffer_writer_stop(struct buffer *buffer)
{
    pthread_mutex_lock(&buffer->queue_lock);
    buffer->is_stopping = true;
    pthread_cond_signal(&buffer->queue_filled);
    pthread_mutex_unlock(&buffer->queue_lock);
    if (buffer->has_thread)
        pthread_join(buffer->thread, NULL);
    buffer->has_thread = false;
}
