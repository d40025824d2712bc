/* tail_file.h - one log file: its descriptor, its identity, how far it was read.
 *
 * Identity: its key (tail_key.h). The length of the first bytes in it is what was there when the first line
 * was sealed and then stays, so a file that grows keeps its identity; it is the same file when those bytes
 * are still the same. A kubelet's node gives an inode number to another log within seconds, so the first
 * bytes decide. A file that is compressed becomes another one, so it is recognised by its name before .gz or
 * by its stream and the first bytes that it unpacks to. So is a copy (copytruncate): it takes the identity
 * and the positions of the file that it is of, which begins anew when it is truncated.
 *
 * Positions: pos is how far the file was read. base is where every stream is complete: it lies before the
 * first byte of an open line (a CRI P part without its F, a record that may go on with the next line). A
 * stream that is complete further than base has an end of its own under the identity with "#stdout" etc.
 * behind it, so that reading again from base repeats none of its lines. Loop thread only.
 */
#ifndef NODE_AGENT_TAIL_FILE_H
#define NODE_AGENT_TAIL_FILE_H

#include <sys/types.h>

#include "node-agent/logs/cri.h"
#include "node-agent/logs/log_tally.h"
#include "node-agent/logs/offsets.h"
#include "node-agent/logs/tail_head.h"
#include "node-agent/logs/tail_key.h"

enum { TAIL_MAX_GUNZIPS = 2 };
#define TAIL_NONE UINT64_MAX

enum tail_format {                   /* told by the first line that is in one of them */
                   TAIL_FORMAT_OPEN, /* not known yet */
                   TAIL_FORMAT_CRI,
                   TAIL_FORMAT_DOCKER,
};

struct tail_file {
    struct tail_file *next; /* in its log, oldest first */
    char *name;             /* owned; in its folder, without .gz */
    bool live;              /* has the name that is written to; else rotated or unlinked */
    bool linked;            /* was in the folder at the last scan */
    bool zipped;            /* its name has .gz behind it by now */
    int fd;                 /* -1: closed, everything of it is committed */
    bool by_head; /* a copy or a gzip file: its first bytes tell whose the identity is, not its inode */
    bool inflate; /* fd is of a gzip file; positions count what it unpacks to */
    struct gunzip *gunzip; /* owned; NULL: not being read */
    unsigned *gunzips;     /* borrowed; how many files have a gunzip */
    dev_t device;
    ino_t inode;
    struct tail_head head;
    char *identity; /* owned; NULL before the first line */
    enum tail_format format;
    uint64_t pos, size;
    bool recalled;                 /* the lines before pos, or later ones of its log, were looked at */
    int64_t modified_ns;           /* its last change, by the file system, as of the last look */
    int64_t checked_ns;            /* when the first bytes were looked at last, by the clock of modified_ns */
    uint64_t scanned;              /* no newline between pos and here; 0: not looked */
    uint64_t open_at[CRI_STREAMS]; /* first byte of the stream's open line in this file; TAIL_NONE: none */
    uint64_t
        join_at[CRI_STREAMS];   /* the same of a record of several lines, of which the open line is a part */
    uint64_t skip[CRI_STREAMS]; /* lines of the stream before it were sent already */
    uint64_t told_base;         /* base and ahead, as sealed last */
    uint64_t told[CRI_STREAMS];
    unsigned truncations;     /* not yet counted in the metric */
    struct tail_file *former; /* owned; without a descriptor: what it was before it was truncated */
    int error;                /* of the last look or read: a negative errno, or 0 */
    const char *host_root;    /* borrowed */
    double bytes_per_second;  /* it was read at lately */
    uint64_t rated_pos;
    uint64_t lines; /* sealed from it in the batch being built */
    struct log_tally tally;
    int64_t changed_ns; /* when it last grew or lost its live name; monotonic */
};

/* tail_file_open: opens FOLDER/NAME, or FOLDER/NAME.gz when zipped (symlinks followed, below host_root where
 * they lead nowhere here: hostpath.h; borrowed for the file's life). 0; -EINVAL: not a
 * regular file; -EBADMSG: not a gzip file; else -errno. */
int tail_file_open(const char *folder, const char *name, bool zipped, const char *host_root,
                   struct tail_file **ret_file);
void tail_file_free(struct tail_file *file);

/* tail_file_reopen: opens a closed file again. 0, -ESTALE: there is another one by that name, else -errno. */
int tail_file_reopen(struct tail_file *file, const char *folder);
void tail_file_close(struct tail_file *file);

/* tail_file_inflate: makes a file that is unpacked as it is read readable; at most TAIL_MAX_GUNZIPS of those
 * that share *gunzips at a time. most: the largest length of a read. 0, -EBUSY, -ENOMEM. tail_file_deflate:
 * gives that up. */
int tail_file_inflate(struct tail_file *file, size_t most, unsigned *gunzips);
void tail_file_deflate(struct tail_file *file);

/* tail_file_read: up to len bytes at the offset. How many or a negative errno. Where a gzip file turns out to
 * be shorter or longer than it said, its size becomes what there is, or what is known of it. */
ssize_t tail_file_read(struct tail_file *file, void *to, size_t len, uint64_t offset);

/* tail_file_became: whether what an open file holds now, truncated and written anew since it was read, is
 * what the gzip file unpacks to: as long, and beginning alike. */
bool tail_file_became(const struct tail_file *file, const struct tail_file *unpacked);

/* tail_file_is_at: whether FOLDER/NAME begins with what this closed file began with. */
bool tail_file_is_at(const struct tail_file *file, const char *folder, const char *name);

/* tail_file_look: takes the size. 0; -ESTALE: it was truncated or written anew; else -errno. */
int tail_file_look(struct tail_file *file, int64_t now_ns);

/* tail_file_check: whether the first bytes are still the same; learns more of them while there are fewer than
 * TAIL_HEAD. 0; -ESTALE; else -errno. Called after every read, so that what was read is of this file. */
int tail_file_check(struct tail_file *file);

/* tail_file_examine: tail_file_look, and where the file is as long as what was read of it but was written to
 * since its first bytes were looked at, tail_file_check: it may have been truncated and have grown as long
 * again. */
int tail_file_examine(struct tail_file *file, int64_t now_ns);

/* tail_file_restart: forgets everything but the descriptor: what is there now is another file. What it was is
 * kept for a copy of it that turns up later. */
void tail_file_restart(struct tail_file *file);

/* tail_file_holds: whether the other one's bytes are this one's (of long ones the first and the last are
 * looked at). */
bool tail_file_holds(const struct tail_file *file, const struct tail_file *other);

/* tail_file_succeed: the copy goes on where the file was when it was truncated, if it was one that began as
 * the copy does. False: it was not. */
bool tail_file_succeed(struct tail_file *copy, struct tail_file *file);

/* tail_file_identify: gives the file its identity. stream: as in tail_key_prefix. 0 or -ENOMEM. */
int tail_file_identify(struct tail_file *file, const char *stream);

/* tail_file_matches: whether the key is of this file. */
bool tail_file_matches(const struct tail_file *file, const struct tail_key *key);

/* tail_file_matches_unpacked: the same where the file was compressed since: its inode is another one, so the
 * stream's prefix and the first bytes decide. */
bool tail_file_matches_unpacked(const struct tail_file *file, const struct tail_key *key, const char *prefix);

/* tail_file_adopt: takes the identity in key (without a stream's suffix). 0 or -ENOMEM. */
int tail_file_adopt(struct tail_file *file, const char *key);

/* tail_file_key: the key of the whole file (stream -1) or of one stream's own end, in storage. */
const char *tail_file_key(const struct tail_file *file, int stream, char storage[TAIL_KEY_LEN]);

/* tail_file_base, tail_file_ahead: see the head comment; of what was read. */
uint64_t tail_file_base(const struct tail_file *file);
uint64_t tail_file_ahead(const struct tail_file *file, int stream);

/* tail_file_open_at: the first byte of what the stream has open in this file; TAIL_NONE: nothing. */
uint64_t tail_file_open_at(const struct tail_file *file, int stream);

/* tail_file_fall_back: reading goes on from base, without repeating what streams have ahead of it. */
void tail_file_fall_back(struct tail_file *file);

/* tail_file_reset: reading goes on from what offsets hold as committed. */
void tail_file_reset(struct tail_file *file, const struct offsets *offsets);

/* tail_file_is_committed: whether everything read is committed. */
bool tail_file_is_committed(const struct tail_file *file, const struct offsets *offsets);

#endif
