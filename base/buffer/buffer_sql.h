/* buffer_sql.h - the few things done with SQLite everywhere in the buffer: open, prepare once, bind, run.
 *
 * SQLite's result codes stop here: everything returns 0 or a negative errno. A connection belongs to one
 * thread (SQLITE_OPEN_NOMUTEX).
 */
#ifndef BASE_BUFFER_SQL_H
#define BASE_BUFFER_SQL_H

#include <sqlite3.h>

#include "base/buffer/buffer.h"
#include "base/bytes.h"

enum { BUFFER_SQL_BUSY_MS = 5000 };

/* buffer_sql_errno: -ENOSPC full, -EUCLEAN damaged or no database, -EBUSY locked, -ENOMEM, -EACCES cannot
 * open or read-only, -ENOENT nothing found, -EIO everything else. 0 for SQLITE_OK, SQLITE_ROW and
 * SQLITE_DONE. */
int buffer_sql_errno(int code);

/* buffer_sql_open: flags and vfs (NULL: SQLite's default) as sqlite3_open_v2 has them. On failure nothing is
 * open. */
int buffer_sql_open(const char *path, int flags, const char *vfs, sqlite3 **ret_db);

/* buffer_sql_exec: runs text, which may hold several statements. */
int buffer_sql_exec(sqlite3 *db, const char *text);

/* buffer_sql_prepare: prepares count texts into statements (zeroed before). On failure those made stay, for
 * buffer_sql_finalize. */
int buffer_sql_prepare(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **statements);
void buffer_sql_finalize(sqlite3_stmt **statements, size_t count);

/* buffer_sql_bind: binds the arguments in order: i int64_t, t const char * (NULL is NULL), b struct bytes as
 * a blob. Text and blobs are not copied: they stay valid until the statement was run to its end. Returns
 * statement. */
sqlite3_stmt *buffer_sql_bind(sqlite3_stmt *statement, const char *types, ...);

/* buffer_sql_row: one step. 1 with a row; 0 at the end and the statement is reset; a negative errno, reset.
 */
int buffer_sql_row(sqlite3_stmt *statement);

/* buffer_sql_run: steps to the end and resets. */
int buffer_sql_run(sqlite3_stmt *statement);

/* buffer_sql_number: runs the statement; the first column of its first row, fallback without a row or for
 * NULL. */
int buffer_sql_number(sqlite3_stmt *statement, int64_t fallback, int64_t *ret_value);

/* buffer_sql_head: a row's head from a statement that selects its columns in the order of struct
 * buffer_row's, as the reader and the walk do: id, slot, origin, boot_id, boot_started, format, seq, records,
 * ... goes_back. */
void buffer_sql_head(sqlite3_stmt *s, struct buffer_row *row);

/* buffer_sql_opening_error: err of the last call on db while a file of ours is opened: the texts are fixed,
 * so what SQLite calls an error of theirs (a header that it does not know, a schema that it cannot read) is
 * damage: -EUCLEAN. */
int buffer_sql_opening_error(sqlite3 *db, int err);

#endif
