#include "base/buffer/buffer_refusals.h"

#include <errno.h>

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

int buffer_refusals_keep(struct buffer *buffer, int64_t backend, const struct buffer_refused *refused)
{
    char words[WORDS_MAX + 1], source[WORDS_MAX + 1];
    cut_words(refused->words, words);
    cut_words(refused->source, source);
    int64_t bytes = (int64_t)refused->payload.len + REFUSAL_COST;
    if (bytes > buffer->refusal_limit_bytes) {
        buffer->refusals_forgotten++;
        buffer->refusals_forgotten_is_dirty = true;
        return 0;
    }
    int err = make_room(buffer, bytes);
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(
            buffer, ADD_REFUSAL, "iitiitiiiibt", backend, refused->row_id, refused->origin,
            (int64_t)refused->cause, (int64_t)refused->status, words, (int64_t)refused->format,
            (int64_t)refused->records, buffer->now_ns, bytes, refused->payload, source));
    if (err == 0)
        buffer->refusal_bytes += bytes;
    return err;
}

/* What the agent refused is kept as its own words say it; the backend is nobody. */
static int keep_of_agent(struct buffer *buffer, const struct batch *batch, const struct batch_refusal *from)
{
    struct buffer_refused refused = {.origin = batch->origin,
                                     .cause = BUFFER_REFUSED,
                                     .words = from->words,
                                     .source = from->source,
                                     .format = from->format,
                                     .records = from->records,
                                     .payload = from->payload};
    return buffer_refusals_keep(buffer, BUFFER_REFUSED_BY_AGENT, &refused);
}

int buffer_refusals_keep_agents(struct buffer *buffer, const struct batch *batch)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < batch->refusal_count; i++)
        err = keep_of_agent(buffer, batch, &batch->refusals[i]);
    return err;
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

int buffer_refusals_change(struct buffer *buffer, const struct buffer_refusal_change *change)
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
