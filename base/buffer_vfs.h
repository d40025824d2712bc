/* buffer_vfs.h - SQLite's own file system with fewer and larger writes.
 *
 * SQLite writes every frame of a WAL in two calls, 24 bytes and a page, and every page of a checkpoint in
 * one: the calls were a third of what a commit cost. Here writes that follow each other in a file are
 * gathered, up to BUFFER_VFS_GATHER bytes, and written before anything else is asked of that file: a sync, a
 * read, its size, a lock. With synchronous=FULL SQLite asks for a sync before it calls a transaction
 * committed or a checkpoint done, so nothing is promised earlier than without this. A gathered write that
 * fails is reported by the call that had it written.
 *
 * What a checkpoint writes into the main file goes past the page cache (O_DIRECT) where the file system does
 * that: it is hardly ever read again while it is young, because fan-out follows the commits in the WAL. That
 * saves a copy and the page cache's memory, which in a container counts as the program's.
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
