#include "base/buffer/buffer_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer/buffer_locks.h"
#include "base/clock.h"
#include "base/crc32c.h"

#define COLUMNS                                                                                              \
    "id, slot, origin, boot_id, boot_started, format, seq, records, raw_bytes, payload_bytes, "              \
    "largest_stream_bytes, "                                                                                 \
    "earliest, latest, committed_at, crc, handed_over, goes_back FROM batch "
#define OWED "(?3 IS NULL OR owed IS NULL OR instr(owed, ?3)) "

#define STATEMENTS(X)                                                                                        \
    X(BEGIN, "BEGIN")                                                                                        \
    X(COMMIT, "COMMIT")                                                                                      \
    X(BACKEND, "SELECT id FROM backend WHERE name = ?1 AND until IS NULL")                                   \
    X(CURSORS, "SELECT slot, row FROM cursor WHERE backend = ?1")                                            \
    X(NEXT, "SELECT " COLUMNS "WHERE slot = ?1 AND id > ?2 AND " OWED "ORDER BY id LIMIT 1")                 \
    X(NEXT_OF_ANY, "SELECT " COLUMNS "WHERE ?1 < 0 AND id > ?2 AND " OWED "ORDER BY id LIMIT 1")             \
    X(PREVIOUS,                                                                                              \
      "SELECT " COLUMNS "WHERE id = (SELECT max(n) FROM (SELECT id AS n, origin AS o, latest AS l FROM "     \
      "batch WHERE slot = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?5) WHERE o = ?3 AND l > ?4)")               \
    X(CRC, "SELECT crc FROM batch WHERE id = ?1")                                                            \
    X(POSTINGS, "SELECT key, note FROM posting WHERE backend = ?1")                                          \
    X(REFUSAL, "SELECT f.id, f.row, f.at, coalesce(b.name, 'agent'), f.origin, f.words, f.cause, f.status, " \
               "f.format, f.records, "                                                                       \
               "f.source FROM refusal f LEFT JOIN backend b ON b.id = f.backend WHERE f.id > ?1 AND "        \
               "(?2 IS NULL OR coalesce(b.name, 'agent') = ?2) AND "                                         \
               "(?3 IS NULL OR f.origin = ?3) AND (?4 < 0 OR f.cause = ?4) AND (?5 = 0 OR f.id = ?5) "       \
               "ORDER BY f.id LIMIT 1")                                                                      \
    X(SOURCES, "SELECT sources FROM batch WHERE id = ?1")                                                    \
    X(REFUSED_PAYLOAD, "SELECT payload FROM refusal WHERE id = ?1")                                          \
    X(LEDGER, "SELECT accepted, delivered, repeated, refused, overtaken, unresolved, dropped, handed_over, " \
              "(SELECT sum(delivered) FROM replay WHERE backend = ?1) FROM backend WHERE id = ?1")           \
    X(REPLAY, "SELECT row, started, delivered, refused FROM replay WHERE backend = ?1 AND plan = ?2 AND "    \
              "NOT is_done")                                                                                 \
    X(REPLAY_DONE, "SELECT count(*) FROM replay WHERE backend = ?1 AND plan = ?2 AND is_done")               \
    X(REPLAY_OLDEST,                                                                                         \
      "SELECT min(CAST(substr(plan, length(?2) + 1) AS INTEGER)) FROM replay WHERE backend = ?1 AND "        \
      "substr(plan, 1, length(?2)) = ?2 AND (NOT is_done OR touched >= ?3)")                                 \
    X(PROGRESS_LAST, "SELECT max(at) FROM progress WHERE backend = ?1 AND at <= ?2")                         \
    X(PROGRESS,                                                                                              \
      "SELECT slot, coalesce("                                                                               \
      "(SELECT row FROM progress WHERE backend = ?1 AND slot = s.slot AND at <= ?2 ORDER BY at DESC LIMIT "  \
      "1), (SELECT row FROM progress WHERE backend = ?1 AND slot = s.slot ORDER BY at LIMIT 1)) "            \
      "FROM (SELECT DISTINCT slot FROM progress WHERE backend = ?1) s")                                      \
    X(BACKLOG,                                                                                               \
      "SELECT sum(r.records), count(*), sum(r.payload_bytes), min(r.committed_at) FROM cursor c CROSS JOIN " \
      "batch r ON r.slot = c.slot AND r.id > c.row WHERE c.backend = ?1 AND (r.owed IS NULL OR "             \
      "instr(r.owed, ?2))")

#define X(id, text) SQL_##id,
enum { STATEMENTS(X) SQL_COUNT };
#undef X
#define X(id, text) text,
static const char *const texts[] = {STATEMENTS(X)};
#undef X

struct buffer_reader {
    struct buffer *buffer;      /* borrowed */
    struct buffer_reader *next; /* under the buffer's state_lock */
    sqlite3 *db;
    sqlite3_stmt *sql[SQL_COUNT];
    char *name; /* owned; the backend or "tap" */
    char *key;  /* owned; ",ID,": how a row's owed names the backend; NULL without one */
    int64_t backend;
    _Atomic int64_t reading_since_ns; /* monotonic; 0: in no transaction */
};

#define bind(reader, statement, ...) buffer_sql_bind((reader)->sql[SQL_##statement], __VA_ARGS__)

static void enter(struct buffer_reader *reader)
{
    atomic_store_explicit(&reader->reading_since_ns, clock_mono_ns(), memory_order_relaxed);
}

static void leave(struct buffer_reader *reader)
{
    atomic_store_explicit(&reader->reading_since_ns, 0, memory_order_relaxed);
}

/* ---- opening */

static int find_backend(struct buffer_reader *reader, const char *backend)
{
    if (!backend)
        return 0;
    int err = buffer_sql_number(bind(reader, BACKEND, "t", backend), 0, &reader->backend);
    if (err == 0 && reader->backend == 0)
        err = -ENOENT;
    if (err == 0 && asprintf(&reader->key, ",%lld,", (long long)reader->backend) < 0) {
        reader->key = NULL;
        err = -ENOMEM;
    }
    return err;
}

static int open_db(struct buffer_reader *reader, const char *backend)
{
    int err = buffer_sql_open(reader->buffer->path, SQLITE_OPEN_READWRITE, NULL, &reader->db);
    if (err == 0)
        err = buffer_sql_exec(reader->db,
                              "PRAGMA query_only=ON; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;"
                              "PRAGMA wal_autocheckpoint=0;");
    if (err == 0)
        err = buffer_sql_prepare(reader->db, texts, SQL_COUNT, reader->sql);
    return err < 0 ? err : find_backend(reader, backend);
}

static void free_reader(struct buffer_reader *reader)
{
    buffer_sql_finalize(reader->sql, SQL_COUNT);
    sqlite3_close(reader->db);
    free(reader->name);
    free(reader->key);
    free(reader);
}

int buffer_reader_open(struct buffer *buffer, const char *backend, struct buffer_reader **ret_reader)
{
    struct buffer_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return -ENOMEM;
    reader->buffer = buffer;
    reader->name = strdup(backend ? backend : "tap");
    int err = reader->name ? open_db(reader, backend) : -ENOMEM;
    if (err < 0) {
        free_reader(reader);
        return err;
    }
    pthread_mutex_lock(&buffer->state_lock);
    reader->next = buffer->readers;
    buffer->readers = reader;
    pthread_mutex_unlock(&buffer->state_lock);
    *ret_reader = reader;
    return 0;
}

void buffer_reader_close(struct buffer_reader *reader)
{
    if (!reader)
        return;
    struct buffer *buffer = reader->buffer;
    pthread_mutex_lock(&buffer->state_lock);
    struct buffer_reader **at = &buffer->readers;
    while (*at && *at != reader)
        at = &(*at)->next;
    if (*at)
        *at = reader->next;
    pthread_mutex_unlock(&buffer->state_lock);
    free_reader(reader);
}

void buffer_reader_rest(struct buffer_reader *reader)
{
    sqlite3_db_release_memory(reader->db);
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------
 */

static int io_error(int err)
{
    return err == -ENOENT || err == -ENOMEM ? err : -EIO;
}

int buffer_reader_cursors(struct buffer_reader *reader, int64_t ret_cursors[BUFFER_SLOTS])
{
    sqlite3_stmt *row = bind(reader, CURSORS, "i", reader->backend);
    int got;
    memset(ret_cursors, 0, BUFFER_SLOTS * sizeof *ret_cursors);
    enter(reader);
    while ((got = buffer_sql_row(row)) > 0) {
        int64_t slot = sqlite3_column_int64(row, 0);
        if (slot >= 0 && slot < BUFFER_SLOTS)
            ret_cursors[slot] = sqlite3_column_int64(row, 1);
    }
    leave(reader);
    return got < 0 ? io_error(got) : 0;
}

int buffer_reader_next(struct buffer_reader *reader, int slot, int64_t after, struct buffer_row *ret_row)
{
    sqlite3_stmt *row = slot < 0 ? bind(reader, NEXT_OF_ANY, "iit", (int64_t)slot, after, reader->key)
                                 : bind(reader, NEXT, "iit", (int64_t)slot, after, reader->key);
    enter(reader);
    int got = buffer_sql_row(row);
    if (got > 0)
        buffer_sql_head(row, ret_row);
    sqlite3_reset(row);
    leave(reader);
    return got > 0 ? 0 : got < 0 ? io_error(got) : -ENOENT;
}

int buffer_reader_previous(struct buffer_reader *reader, const struct buffer_row *row, int64_t later_ns,
                           int most, struct buffer_row *ret_row)
{
    sqlite3_stmt *found =
        bind(reader, PREVIOUS, "iitii", (int64_t)row->slot, row->id, row->origin, later_ns, (int64_t)most);
    enter(reader);
    int got = buffer_sql_row(found);
    if (got > 0)
        buffer_sql_head(found, ret_row);
    sqlite3_reset(found);
    leave(reader);
    return got > 0 ? 0 : got < 0 ? io_error(got) : -ENOENT;
}

/* ---- payloads
 * ----------------------------------------------------------------------------------------------------------
 */

static int read_blob(struct buffer_reader *reader, int64_t row_id, struct buf *out)
{
    sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(reader->db, "main", "payload", "bytes", row_id, 0, &blob);
    if (code != SQLITE_OK) {
        sqlite3_blob_close(blob);
        return code == SQLITE_ERROR ? -EBADMSG : buffer_sql_errno(code);
    }
    int size = sqlite3_blob_bytes(blob);
    int err = buf_reserve(out, (size_t)size);
    if (err == 0 && size > 0)
        err = buffer_sql_errno(sqlite3_blob_read(blob, out->ptr + out->len, size, 0));
    if (err == 0)
        out->len += (size_t)size;
    sqlite3_blob_close(blob);
    return err;
}

/* The head's statement stays open meanwhile, so that head and payload are of one snapshot. */
int buffer_reader_payload(struct buffer_reader *reader, int64_t row_id, struct buf *out)
{
    size_t before = out->len;
    if (buffer_recent_copy(&reader->buffer->recent, row_id, out) == 0)
        return 0;
    sqlite3_stmt *head = bind(reader, CRC, "i", row_id);
    enter(reader);
    int err = buffer_sql_row(head);
    if (err > 0) {
        uint32_t crc = (uint32_t)sqlite3_column_int64(head, 0);
        err = read_blob(reader, row_id, out);
        if (err == 0 && crc32c(bytes_skip(buf_bytes(out), before)) != crc)
            err = -EBADMSG;
    } else if (err == 0) {
        err = -ENOENT;
    }
    sqlite3_reset(head);
    leave(reader);
    if (err == -EUCLEAN)
        err = -EBADMSG;
    if (err == -EBADMSG)
        atomic_fetch_add_explicit(&reader->buffer->damaged_rows, 1, memory_order_relaxed);
    if (err < 0)
        out->len = before;
    return err;
}

int buffer_reader_postings(struct buffer_reader *reader,
                           void (*each)(void *ctx, int64_t key, struct bytes note), void *ctx)
{
    sqlite3_stmt *row = bind(reader, POSTINGS, "i", reader->backend);
    int got;
    enter(reader);
    while ((got = buffer_sql_row(row)) > 0)
        each(ctx, sqlite3_column_int64(row, 0),
             (struct bytes){sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1)});
    leave(reader);
    return got < 0 ? io_error(got) : 0;
}

/* ---- refused records
 * ----------------------------------------------------------------------------------------------------------
 */

static void copy_text(sqlite3_stmt *s, int column, char *storage, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    snprintf(storage, size, "%s", text ? text : "");
}

int buffer_reader_refusal(struct buffer_reader *reader, const struct buffer_refusal_filter *filter,
                          int64_t after, struct buffer_refusal *ret_refusal)
{
    sqlite3_stmt *s = bind(reader, REFUSAL, "ittii", after, filter->backend, filter->origin,
                           (int64_t)filter->cause, filter->id);
    enter(reader);
    int got = buffer_sql_row(s);
    if (got > 0) {
        *ret_refusal = (struct buffer_refusal){.id = sqlite3_column_int64(s, 0),
                                               .row_id = sqlite3_column_int64(s, 1),
                                               .at_ns = sqlite3_column_int64(s, 2),
                                               .cause = (enum buffer_cause)sqlite3_column_int64(s, 6),
                                               .status = (int)sqlite3_column_int64(s, 7),
                                               .format = (enum batch_format)sqlite3_column_int64(s, 8),
                                               .records = (uint64_t)sqlite3_column_int64(s, 9)};
        copy_text(s, 3, ret_refusal->backend, sizeof ret_refusal->backend);
        copy_text(s, 4, ret_refusal->origin, sizeof ret_refusal->origin);
        copy_text(s, 5, ret_refusal->words, sizeof ret_refusal->words);
        copy_text(s, 10, ret_refusal->source, sizeof ret_refusal->source);
    }
    sqlite3_reset(s);
    leave(reader);
    return got > 0 ? 0 : got < 0 ? io_error(got) : -ENOENT;
}

/* The blob of one row. -ENOENT: there is no such row. */
static int append_blob(struct buffer_reader *reader, sqlite3_stmt *bound, struct buf *out)
{
    enter(reader);
    int got = buffer_sql_row(bound);
    int err = got < 0 ? io_error(got) : got == 0 ? -ENOENT : 0;
    if (err == 0)
        err = buf_append(out, sqlite3_column_blob(bound, 0), (size_t)sqlite3_column_bytes(bound, 0));
    sqlite3_reset(bound);
    leave(reader);
    return err;
}

int buffer_reader_sources(struct buffer_reader *reader, int64_t row_id, struct buf *out)
{
    return append_blob(reader, bind(reader, SOURCES, "i", row_id), out);
}

int buffer_reader_refusal_payload(struct buffer_reader *reader, int64_t id, struct buf *out)
{
    return append_blob(reader, bind(reader, REFUSED_PAYLOAD, "i", id), out);
}

int buffer_reader_replay(struct buffer_reader *reader, const char *plan, struct buffer_replay *ret_replay)
{
    sqlite3_stmt *s = bind(reader, REPLAY, "it", reader->backend, plan);
    enter(reader);
    int got = buffer_sql_row(s);
    if (got > 0)
        *ret_replay = (struct buffer_replay){.row_id = sqlite3_column_int64(s, 0),
                                             .started_ns = sqlite3_column_int64(s, 1),
                                             .delivered = (uint64_t)sqlite3_column_int64(s, 2),
                                             .refused = (uint64_t)sqlite3_column_int64(s, 3)};
    sqlite3_reset(s);
    leave(reader);
    return got > 0 ? 0 : got < 0 ? io_error(got) : -ENOENT;
}

/* The first column of the only row; fallback for NULL. */
static int read_number(struct buffer_reader *reader, sqlite3_stmt *bound, int64_t fallback,
                       int64_t *ret_number)
{
    enter(reader);
    int err = buffer_sql_number(bound, fallback, ret_number);
    leave(reader);
    return err < 0 ? io_error(err) : 0;
}

int buffer_reader_replay_is_done(struct buffer_reader *reader, const char *plan, bool *ret_is_done)
{
    int64_t count = 0;
    int err = read_number(reader, bind(reader, REPLAY_DONE, "it", reader->backend, plan), 0, &count);
    *ret_is_done = count > 0;
    return err;
}

int buffer_reader_replay_oldest(struct buffer_reader *reader, const char *prefix, int64_t since_ns,
                                int64_t *ret_number)
{
    return read_number(reader, bind(reader, REPLAY_OLDEST, "iti", reader->backend, prefix, since_ns),
                       INT64_MAX, ret_number);
}

int buffer_reader_progress_last(struct buffer_reader *reader, int64_t until_ns, int64_t *ret_at_ns)
{
    return read_number(reader, bind(reader, PROGRESS_LAST, "ii", reader->backend, until_ns), 0, ret_at_ns);
}

int buffer_reader_progress(struct buffer_reader *reader, int64_t at_ns, int64_t ret_cursors[BUFFER_SLOTS])
{
    sqlite3_stmt *s = bind(reader, PROGRESS, "ii", reader->backend, at_ns);
    memset(ret_cursors, 0, BUFFER_SLOTS * sizeof *ret_cursors);
    int got;
    enter(reader);
    while ((got = buffer_sql_row(s)) > 0) {
        int64_t slot = sqlite3_column_int64(s, 0);
        if (slot >= 0 && slot < BUFFER_SLOTS)
            ret_cursors[slot] = sqlite3_column_int64(s, 1);
    }
    leave(reader);
    return got < 0 ? io_error(got) : 0;
}

/* ---- the ledger
 * ----------------------------------------------------------------------------------------------------------
 */

static int read_counts(struct buffer_reader *reader, struct buffer_ledger *ledger)
{
    sqlite3_stmt *row = bind(reader, LEDGER, "i", reader->backend);
    int got = buffer_sql_row(row);
    if (got <= 0)
        return got < 0 ? got : -ENOENT;
    ledger->accepted = (uint64_t)sqlite3_column_int64(row, 0);
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        ledger->by_cause[cause] = (uint64_t)sqlite3_column_int64(row, 1 + cause);
    ledger->replayed = (uint64_t)sqlite3_column_int64(row, 1 + BUFFER_CAUSES);
    sqlite3_reset(row);
    return 0;
}

static int read_backlog(struct buffer_reader *reader, struct buffer_ledger *ledger)
{
    sqlite3_stmt *row = bind(reader, BACKLOG, "it", reader->backend, reader->key);
    int got = buffer_sql_row(row);
    if (got > 0) {
        ledger->buffered = (uint64_t)sqlite3_column_int64(row, 0);
        ledger->lag_rows = sqlite3_column_int64(row, 1);
        ledger->lag_bytes = sqlite3_column_int64(row, 2);
        ledger->oldest_committed_ns = sqlite3_column_int64(row, 3);
        sqlite3_reset(row);
    }
    return got < 0 ? got : 0;
}

int buffer_reader_ledger(struct buffer_reader *reader, struct buffer_ledger *ret_ledger)
{
    struct buffer_ledger ledger = {0};
    enter(reader);
    int err = buffer_sql_run(bind(reader, BEGIN, ""));
    if (err == 0)
        err = read_counts(reader, &ledger);
    if (err == 0)
        err = read_backlog(reader, &ledger);
    if (!sqlite3_get_autocommit(reader->db))
        buffer_sql_run(bind(reader, COMMIT, ""));
    leave(reader);
    if (err < 0)
        return io_error(err);
    *ret_ledger = ledger;
    return 0;
}

/* ---- who reads
 * --------------------------------------------------------------------------------------------------------------
 */

static bool name_own(struct buffer *buffer, char *storage, size_t size)
{
    int64_t oldest = clock_mono_ns() - INT64_C(1000000000); /* shorter ones come and go */
    bool found = false;
    pthread_mutex_lock(&buffer->state_lock);
    for (struct buffer_reader *reader = buffer->readers; reader; reader = reader->next) {
        int64_t since = atomic_load_explicit(&reader->reading_since_ns, memory_order_relaxed);
        if (since == 0 || since > oldest)
            continue;
        oldest = since;
        found = true;
        snprintf(storage, size, "%s", reader->name);
    }
    pthread_mutex_unlock(&buffer->state_lock);
    return found;
}

void buffer_reader_name_oldest(struct buffer *buffer, char *storage, size_t size)
{
    if (!name_own(buffer, storage, size) && !buffer_locks_name_reader(buffer->path, storage, size))
        storage[0] = '\0';
}
