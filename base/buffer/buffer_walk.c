#include "base/buffer/buffer_walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"

#define COLUMNS                                                                                              \
    "SELECT id, slot, origin, boot_id, boot_started, format, seq, records, raw_bytes, payload_bytes, "       \
    "largest_stream_bytes, earliest, latest, committed_at, crc, handed_over, goes_back, owed FROM batch "

enum { SQL_NEXT, SQL_ONE, SQL_PAYLOAD, SQL_CURSOR, SQL_LAST };
static const char *const texts[BUFFER_WALK_STATEMENTS] = {
    COLUMNS "WHERE id > ?1 ORDER BY id LIMIT 1",
    COLUMNS "WHERE id = ?1",
    "SELECT bytes FROM payload WHERE id = ?1",
    "SELECT row FROM cursor WHERE backend = ?1 AND slot = ?2",
    "SELECT value - 1 FROM meta WHERE name = 'next_row'",
};

#define bind(walk, statement, ...) buffer_sql_bind((walk)->sql[SQL_##statement], __VA_ARGS__)

int buffer_walk_open(struct buffer_walk *walk, const char *path)
{
    *walk = (struct buffer_walk){0};
    int err = buffer_sql_open(path, SQLITE_OPEN_READWRITE, NULL, &walk->db);
    if (err < 0)
        return err;
    sqlite3_db_config(walk->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    err =
        buffer_sql_exec(walk->db, "PRAGMA query_only=ON; PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY;");
    if (err == 0)
        err = buffer_sql_prepare(walk->db, texts, BUFFER_WALK_STATEMENTS, walk->sql);
    if (err < 0) {
        err = buffer_sql_opening_error(walk->db, err);
        buffer_walk_close(walk);
        return err;
    }
    if (buffer_sql_number(bind(walk, LAST, ""), 0, &walk->last) < 0 || walk->last < 0)
        walk->last = BUFFER_WALK_BLIND;
    return 0;
}

void buffer_walk_close(struct buffer_walk *walk)
{
    buffer_leaves_close(&walk->leaves);
    buffer_sql_finalize(walk->sql, BUFFER_WALK_STATEMENTS);
    sqlite3_close(walk->db);
    walk->db = NULL;
}

static void take_row(struct buffer_walk *walk, sqlite3_stmt *s, struct buffer_row *row)
{
    const char *owed = (const char *)sqlite3_column_text(s, 17);
    buffer_sql_head(s, row);
    snprintf(walk->owed, sizeof walk->owed, "%s", owed ? owed : "");
    walk->after = row->id;
}

/* A row as damage may leave it is not one. */
static bool is_sound(const struct buffer_row *row)
{
    return row->slot >= 0 && row->slot < BUFFER_SLOTS && row->origin[0] &&
           buffer_slot(row->origin) == row->slot && row->seq > 0;
}

static int take_if_sound(struct buffer_walk *walk, sqlite3_stmt *s, int64_t at_least, struct buffer_row *row)
{
    int got = buffer_sql_row(s);
    if (got > 0)
        take_row(walk, s, row);
    sqlite3_reset(s);
    if (got > 0 && (row->id < at_least || !is_sound(row)))
        return -EUCLEAN;
    return got;
}

static void note_unreadable(struct buffer_walk *walk, int64_t id)
{
    if (walk->unreadable++ == 0)
        walk->first_unreadable = id;
    walk->last_unreadable = id;
}

void buffer_walk_use_leaves(struct buffer_walk *walk, const char *path)
{
    sqlite3_wal_checkpoint_v2(walk->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (buffer_leaves_open(&walk->leaves, path) < 0)
        return;
    for (int64_t id = walk->last; (id = buffer_leaves_next(&walk->leaves, id)) > 0;)
        walk->last = id;
}

/* Whether a leaf has a head of that id. */
static bool take_leaf(struct buffer_walk *walk, int64_t id, struct buffer_row *row)
{
    int err = 0;
    for (size_t nth = 0; err != -ENOENT; nth++) {
        err = buffer_leaves_head(&walk->leaves, id, nth, row, walk->owed, sizeof walk->owed);
        if (err == 0 && is_sound(row)) {
            walk->after = id;
            walk->from_leaves++;
            return true;
        }
    }
    return false;
}

/* One between after and before that the tree does not know any more. */
static bool take_leaf_before(struct buffer_walk *walk, int64_t before, struct buffer_row *row)
{
    int64_t id = walk->after;
    while ((id = buffer_leaves_next(&walk->leaves, id)) > 0 && id < before)
        if (take_leaf(walk, id, row))
            return true;
    return false;
}

/* Past an error. */
static int next_by_id(struct buffer_walk *walk, struct buffer_row *row)
{
    for (int64_t id = walk->after + 1; id <= walk->last; id++) {
        int got = take_if_sound(walk, bind(walk, ONE, "i", id), id, row);
        if (got > 0 || (got != -ENOMEM && take_leaf(walk, id, row)))
            return 0;
        if (got == -ENOMEM)
            return got;
        walk->after = id;
        if (got < 0)
            note_unreadable(walk, id);
    }
    return -ENOENT;
}

int buffer_walk_next(struct buffer_walk *walk, struct buffer_row *ret_row)
{
    int64_t before = walk->after;
    struct buffer_row leaf;
    char owed[sizeof walk->owed];
    int got = take_if_sound(walk, bind(walk, NEXT, "i", before), before + 1, ret_row);
    if (got == -ENOMEM)
        return got;
    if (got < 0) {
        walk->after = before;
        return next_by_id(walk, ret_row);
    }
    memcpy(owed, walk->owed, sizeof owed);
    walk->after = before;
    if (take_leaf_before(walk, got > 0 ? ret_row->id : INT64_MAX, &leaf)) {
        *ret_row = leaf;
        return 0;
    }
    memcpy(walk->owed, owed, sizeof owed);
    walk->after = got > 0 ? ret_row->id : before;
    return got > 0 ? 0 : -ENOENT;
}

static int read_payload(struct buffer_walk *walk, int64_t id, struct buf *out)
{
    sqlite3_stmt *s = bind(walk, PAYLOAD, "i", id);
    int got = buffer_sql_row(s), err = -EBADMSG;
    if (got > 0)
        err = buf_append(out, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
    sqlite3_reset(s);
    return got == -ENOMEM ? got : err;
}

int buffer_walk_payload(struct buffer_walk *walk, const struct buffer_row *row, struct buf *out)
{
    buf_clear(out);
    int err = read_payload(walk, row->id, out);
    if (err == 0 && crc32c(buf_bytes(out)) == row->crc)
        return 0;
    for (size_t nth = 0; err != -ENOMEM && err != -ENOENT; nth++) {
        buf_clear(out);
        err = buffer_leaves_payload(&walk->leaves, row->id, nth, out);
        if (err == 0 && crc32c(buf_bytes(out)) == row->crc) {
            walk->from_leaves++;
            return 0;
        }
    }
    return err == -ENOMEM ? err : -EBADMSG;
}

int buffer_walk_cursor(struct buffer_walk *walk, int64_t backend, int slot, int64_t *ret_row)
{
    int64_t row;
    int err = buffer_sql_number(bind(walk, CURSOR, "ii", backend, (int64_t)slot), -1, &row);
    if (err < 0)
        return err;
    if (row < 0)
        return -ENOENT;
    *ret_row = row;
    return 0;
}
