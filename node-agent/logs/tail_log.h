/* tail_log.h - one container's log: its files, oldest first, as one run of lines; its streams.
 *
 * Rotation makes files out of a log; a line may begin in one and end in the next, so the open lines belong to
 * the log. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_LOG_H
#define NODE_AGENT_TAIL_LOG_H

#include "base/buf.h"
#include "base/conf/conf.h"
#include "node-agent/logs/log_bulk.h"
#include "node-agent/logs/log_rules.h"
#include "node-agent/logs/tail_file.h"

struct tail_part { /* a line of which the end was not seen yet */
    bool open, cut;
    bool past;        /* its parts were sent before and only pass again */
    int64_t time_ns;  /* of its first part */
    int64_t grown_ns; /* when its last part was read; monotonic */
    struct buf text;
};

struct tail_join {   /* a record of several lines that may go on with the next one */
    bool open, past; /* past: as in tail_part */
    bool cut;        /* its line was cut */
    enum multiline_state state;
    uint32_t lines;
    int64_t time_ns;  /* of its first line */
    int64_t last_ns;  /* of its last line */
    int64_t grown_ns; /* when its last line was read; monotonic */
    struct buf text;
};

struct tail_last {   /* the line before: Loki merges lines that are equal in stream, time and text */
    int64_t time_ns; /* as written, of the first line of its run; -1: none */
    int64_t sent_ns; /* as sent */
    bool many;       /* not the first line of that time */
    size_t len;
    uint64_t hash;
    bool in_push; /* its text is still the last one in the push; else hash is set */
};

struct tail_stream {
    char *labels; /* owned */
    struct tail_part part;
    struct tail_join *join; /* owned; NULL until lines are joined */
    struct tail_last last;
    bool used;         /* a line was sent in it */
    int64_t newest_ns; /* of what was sent in this reading; 0: nothing */
};

struct tail_log {
    char *folder;    /* owned; path of the container's folder */
    char *name;      /* owned; NAMESPACE_POD_UID/CONTAINER/RESTART; of a host file its path */
    char *live_name; /* owned; in its folder, of the file that is written to */
    const struct conf_map *static_labels; /* borrowed; of a host file, else NULL */
    uint32_t restart;
    bool ended;           /* a later restart of the container has a log */
    bool dirty;           /* may have something to read */
    bool held;            /* waits: there are as many streams as there may be */
    bool started;         /* read_from said where the first of its files begins */
    bool plain;           /* a host file: lines without a format */
    bool recalled;        /* a line of it was read since its positions were set */
    struct log_bulk bulk; /* log_bulk.h: whether it goes apart from the others */
    bool is_longer; /* there is more to read than its files' sizes said: one turned out to be another, or more
                     */
    struct tail_file *files;
    struct tail_stream streams[CRI_STREAMS];
    struct log_plan *plan; /* owned; NULL: no rule is for it */
    struct buf metadata;   /* structured metadata of all its lines, as push_put_metadata has it */
    uint64_t planned;      /* as which version of the rules' world plan and labels are */
    int64_t allowance_bytes, allowance_ns; /* of a rate limit: what may be read, when that was worked out */
};

/* tail_log_new: a log without files. container is the folder's name within the pod's. 0, -ENOMEM, -EMSGSIZE.
 * tail_log_new_plain: of the host file FOLDER/NAME; static_labels are borrowed for its life. */
int tail_log_new(const char *folder, const char *pod_folder, const char *container, uint32_t restart,
                 const struct conf_map *labels, size_t max_line, struct tail_log **ret_log);
int tail_log_new_plain(const char *folder, const char *name, const struct conf_map *static_labels,
                       const struct conf_map *labels, size_t max_line, struct tail_log **ret_log);

/* tail_log_label: gives its streams their labels anew; path NULL: a host file. extra NULL: none. Not while a
 * push has the log open. 0, -ENOMEM, -EMSGSIZE; then labels are partly the old ones. */
int tail_log_label(struct tail_log *log, const struct podpath *path, const char *container,
                   const struct conf_map *extra, const struct conf_map *labels);
void tail_log_free(struct tail_log *log);

/* tail_log_take: adds a file; the log owns it. tail_log_sort: oldest first, the live one last. */
void tail_log_take(struct tail_log *log, struct tail_file **file);
void tail_log_sort(struct tail_log *log);

/* tail_log_close_line: the stream has no open line any more. tail_log_close_join: nor an open record. */
void tail_log_close_line(struct tail_log *log, int stream);
void tail_log_close_join(struct tail_log *log, int stream);

/* tail_log_has_join: whether the stream has an open record. */
bool tail_log_has_join(const struct tail_log *log, int stream);

/* tail_log_part_bytes: memory that open lines take. */
size_t tail_log_part_bytes(const struct tail_log *log);

/* tail_log_fall_back: forgets open lines; they will be read again. */
void tail_log_fall_back(struct tail_log *log);

/* tail_log_reset: reading starts anew at what is committed. */
void tail_log_reset(struct tail_log *log, const struct offsets *offsets);

/* tail_log_tidy: closes files of which nothing more will come (not live, read, committed, unchanged since
 * linger_ns), and drops those that are also gone. */
void tail_log_tidy(struct tail_log *log, struct offsets *offsets, int64_t now_ns, int64_t linger_ns);

/* tail_log_unread: bytes not read yet, after taking the files' sizes. */
uint64_t tail_log_unread(struct tail_log *log, int64_t now_ns);

#endif
