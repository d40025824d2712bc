#include "base/buffer/buffer_settle.h"

#include <errno.h>

#include "base/buffer/buffer_backends.h"
#include "base/buffer/buffer_refusals.h"
#include "base/buffer/buffer_rows.h"

static int note_posting(struct buffer *buffer, const struct buffer_backend *backend,
                        const struct buffer_settlement *settlement)
{
    if (!settlement->posting_key)
        return 0;
    if (settlement->posting.len == 0)
        return buffer_sql_run(
            buffer_store_bind(buffer, REMOVE_POSTING, "ii", backend->id, settlement->posting_key));
    return buffer_sql_run(buffer_store_bind(buffer, SET_POSTING, "iib", backend->id, settlement->posting_key,
                                            settlement->posting));
}

static int move(struct buffer *buffer, struct buffer_backend *backend,
                const struct buffer_settlement *settlement)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < settlement->moved_count; i++) {
        const struct buffer_moved *moved = &settlement->moved[i];
        err = buffer_backends_move(buffer, backend, moved->slot, moved->row_id);
        if (err == 0)
            err = buffer_rows_pass(buffer, moved->slot);
    }
    return err;
}

int buffer_settle_apply(struct buffer *buffer, const struct buffer_settlement *settlement)
{
    struct buffer_backend *backend = buffer_backends_find(buffer, settlement->backend);
    if (!backend)
        return -ENOENT;
    for (size_t i = 0; i < settlement->moved_count; i++)
        if (settlement->moved[i].slot < 0 || settlement->moved[i].slot >= BUFFER_SLOTS ||
            settlement->moved[i].row_id >= buffer->next_row)
            return -EINVAL;
    for (int cause = 0; cause < BUFFER_CAUSES; cause++) {
        backend->by_cause[cause] += settlement->counts[cause];
        backend->is_dirty |= settlement->counts[cause] > 0;
    }
    int err = move(buffer, backend, settlement);
    for (size_t i = 0; err == 0 && i < settlement->refused_count; i++)
        err = buffer_refusals_keep(buffer, backend->id, &settlement->refused[i]);
    return err < 0 ? err : note_posting(buffer, backend, settlement);
}

/* ---- replays */

/* The oldest goes when there are too many; what it delivered stays counted. */
static int forget_oldest_replay(struct buffer *buffer, const struct buffer_backend *backend)
{
    sqlite3_stmt *oldest =
        buffer_store_bind(buffer, OLDEST_REPLAY, "ii", backend->id, (int64_t)BUFFER_MOST_REPLAYS);
    int got = buffer_sql_row(oldest);
    if (got <= 0)
        return got;
    int64_t id = sqlite3_column_int64(oldest, 0), delivered = sqlite3_column_int64(oldest, 1);
    sqlite3_reset(oldest);
    int err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_REPLAY, "i", id));
    return err < 0 ? err
                   : buffer_sql_run(buffer_store_bind(buffer, INHERIT_REPLAY, "ii", backend->id, delivered));
}

int buffer_settle_replay(struct buffer *buffer, const struct buffer_replay_note *note)
{
    struct buffer_backend *backend = buffer_backends_find(buffer, note->backend);
    int64_t changed;
    if (!backend)
        return -ENOENT;
    int err = buffer_sql_run(buffer_store_bind(buffer, SET_REPLAY, "itiiiii", backend->id, note->plan,
                                               note->row_id, (int64_t)note->delivered, (int64_t)note->refused,
                                               (int64_t)note->is_done, buffer->now_ns));
    if (err == 0)
        err = buffer_sql_number(buffer_store_bind(buffer, CHANGED, ""), 0, &changed);
    if (err < 0 || changed)
        return err;
    err = buffer_sql_run(buffer_store_bind(buffer, ADD_REPLAY, "itiiiii", backend->id, note->plan,
                                           note->row_id, (int64_t)note->delivered, (int64_t)note->refused,
                                           (int64_t)note->is_done, buffer->now_ns));
    return err < 0 ? err : forget_oldest_replay(buffer, backend);
}
