/* tail_host.h - finds plain files of the host by globs, and which rotated files belong to each.
 *
 * A glob's match is a log; names that are another file's name with a rotation's ending (.1, -20251122,
 * .2.gz ...) are not logs of their own. What is renamed while the agent runs is followed as it is in pod
 * logs. After a time away the rotated files are read, oldest first, from the one on that was being read;
 * those of a log that was never read are not, because what they hold would get the time of now. Looks at
 * every rescan and, by inotify, when the files' folders change. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_HOST_H
#define NODE_AGENT_TAIL_HOST_H

#include "node-agent/logs/tail_set.h"

struct tail_host;

/* tail_host_new: files is a list of struct agent_log_files; all are borrowed. on_round: something was written
 * or has changed, and logs are marked. 0 or a negative errno. */
int tail_host_new(uv_loop_t *loop, const struct conf_list *files, struct tail_set *set,
                  void (*on_round)(void *ctx), void *ctx, struct tail_host **ret_host);
void tail_host_close(struct tail_host *host); /* after tail_set_fini; NULL is fine */

/* tail_host_scan: looks at everything. */
void tail_host_scan(struct tail_host *host);

/* tail_host_rotation_len: how much of the name's end a rotation added; 0: none. */
size_t tail_host_rotation_len(const char *name);

#endif
