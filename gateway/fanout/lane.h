/* lane.h - one request of a backend, from its rows to the moved cursors.
 *
 * Owns its rows' slots until it is wholly settled: no other request of the backend holds a row of them.
 *
 *   READY ----start----> NOTING --committed--> POSTING --answer--> READY (the next part, or the same again)
 *     ^  (no note to write: straight to POSTING)                |
 *     '--------------------- due_ns ----------------------------+--nothing left--> ANSWERED
 *   ANSWERED --settle--> SETTLING --committed--> DONE
 *   READY --retire, dissolve--> RETIRING --committed--> DONE (the cursors stay)
 *
 * READY waits for due_ns and for its turn; NOTING, SETTLING and RETIRING for the buffer, which always
 * answers; POSTING has the backend's timeout. Where a repeat is harmless, what was delivered whole leaves its
 * slots to the next request when it begins to settle: ANSWERED then waits for the one before to be DONE, so
 * that the buffer hears of a slot in order. Backend's thread only.
 */
#ifndef GATEWAY_LANE_H
#define GATEWAY_LANE_H

#include "gateway/fanout/health.h"
#include "gateway/fanout/homes.h"
#include "gateway/fanout/isolation.h"
#include "gateway/fanout/sender.h"
#include "gateway/fanout/settle.h"
#include "gateway/fanout/stream_times.h"

enum lane_state {
    LANE_READY,
    LANE_NOTING,
    LANE_POSTING,
    LANE_ANSWERED,
    LANE_SETTLING,
    LANE_RETIRING,
    LANE_DONE
};
enum { LANE_FAILS_BEFORE_BLAME = 3, LANE_VERDICTS = 7 };

/* What the requests of one backend share; owned by the backend. */
struct lane_host {
    const struct gateway_backend_config *config; /* these are borrowed */
    enum telemetry signal;
    enum backend_kind kind;
    uint64_t limit_bytes;                /* decoded, of a request */
    uint32_t formats, formats_elsewhere; /* bit sets of enum batch_format: taken here; by another backend of
                                            the signal */
    struct buffer *buffer;
    struct buffer_reader *reader;
    struct sender *sender;
    struct translate *translate;
    struct mailbox *mailbox; /* of the backend's thread */
    struct health *health;
    struct isolation *isolation;
    struct stream_times *stream_times;
    struct homes *homes; /* of all backends */
    struct stats_cell *requests[LANE_VERDICTS], *request_seconds, *sent_bytes, *in_doubt, *not_taken;
    struct stats_cell *untranslated[TRANSLATE_REASON_COUNT];
};

struct lane {
    struct lane_host *host; /* borrowed */
    enum lane_state state;
    struct buffer_row *rows; /* owned */
    enum row_fate *fates;    /* owned */
    bool *is_whole;          /* owned; by row: every record of it was translated */
    size_t row_count;
    uint64_t slots; /* bit set of those it holds */
    uint64_t left;  /* bit set of those that it held, and left before it is settled */
    struct halving halving;
    int64_t due_ns;  /* of READY: not before; monotonic */
    bool is_slow;    /* halving or trying again: it may use a share of the lanes only */
    bool moved;      /* of DONE: the cursors are where the rows end */
    unsigned fails;  /* answers of 5xx in a row to the same part */
    unsigned silent; /* posts in a row without an answer */
    int64_t first_fail_ns;
    int64_t failing_since_ns; /* monotonic: the first of its failures (5xx, no answer) in a row; 0: none */
    bool is_blamed;           /* it failed while others got through: what fails of it is cut at once */
    bool is_noted;            /* a note of it is on disk */
    bool is_paced;            /* a backlog's pace has been charged for it */
    struct backoff backoff;
    struct join join;
    struct payload payload;
    struct buf piece, packed; /* a part of a row: raw, compressed */
    struct sender_post post;
    struct buf note;
    struct settle settle;
    struct buffer_settlement settlement;
};

/* lane_new: takes rows (malloc'ed, in commit order by slot) whatever happens. 0, -ENOMEM. */
int lane_new(struct lane_host *host, struct buffer_row *rows, size_t count, struct lane **ret_lane);

/* lane_resume: a request that was under way when the program ended, from its note. 0, -ENOMEM, errors of
 * doubt_read and of the reader. */
int lane_resume(struct lane_host *host, struct bytes note, struct lane **ret_lane);

/* lane_free: not while NOTING, SETTLING or RETIRING; a post under way is aborted. */
void lane_free(struct lane *lane);

/* lane_start: of READY: takes the next step. */
void lane_start(struct lane *lane);

/* lane_retire: of READY: gives up its slots without moving a cursor; what is known of it stays in the note.
 */
void lane_retire(struct lane *lane);

/* lane_wait: READY again after ms. The body is built anew then, so that waiting requests hold no memory. */
void lane_wait(struct lane *lane, int64_t ms);

/* lane_finish: every part is answered. ANSWERED. */
void lane_finish(struct lane *lane);

/* lane_settle: of ANSWERED: cursors, counts and refused records go to the buffer in one transaction. */
void lane_settle(struct lane *lane);

/* lane_warn: the buffer failed the lane with a negative errno, and it will try again. */
void lane_warn(const struct lane *lane, int error);

/* lane_keeps_notes: what it posts is noted before, because a repeat is not harmless. */
static inline bool lane_keeps_notes(const struct lane *lane)
{
    return lane->host->kind == BACKEND_REMOTE_WRITE;
}

/* lane_may_leave: of SETTLING: all of it was delivered, and the next request may be posted before that is
 * committed. */
bool lane_may_leave(const struct lane *lane);

/* lane_is_in_flight: uses one of the backend's lanes. */
static inline bool lane_is_in_flight(const struct lane *lane)
{
    return lane->state == LANE_NOTING || lane->state == LANE_POSTING;
}

/* lane_waits_for_buffer: a letter of it is on its way. */
static inline bool lane_waits_for_buffer(const struct lane *lane)
{
    return lane->state == LANE_NOTING || lane->state == LANE_SETTLING || lane->state == LANE_RETIRING;
}

#endif
