/* tail_start.h - where a log begins of which nothing is known: at its beginning, at its end, or at its lines
 * since a time.
 *
 * Lines are taken to be in order of time, so the place is searched for by halves. What has no times is taken
 * by the file's own time of its last change: all of it or nothing; a compressed file likewise. Reads at most
 * a few blocks. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_START_H
#define NODE_AGENT_TAIL_START_H

#include "node-agent/logs/tail_log.h"

#define TAIL_START_ALL INT64_MIN /* from the beginning */
#define TAIL_START_END INT64_MAX

/* tail_start_parse: "beginning", "end" or a duration, which becomes the time that lies so far before now_ns.
 * 0 or -EINVAL. */
int tail_start_parse(const char *text, int64_t now_ns, int64_t *ret_from_ns);

/* tail_start_find: the position of the first line at or behind from_ns; at the end of what has a newline when
 * there is none. 0 or a negative errno. */
int tail_start_find(const struct tail_file *file, bool plain, int64_t from_ns, uint64_t *ret_pos);

#endif
