#include "base/buffer_settle.h"

#include <errno.h>

#include "base/buffer_backends.h"
#include "base/buffer_rows.h"

enum { WORDS_MAX = 1024, REFUSAL_COST = 512 };

/* Past the limit the oldest refused records go, counted. */
static int make_room(struct buffer *buffer, int64_t bytes)
{
    while (buffer->refusal_bytes > 0 && buffer->refusal_bytes + bytes > buffer->refusal_limit_bytes) {
        sqlite3_stmt *oldest = buffer_store_bind(buffer, OLDEST_REFUSAL, "");
        int got = buffer_sql_row(oldest);
        if (got <= 0)
            return got;
        int64_t id = sqlite3_column_int64(oldest, 0), freed = sqlite3_column_int64(oldest, 1);
        sqlite3_reset(oldest);
        int err = buffer_sql_run(buffer_store_bind(buffer, REMOVE_REFUSAL, "i", id));
        if (err < 0)
            return err;
        buffer->refusal_bytes -= freed;
        buffer->refusals_forgotten++;
        buffer->refusals_forgotten_is_dirty = true;
    }
    return 0;
}

/* Words as they are kept: at most WORDS_MAX of them. */
static void cut_words(const char *said, char words[WORDS_MAX + 1])
{
    size_t len = said ? strnlen(said, WORDS_MAX) : 0;
    memcpy(words, said ? said : "", len);
    words[len] = '\0';
}

static int keep(struct buffer *buffer, const struct buffer_backend *backend,
                const struct buffer_refused *refused)
{
    char words[WORDS_MAX + 1];
    cut_words(refused->words, words);
    int64_t bytes = (int64_t)refused->payload.len + REFUSAL_COST;
    if (bytes > buffer->refusal_limit_bytes) {
        buffer->refusals_forgotten++;
        buffer->refusals_forgotten_is_dirty = true;
        return 0;
    }
    int err = make_room(buffer, bytes);
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(
            buffer, ADD_REFUSAL, "iitiitiiiib", backend->id, refused->row_id, refused->origin,
            (int64_t)refused->cause, (int64_t)refused->status, words, (int64_t)refused->format,
            (int64_t)refused->records, buffer->now_ns, bytes, refused->payload));
    if (err == 0)
        buffer->refusal_bytes += bytes;
    return err;
}

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
        err = keep(buffer, backend, &settlement->refused[i]);
    return err < 0 ? err : note_posting(buffer, backend, settlement);
}

/* ---- what an operator did about a kept record */

static struct buffer_backend *find_by_id(struct buffer *buffer, int64_t id)
{
    for (size_t i = 0; i < buffer->backend_count; i++)
        if (buffer->backends[i].id == id)
            return &buffer->backends[i];
    return NULL;
}

/* Never more than what the cause holds. */
static void count_delivered(struct buffer_backend *backend, int64_t cause, uint64_t records)
{
    if (!backend || cause < 0 || cause >= BUFFER_CAUSES)
        return;
    uint64_t moved = records < backend->by_cause[cause] ? records : backend->by_cause[cause];
    backend->by_cause[cause] -= moved;
    backend->by_cause[BUFFER_DELIVERED] += moved;
    backend->is_dirty = true;
}

static int keep_rest(struct buffer *buffer, const struct buffer_refusal_change *change, int64_t bytes)
{
    char words[WORDS_MAX + 1];
    cut_words(change->words, words);
    return buffer_sql_run(buffer_store_bind(buffer, SET_REFUSAL, "iitiiib", change->id,
                                            (int64_t)change->status, words, buffer->now_ns,
                                            (int64_t)change->left_records, bytes, change->left));
}

int buffer_settle_refusal(struct buffer *buffer, const struct buffer_refusal_change *change)
{
    sqlite3_stmt *row = buffer_store_bind(buffer, GET_REFUSAL, "i", change->id);
    int got = buffer_sql_row(row);
    if (got <= 0)
        return got < 0 ? got : -ENOENT;
    struct buffer_backend *backend = find_by_id(buffer, sqlite3_column_int64(row, 0));
    int64_t cause = sqlite3_column_int64(row, 1), before = sqlite3_column_int64(row, 2), after = 0;
    sqlite3_reset(row);
    if (change->left_records)
        after = change->left.len ? (int64_t)change->left.len + REFUSAL_COST : before;
    int err = change->left_records
                  ? keep_rest(buffer, change, after)
                  : buffer_sql_run(buffer_store_bind(buffer, REMOVE_REFUSAL, "i", change->id));
    if (err == 0) {
        count_delivered(backend, cause, change->delivered);
        buffer->refusal_bytes -= before - after;
    }
    return err;
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
