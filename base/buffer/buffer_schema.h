/* buffer_schema.h - the tables and views of a buffer's file, and what is done with a file that is not ours to
 * read.
 *
 * Stable for the operator (sqlite3 shell, while the gateway runs): the views pending, delivered, refused,
 * cursors and origins. The tables below them may change with BUFFER_SCHEMA_VERSION.
 */
#ifndef BASE_BUFFER_SCHEMA_H
#define BASE_BUFFER_SCHEMA_H

#include <sqlite3.h>

#include "base/buf.h"

enum {
    BUFFER_SCHEMA_VERSION = 1,          /* PRAGMA user_version */
    BUFFER_APPLICATION_ID = 0x54724255, /* PRAGMA application_id: "TrBU" */
    BUFFER_PAGE_SIZE = 32768,
    BUFFER_PATH_MAX = 4096,
};

/* buffer_schema_open: opens path for writing, made when missing. A newer version's or a damaged file, or what
 * cannot be opened as one, is moved aside (path.newer-V-TIME, path.damaged-TIME, with its -wal and -shm),
 * which errors then says, and a new one is made. ret_aside (may be NULL): where a damaged one went; untouched
 * when there was none. 0 or a negative errno with words in errors. */
int buffer_schema_open(const char *path, sqlite3 **ret_db, char ret_aside[BUFFER_PATH_MAX],
                       struct buf *errors);

/* buffer_schema_move_aside: renames path and its -wal and -shm; nothing may have them open. ret_aside may be
 * NULL. */
int buffer_schema_move_aside(const char *path, const char *why, char ret_aside[BUFFER_PATH_MAX],
                             struct buf *errors);

/* buffer_schema_id: the random identity of the file, 36 characters and a NUL. */
int buffer_schema_id(sqlite3 *db, char ret_id[37]);

#endif
