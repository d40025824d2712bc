#include "base/buffer/buffer_store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buffer/buffer_backends.h"
#include "base/buffer/buffer_interior.h"
#include "base/buffer/buffer_origins.h"
#include "base/buffer/buffer_rows.h"
#include "base/buffer/buffer_salvage.h"
#include "base/buffer/buffer_schema.h"
#include "base/buffer/buffer_space.h"
#include "base/clock.h"

#define X(id, text) text,
static const char *const texts[] = {BUFFER_STATEMENTS(X)};
#undef X

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct buffer *buffer = ctx;
    (void)db;
    (void)name;
    int64_t bytes = (int64_t)pages * BUFFER_PAGE_SIZE;
    if (bytes < buffer->wal_bytes)
        buffer->wal_checkpointed = 0; /* it began again at its start */
    buffer->wal_bytes = bytes;
    return SQLITE_OK;
}

static int get_meta(struct buffer *buffer, const char *name, int64_t *ret_value)
{
    return buffer_sql_number(buffer_store_bind(buffer, GET_META, "t", name), 0, ret_value);
}

static void publish(struct buffer *buffer)
{
    for (int slot = 0; slot < BUFFER_SLOTS; slot++)
        atomic_store_explicit(&buffer->published[slot], buffer->slots[slot].newest, memory_order_release);
}

int buffer_store_load(struct buffer *buffer)
{
    int err = buffer_origins_load(buffer);
    if (err == 0)
        err = buffer_backends_load(buffer);
    if (err == 0)
        err = buffer_rows_load(buffer);
    if (err == 0)
        err = get_meta(buffer, "next_row", &buffer->next_row);
    if (err == 0)
        err = get_meta(buffer, "refusals_forgotten", &buffer->refusals_forgotten);
    if (err == 0)
        err = buffer_sql_number(buffer_store_bind(buffer, SUM_REFUSALS, ""), 0, &buffer->refusal_bytes);
    if (err == 0 && buffer->next_row < 1)
        err = -EUCLEAN;
    buffer->next_row_is_dirty = buffer->refusals_forgotten_is_dirty = false;
    for (int slot = 0; err == 0 && slot < BUFFER_SLOTS; slot++)
        if (buffer->next_row <= buffer->slots[slot].newest) /* damage: no new row would find its place */
            err = -EUCLEAN;
    if (err == 0)
        publish(buffer);
    return err;
}

/* ---- transactions */

int buffer_store_begin(struct buffer *buffer)
{
    buffer->now_ns = clock_wall_ns();
    int err = buffer_sql_run(buffer_store_bind(buffer, BEGIN, ""));
    return err < 0 ? err : buffer_space_begin(buffer);
}

static int set_meta(struct buffer *buffer, const char *name, int64_t value, bool *is_dirty)
{
    if (!*is_dirty)
        return 0;
    *is_dirty = false;
    return buffer_sql_run(buffer_store_bind(buffer, SET_META, "ti", name, value));
}

int buffer_store_commit(struct buffer *buffer)
{
    int err = buffer_origins_flush(buffer);
    if (err == 0)
        err = buffer_backends_flush(buffer);
    if (err == 0)
        err = set_meta(buffer, "next_row", buffer->next_row, &buffer->next_row_is_dirty);
    if (err == 0)
        err = set_meta(buffer, "refusals_forgotten", buffer->refusals_forgotten,
                       &buffer->refusals_forgotten_is_dirty);
    if (err == 0)
        err = buffer_sql_run(buffer_store_bind(buffer, COMMIT, ""));
    if (err == 0)
        publish(buffer);
    return err;
}

void buffer_store_rollback(struct buffer *buffer)
{
    if (!sqlite3_get_autocommit(buffer->db)) /* SQLite may have rolled back by itself */
        buffer_sql_run(buffer_store_bind(buffer, ROLLBACK, ""));
    buffer->mirror_is_valid = buffer_store_load(buffer) == 0;
}

/* The time, because SQLite leaves out a write that changes nothing. */
int buffer_store_try(struct buffer *buffer)
{
    return buffer_sql_run(buffer_store_bind(buffer, TRY_META, "i", buffer->now_ns));
}

int buffer_store_probe(struct buffer *buffer)
{
    int err = buffer_store_begin(buffer);
    if (err == 0)
        err = buffer_store_try(buffer);
    if (err == 0)
        err = buffer_store_commit(buffer);
    if (err < 0)
        buffer_store_rollback(buffer);
    return err;
}

/* ---- opening */

/* The heads of the batches and the tables beside them are small next to the payloads, and everything rests on
 * them: damage there shows at once too, also where only an index and its table do not agree. */
static int check_tables(struct buffer *buffer)
{
    static const char *const checks[] = {
        "PRAGMA integrity_check('batch')",   "PRAGMA integrity_check('meta')",
        "PRAGMA integrity_check('origin')",  "PRAGMA integrity_check('boot')",
        "PRAGMA integrity_check('number')",  "PRAGMA integrity_check('file_end')",
        "PRAGMA integrity_check('backend')", "PRAGMA integrity_check('cursor')",
        "PRAGMA integrity_check('posting')", "PRAGMA integrity_check('milestone')",
        "PRAGMA integrity_check('progress')"};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof checks / sizeof *checks; i++) {
        sqlite3_stmt *row = NULL;
        err = buffer_sql_prepare(buffer->db, &checks[i], 1, &row);
        int got = err < 0 ? err : buffer_sql_row(row);
        const char *said = got > 0 ? (const char *)sqlite3_column_text(row, 0) : NULL;
        err = got < 0 ? got : said && strcmp(said, "ok") == 0 ? 0 : -EUCLEAN;
        sqlite3_finalize(row);
    }
    return err == -EUCLEAN ? err : 0;
}

/* What a batch of each slot would write, taken back: damage on the pages where new rows go, or in the list of
 * free ones, shows when the file is opened and not when an agent waits. */
static const char rehearsal[] =
    "BEGIN IMMEDIATE;"
    "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 63)"
    " INSERT INTO batch SELECT (SELECT value FROM meta WHERE name = 'next_row') + n, n, 'rehearsal',"
    " 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL FROM s;"
    "INSERT INTO payload SELECT value, zeroblob(262144) FROM meta WHERE name = 'next_row';"
    "INSERT INTO origin VALUES(NULL, '', 0, 0, 0);"
    "INSERT INTO boot VALUES(NULL, 0, 0, 0, 0);"
    "INSERT INTO number VALUES(0, 0, 0);"
    "INSERT INTO file_end VALUES(0, '', 0, 0);"
    "INSERT INTO posting VALUES(0, 0, '');"
    "INSERT INTO refusal VALUES(NULL, 0, 0, '', 0, 0, '', 0, 0, 0, 0, '', '');"
    "INSERT INTO milestone VALUES(0, 0, 0);"
    "INSERT INTO progress VALUES(0, 0, 0, 0);";

static int rehearse(struct buffer *buffer)
{
    int err = buffer_sql_exec(buffer->db, rehearsal);
    if (!sqlite3_get_autocommit(buffer->db))
        buffer_sql_exec(buffer->db, "ROLLBACK");
    return err == -EUCLEAN ? err : 0; /* a full or read-only volume is a state */
}

static void close_db(struct buffer *buffer)
{
    buffer_sql_finalize(buffer->sql, BUFFER_SQL_COUNT);
    sqlite3_close(buffer->db);
    buffer->db = NULL;
}

static int open_db(struct buffer *buffer, char ret_aside[BUFFER_PATH_MAX], struct buf *errors)
{
    int err = buffer_schema_open(buffer->path, &buffer->db, ret_aside, errors);
    if (err < 0)
        return err;
    sqlite3_wal_hook(buffer->db, on_wal, buffer);
    err = buffer_sql_prepare(buffer->db, texts, BUFFER_SQL_COUNT, buffer->sql);
    if (err == 0)
        err = buffer_schema_id(buffer->db, buffer->id);
    if (err == 0)
        err = buffer_space_init(buffer);
    if (err == 0)
        err = buffer_store_load(buffer);
    if (err == 0)
        err = check_tables(buffer);
    if (err == 0)
        err = buffer_interior_check(buffer->db, "payload");
    if (err == 0)
        err = rehearse(buffer);
    if (err < 0) {
        err = buffer_sql_opening_error(buffer->db, err);
        close_db(buffer);
    }
    return err;
}

int buffer_store_open(struct buffer *buffer, const struct buffer_options *options, struct buf *errors)
{
    char aside[BUFFER_PATH_MAX] = "";
    int err = open_db(buffer, aside, errors);
    if (err == -EUCLEAN) { /* its schema can be read, its tables cannot */
        err = buffer_schema_move_aside(buffer->path, "damaged", aside, errors);
        if (err == 0)
            err = open_db(buffer, NULL, errors);
    }
    if (err == 0)
        err = buffer_backends_configure(buffer, options);
    if (err < 0)
        return err;
    buffer->mirror_is_valid = true;
    if (aside[0])
        err = buffer_salvage(buffer, aside, errors);
    if (err < 0)
        return err;
    publish(buffer);
    buffer_space_measure(buffer);
    return 0;
}

void buffer_store_close(struct buffer *buffer)
{
    if (buffer->db)
        sqlite3_wal_checkpoint_v2(buffer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    buffer_origins_free(buffer);
    buffer_backends_free(buffer);
    close_db(buffer);
}
