/* buffer_locks.h - another process that is in a read transaction on a SQLite file in WAL mode.
 *
 * Sources: /proc/locks (proc(5)); the read marks of a WAL are bytes of the -shm file from 123 on (SQLite's
 * WAL format, "WAL-index format").
 */
#ifndef BASE_BUFFER_LOCKS_H
#define BASE_BUFFER_LOCKS_H

#include <stdbool.h>
#include <stddef.h>

/* buffer_locks_name_reader: writes "pid N (command)" of one, at most size bytes. False: there is none, or
 * nobody may say. Any thread. */
bool buffer_locks_name_reader(const char *database, char *storage, size_t size);

#endif
