/* tail_watch.h - inotify on folders, behind one descriptor on the loop; reports are collected.
 *
 * After a round of reports the descriptor is not read for TAIL_PAUSE_MS. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_WATCH_H
#define NODE_AGENT_TAIL_WATCH_H

#include <uv.h>

#include <stdbool.h>

struct tail_watch;

enum tail_watch_change {
    TAIL_WROTE,     /* a file of the folder was written to */
    TAIL_CHANGED,   /* names of the folder came or went */
    TAIL_GONE,      /* what was watched is gone, and so is the watch wd */
    TAIL_OVERFLOW,  /* reports were lost: look at everything; owner is NULL */
    TAIL_ROUND_END, /* all reports of a round were told; owner is NULL */
};

/* owner: what tail_watch_add was given; wd: what it returned. */
typedef void tail_watch_fn(void *ctx, void *owner, int wd, enum tail_watch_change change);

/* tail_watch_new: 0 or a negative errno. */
int tail_watch_new(uv_loop_t *loop, tail_watch_fn *fn, void *ctx, struct tail_watch **ret_watch);

/* tail_watch_close: no callback after it; frees asynchronously. NULL is fine. */
void tail_watch_close(struct tail_watch *watch);

/* tail_watch_add: reports on the folder (or a file: symlinks are followed); writes: whether writes are told
 * too. 0 with the watch's number, or a negative errno. */
int tail_watch_add(struct tail_watch *watch, const char *path, bool writes, void *owner, int *ret_wd);

/* tail_watch_drop: ends all reports that would name owner. */
void tail_watch_drop(struct tail_watch *watch, const void *owner);

#endif
