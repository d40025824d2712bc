/* buffer_reader.h - what the writer needs to know of the readers: who stays in a read transaction. */
#ifndef BASE_BUFFER_READER_H
#define BASE_BUFFER_READER_H

#include "base/buffer/buffer_store.h"

/* buffer_reader_name_oldest: writes who has been reading longest: a backend's name or "tap" of this process,
 * else "pid N (command)" of another one (from /proc/locks, proc(5)), else "". */
void buffer_reader_name_oldest(struct buffer *buffer, char *storage, size_t size);

#endif
