#include "base/buffer/buffer_sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int buffer_sql_errno(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return -EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EACCES;
    case SQLITE_NOTFOUND:
        return -ENOENT;
    default:
        return -EIO;
    }
}

int buffer_sql_open(const char *path, int flags, const char *vfs, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, vfs);
    if (code != SQLITE_OK) {
        sqlite3_close(db);
        return buffer_sql_errno(code);
    }
    sqlite3_busy_timeout(db, BUFFER_SQL_BUSY_MS);
    *ret_db = db;
    return 0;
}

int buffer_sql_opening_error(sqlite3 *db, int err)
{
    return err == -EIO && (sqlite3_errcode(db) & 0xff) == SQLITE_ERROR ? -EUCLEAN : err;
}

int buffer_sql_exec(sqlite3 *db, const char *text)
{
    return buffer_sql_errno(sqlite3_exec(db, text, NULL, NULL, NULL));
}

int buffer_sql_prepare(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **statements)
{
    for (size_t i = 0; i < count; i++) {
        int code = sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
        if (code == SQLITE_ERROR)
            return -EUCLEAN; /* the text is fixed: a table or column of ours is not there */
        if (code != SQLITE_OK)
            return buffer_sql_errno(code);
    }
    return 0;
}

void buffer_sql_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

sqlite3_stmt *buffer_sql_bind(sqlite3_stmt *statement, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 'i') {
            sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t));
        } else if (types[i] == 't') {
            sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            struct bytes blob = va_arg(args, struct bytes);
            sqlite3_bind_blob64(statement, i + 1, blob.ptr ? (const void *)blob.ptr : "", blob.len,
                                SQLITE_STATIC);
        }
    }
    va_end(args);
    return statement;
}

int buffer_sql_row(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    sqlite3_reset(statement);
    return buffer_sql_errno(code);
}

int buffer_sql_run(sqlite3_stmt *statement)
{
    int got;
    do
        got = buffer_sql_row(statement);
    while (got > 0);
    return got;
}

int buffer_sql_number(sqlite3_stmt *statement, int64_t fallback, int64_t *ret_value)
{
    int got = buffer_sql_row(statement);
    if (got < 0)
        return got;
    bool is_there = got > 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *ret_value = is_there ? sqlite3_column_int64(statement, 0) : fallback;
    sqlite3_reset(statement);
    return 0;
}

void buffer_sql_head(sqlite3_stmt *s, struct buffer_row *row)
{
    const char *origin = (const char *)sqlite3_column_text(s, 2);
    *row = (struct buffer_row){
        .id = sqlite3_column_int64(s, 0),
        .slot = (int)sqlite3_column_int64(s, 1),
        .boot = {(uint64_t)sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4)},
        .format = (enum batch_format)sqlite3_column_int64(s, 5),
        .seq = (uint64_t)sqlite3_column_int64(s, 6),
        .records = (uint64_t)sqlite3_column_int64(s, 7),
        .raw_bytes = (uint64_t)sqlite3_column_int64(s, 8),
        .payload_bytes = (uint64_t)sqlite3_column_int64(s, 9),
        .largest_stream_bytes = (uint64_t)sqlite3_column_int64(s, 10),
        .earliest_ns = sqlite3_column_int64(s, 11),
        .latest_ns = sqlite3_column_int64(s, 12),
        .committed_at_ns = sqlite3_column_int64(s, 13),
        .crc = (uint32_t)sqlite3_column_int64(s, 14),
        .handed_over = sqlite3_column_int64(s, 15) != 0,
        .goes_back = sqlite3_column_int64(s, 16) != 0,
    };
    snprintf(row->origin, sizeof row->origin, "%s", origin ? origin : "");
}
