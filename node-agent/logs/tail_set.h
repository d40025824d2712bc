/* tail_set.h - all logs that are followed, and which name stands for which file.
 *
 * A file is known by its inode while its descriptor is open, and by its first bytes when it is closed. Loop
 * thread only.
 */
#ifndef NODE_AGENT_TAIL_SET_H
#define NODE_AGENT_TAIL_SET_H

#include <sys/stat.h>

#include "node-agent/logs/tail.h"

struct tail_owner { /* a container's folder, or a host file; lives as long as it has logs */
    const char *path, *pod_folder, *container;
    const char *plain_name;               /* of a host file, in path; NULL: a container */
    const struct conf_map *static_labels; /* of a host file */
    /* all borrowed */
    bool wrote; /* a file in it was written to */
};

struct tail_set {
    const struct tail_options *options; /* borrowed */
    struct tail_log **logs;             /* owned, in no order; owners[i] is where logs[i] is */
    struct tail_owner **owners;         /* borrowed */
    size_t count, cap, open_files;
    bool settled; /* the first look is over: what is new from now on is read from its beginning */
};

void tail_set_fini(struct tail_set *set);

/* tail_set_unsee, tail_set_see, tail_set_seen: a listing of the owner's folder: before it, for each log file
 * in it (st: of its target), then for each compressed one (its name without .gz), and behind it. */
void tail_set_unsee(struct tail_set *set, struct tail_owner *owner);
void tail_set_see(struct tail_set *set, struct tail_owner *owner, const char *name, uint32_t restart,
                  const struct stat *st);
void tail_set_see_zipped(struct tail_set *set, struct tail_owner *owner, const char *name, uint32_t restart);
void tail_set_seen(struct tail_set *set, struct tail_owner *owner, int64_t now_ns);

/* tail_set_knows: whether the offsets have the owner's file of that name (without .gz): it was being read
 * once. tail_set_follows: whether it is being followed (st: of its target; NULL: a compressed one). */
bool tail_set_knows(struct tail_set *set, struct tail_owner *owner, const char *name, bool zipped);
bool tail_set_follows(struct tail_set *set, struct tail_owner *owner, const char *name,
                      const struct stat *st);

/* tail_set_mark_written: logs of owners that were written to have something to read. */
void tail_set_mark_written(struct tail_set *set);

/* tail_set_grew_ns: when one of the owner's files that are open was seen to have another size last, by now at
 * the latest; monotonic. */
int64_t tail_set_grew_ns(struct tail_set *set, const struct tail_owner *owner, int64_t now_ns);

/* tail_set_has: whether the owner has logs. */
bool tail_set_has(const struct tail_set *set, const struct tail_owner *owner);

void tail_set_mark_dirty(struct tail_set *set);

/* tail_set_tidy: closes and drops what nothing more comes from. */
void tail_set_tidy(struct tail_set *set, int64_t now_ns);

/* tail_set_find: as tail_find. */
struct tail_file *tail_set_find(const struct tail_set *set, const struct tail_key *key,
                                struct tail_log **ret_log);

#endif
