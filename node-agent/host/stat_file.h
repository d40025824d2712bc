/* stat_file.h - /proc/stat, which several collectors read in the same scrape: one read serves all. On one
 * thread. */
#ifndef NODE_AGENT_STAT_FILE_H
#define NODE_AGENT_STAT_FILE_H

#include "base/bytes.h"

struct stat_file;

/* stat_file_join: the process' file below that folder; *ret_reader tells the callers apart, at most 32. NULL
 * when memory is out. */
struct stat_file *stat_file_join(const char *procfs, unsigned *ret_reader);
void stat_file_leave(struct stat_file *file); /* NULL is fine */

/* stat_file_read: its content, borrowed until the next call. It is read unless there is a content, younger
 * than a tenth of a second, that this reader was not given yet. 0 or a negative errno. */
int stat_file_read(struct stat_file *file, unsigned reader, struct bytes *ret_text);

#endif
