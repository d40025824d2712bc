/* buffer_vfs.h - SQLite's own file system with fewer and larger writes.
 *
 * SQLite writes every frame of a WAL in two calls, 24 bytes and a page: the calls were a third of what a
 * commit cost. Here writes that follow each other in a WAL are gathered, up to BUFFER_VFS_GATHER bytes, and
 * written before anything else is asked of that file: a sync, a read, its size, a lock. With synchronous=FULL
 * SQLite asks for a sync before it calls a transaction committed, so nothing is promised earlier than without
 * this. A gathered write that fails is reported by the call that had it written.
 *
 * Writes to the main file are never gathered. A checkpoint that a reader keeps from finishing marks what it
 * has copied as copied without a sync (wal.c, walCheckpoint), so that a write must tell at once that it
 * failed: on a full volume pages were lost otherwise.
 *
 * Once a checkpoint is on the disk the main file's pages leave the page cache: fan-out reads what is young
 * from the WAL, and in a container that memory counts as the program's.
 *
 * For the connection that writes; readers use SQLite's default on the same files.
 */
#ifndef BASE_BUFFER_VFS_H
#define BASE_BUFFER_VFS_H

enum { BUFFER_VFS_GATHER = 120 * 1024 }; /* SQLite's unix files take at most 0x1ffff bytes a write */

/* buffer_vfs_name: the name for sqlite3_open_v2; registers it once. NULL when it cannot be registered, which
 * means SQLite's default. Any thread. */
const char *buffer_vfs_name(void);

#endif
