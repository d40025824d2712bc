/* tail.h - finds the node's pod logs and host files, and tells when they may have grown.
 *
 * Walks ROOT/POD/CONTAINER/N.log at start and every rescan_ms, and whenever inotify reports a change of a
 * folder. Writes are collected: after a report inotify is not read again for TAIL_PAUSE_MS, and of a folder
 * that is written to all the time no writes are reported: its files are looked at every TAIL_PAUSE_MS
 * instead. So the work is per batch of writes and not per write; an overflow of its queue is a rescan. Files
 * are followed by inode, so a renamed one stays what it is; a descriptor is held until everything read is
 * committed. Past max_files descriptors further files wait for others to be closed, and are counted. Loop
 * thread only.
 */
#ifndef NODE_AGENT_TAIL_H
#define NODE_AGENT_TAIL_H

#include <uv.h>

#include "base/stats.h"
#include "node-agent/logs/tail_log.h"

enum { TAIL_PAUSE_MS = 200, TAIL_MAX_FILES = 8192 };

struct tail;

struct tail_options {
    const char *root;              /* borrowed */
    const char *host_root;         /* borrowed; where links that lead nowhere are looked up: hostpath.h */
    const struct conf_map *labels; /* borrowed */
    size_t max_line, max_files;
    const struct conf_list *files; /* borrowed; host files: tail_host.h; NULL: none */
    int64_t from_ns;               /* tail_start.h */
    int64_t rescan_ms, linger_ns;  /* linger: a rotated file unchanged for so long gets no more lines */
    struct offsets *offsets;       /* borrowed */
    struct stats_cell *errors;     /* files and folders that could not be read */
    void (*on_change)(void *ctx);  /* logs have become dirty, or time has passed */
    void *ctx;
};

/* tail_new: walks the root once. A root that is not there yet is looked for at every rescan. 0 or a negative
 * errno. */
int tail_new(uv_loop_t *loop, const struct tail_options *options, struct tail **ret_tail);

/* tail_close: no callback after it; frees asynchronously on the loop. NULL is fine. */
void tail_close(struct tail *tail);

/* tail_rescan: walks everything now, and marks every log as dirty. */
void tail_rescan(struct tail *tail);

void tail_set_linger(struct tail *tail, int64_t linger_ns);

/* tail_logs: all logs, borrowed until the next rescan. */
struct tail_log **tail_logs(struct tail *tail, size_t *ret_count);

/* tail_descriptors: how many log files are open, and how many may be. */
void tail_descriptors(const struct tail *tail, size_t *ret_open, size_t *ret_max);

/* tail_has_dirty: whether a log may have something to read. */
bool tail_has_dirty(const struct tail *tail);

/* tail_is_polling: whether on_change comes within TAIL_PAUSE_MS in any case. */
bool tail_is_polling(const struct tail *tail);

/* tail_find: the file that a key belongs to, and its log; NULL: none. */
struct tail_file *tail_find(struct tail *tail, const struct tail_key *key, struct tail_log **ret_log);

#endif
