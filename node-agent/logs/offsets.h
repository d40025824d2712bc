/* offsets.h - how far each log file is committed (C) and delivered (D), and what that belongs to.
 *
 * A key is a file's identity (tail_file.h), opaque here. C is what the gateway's buffer acknowledged; D is
 * what that buffer has settled at every backend. Both only grow, but for a rewind: when the buffer is another
 * one and did not take over what the former held, C falls back to D. Checkpoints tie a batch's number to the
 * ends that were committed with it, so that "delivered up to seq" can be told in offsets; they live in
 * memory, and when there are too many, neighbours are merged: the older one's ends then count as delivered
 * with the newer's seq. The node's origin and its bulk origin (batch.h) are numbered apart; a file's lines
 * are in one of the two at a time. Does no I/O (offsets_file.h does). Loop thread only.
 */
#ifndef NODE_AGENT_OFFSETS_H
#define NODE_AGENT_OFFSETS_H

#include "base/batch.h"

#define OFFSETS_AWAY_NS (600 * INT64_C(1000000000)) /* how long an entry outlives its file */
#define OFFSETS_GONE_NS (60 * INT64_C(1000000000))  /* the same where it was surely deleted */
enum {
    OFFSETS_MAX_MARKS = 1024,
    OFFSETS_MAX_CLAIMS = 65536,
    OFFSETS_MAX_FILES = 16384,
    OFFSETS_BUFFER_LEN = 63
};

struct offset {
    struct offset *next; /* of the same hash */
    char *key;           /* owned */
    uint64_t committed, delivered;
    uint64_t committed_lines, delivered_lines; /* lines sent up to there, as far as this agent counted */
    uint64_t claimed;                          /* committed, as the last checkpoint has it */
    bool is_bulk;                              /* was committed in the bulk origin last */
    int64_t seen_ns;                           /* when its file was last there, by the monotonic clock */
};

struct offsets;

/* offsets_new: empty, belonging to no buffer. 0 or -ENOMEM. */
int offsets_new(struct offsets **ret_offsets);
void offsets_free(struct offsets *offsets);

/* offsets_buffer: id of the buffer that C and D belong to; "" none yet. */
const char *offsets_buffer(const struct offsets *offsets);
void offsets_set_buffer(struct offsets *offsets, const char *id);

size_t offsets_count(const struct offsets *offsets);

/* offsets_find: the entry of key, or NULL. Borrowed until offsets_sweep. */
struct offset *offsets_find(const struct offsets *offsets, const char *key);

/* offsets_put: the entry of key, made at 0 at first sight. NULL when memory is out. */
struct offset *offsets_put(struct offsets *offsets, const char *key);

/* offsets_each: calls fn for every entry, in no order. */
void offsets_each(struct offsets *offsets, void (*fn)(void *ctx, struct offset *at), void *ctx);

/* offsets_commit: C of key is at least end; lines more were sent. 0 or -ENOMEM. */
int offsets_commit(struct offsets *offsets, bool is_bulk, const char *key, uint64_t end, uint64_t lines);

/* offsets_checkpoint: ties everything that was committed in that origin since the last one to seq, which
 * counts in each origin by itself. 0 or -ENOMEM (then D stays behind until the next one). */
int offsets_checkpoint(struct offsets *offsets, bool is_bulk, uint64_t seq);

/* offsets_deliver: the buffer settled everything of that origin up to seq: D moves. */
void offsets_deliver(struct offsets *offsets, bool is_bulk, uint64_t seq);

/* offsets_is_lost: whether a gateway with this buffer calls for a rewind: C belongs to another buffer, and
 * that did not hand over. */
bool offsets_is_lost(const struct offsets *offsets, const char *buffer_id, bool handed_over);

/* offsets_forget_marks: drops every checkpoint; what they claimed will be claimed again. */
void offsets_forget_marks(struct offsets *offsets);

/* offsets_age: the file of key was last there at seen_ns, and not since. */
void offsets_age(struct offsets *offsets, const char *key, int64_t seen_ns);

/* offsets_sweep: drops entries whose file has been away for away_ns and that are delivered, and the longest
 * away past OFFSETS_MAX_FILES. */
void offsets_sweep(struct offsets *offsets, int64_t now_ns, int64_t away_ns);

#endif
