/* tail_read.h - turns what a log's files hold into lines of a push: joins parts, repairs, cuts, checks times.
 *
 * Lines that the backend would drop without a word are dropped here and counted: older than max_age, further
 * than TAIL_MAX_BEHIND behind their stream's newest of this reading, further than TAIL_MAX_AHEAD ahead of
 * this machine's clock. A line equal in stream, time and text to the one before it gets 1 ns
 * more, and so does any third line of one time. Loop
 * thread only; reads at most its block at a time and as much as its budget a call.
 */
#ifndef NODE_AGENT_TAIL_READ_H
#define NODE_AGENT_TAIL_READ_H

#include "base/stats.h"
#include "node-agent/logs/log_policy.h"
#include "node-agent/logs/push.h"
#include "node-agent/logs/tail_log.h"
#include "node-agent/ship/refusals.h"

#define TAIL_MAX_BEHIND_NS (INT64_C(3600) * 1000000000)
#define TAIL_MAX_AHEAD_NS (INT64_C(600) * 1000000000)
#define TAIL_MAX_PAUSE_NS (INT64_C(50) * 1000000) /* a rotated file may still get its last lines */
enum {
    TAIL_BLOCK = 256 * 1024,
    TAIL_MARGIN = 16 * 1024, /* read past a budget, to the end of a line */
    TAIL_RECALL = 64 * 1024, /* read before a position where it is only asked for the last line's end */
    TAIL_MAX_LINE = 64 * 1024 * 1024, /* a line without an end is ended here */
};

struct tail_counts { /* own metrics; borrowed */
    struct stats_cell *read_bytes, *truncated, *unparsed, *too_old, *behind, *ahead, *errors, *joined,
        *truncations;
};

struct tail_reader {
    size_t max_line;
    int64_t max_age_ns, linger_ns, part_wait_ns; /* set by the owner; see logs.h */
    struct push *push;                           /* borrowed */
    struct tail_counts counts;
    struct buf block, text; /* what is being read; a line's text when it had to be changed */
    struct buf resolved;    /* a Docker line's text without its escapes */
    struct cri_clock clock;
    struct log_policy *policy; /* borrowed; NULL: there is none */
    struct log_rules *rules;   /* the policy's */
    struct refusals *refusals; /* borrowed; NULL: nobody is told of dropped lines */
    bool recalling;            /* lines that were sent before only pass, to be remembered */
    int64_t given_ns;          /* the last time given to a line without one */
    unsigned gunzips;          /* files that are being unpacked */
    int64_t wall_ns, mono_ns;  /* of this round */
};

enum tail_result {
    TAIL_DONE, /* read to the end */
    TAIL_MORE, /* the budget is used up */
    TAIL_FULL, /* the push has no room */
    TAIL_WAIT, /* read on shortly: a file may still get its last bytes */
};

void tail_reader_init(struct tail_reader *reader, size_t max_line, struct push *push);
void tail_reader_fini(struct tail_reader *reader);

/* tail_reader_release: gives the block's memory back. */
void tail_reader_release(struct tail_reader *reader);

/* tail_read: about budget bytes of the log's files into the push. The files' positions move on. 0 or -ENOMEM
 * (then the push is not whole). */
int tail_read(struct tail_reader *reader, struct tail_log *log, uint64_t budget,
              enum tail_result *ret_result);

#endif
