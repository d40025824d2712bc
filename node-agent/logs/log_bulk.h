/* log_bulk.h - which logs go apart from the others, so that what floods does not delay the rest.
 *
 * The gateway sends what an origin sealed in the order in which it was committed, as fast as the backend
 * takes it. So a log that is written to faster than that would have all the others' lines wait behind its
 * own. Such a log is sealed in batches of the bulk origin (batch.h), which has a slot and a cursor of its
 * own.
 *
 * A stream's lines keep their order because a log changes its origin only when everything of it is delivered:
 * it waits for that, unread, for LOG_BULK_WAIT_NS at most; when that was not enough it goes on as before and
 * tries again after LOG_BULK_REST_NS. A log becomes bulk when LOG_BULK_BYTES were unread at its turn, and
 * ceases to be when less than a quarter of that was for LOG_BULK_CALM_NS. Pure. Times are monotonic.
 */
#ifndef NODE_AGENT_LOG_BULK_H
#define NODE_AGENT_LOG_BULK_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_BULK_WAIT_NS (3 * INT64_C(1000000000))
#define LOG_BULK_REST_NS (30 * INT64_C(1000000000))
#define LOG_BULK_CALM_NS (10 * INT64_C(1000000000))

struct log_bulk { /* of one log */
    bool is_bulk;
    bool is_born;       /* it was asked which logs of the same streams there are */
    bool is_clear;      /* nothing of it can be undelivered but what last_seq tells of */
    bool is_in_flight;  /* a batch with lines of it is */
    uint64_t last_seq;  /* of the last batch with lines of it, in its origin, by this boot; 0: none */
    int64_t loud_ns;    /* when so much was unread last */
    int64_t waiting_ns; /* since when it waits to change; 0: it does not */
    int64_t rest_ns;    /* until then it does not try */
};

struct log_bulks {         /* of both origins */
    uint64_t bytes;        /* unread at a turn, from which a log is bulk; 0: none is */
    uint64_t delivered[2]; /* by origin: this boot's batches up to there are delivered */
    bool held_before[2];   /* the buffer may hold undelivered batches that an earlier boot sent */
};

enum log_bulk_turn {
    LOG_BULK_READ, /* may be read, into a batch of the origin that is_bulk says */
    LOG_BULK_WAIT, /* not now: it changes its origin once what was sent is delivered */
};

/* log_bulk_turn: what the log does at its turn with so many bytes unread; may change its origin. */
enum log_bulk_turn log_bulk_turn(const struct log_bulks *all, struct log_bulk *log, uint64_t unread,
                                 int64_t now_ns);

/* log_bulk_committed: the batch in flight, which is that origin's number seq, was committed.
 * log_bulk_dropped: it will not be sent. */
void log_bulk_committed(struct log_bulk *log, uint64_t seq);
void log_bulk_dropped(struct log_bulk *log);

/* log_bulk_forget: another buffer, or the first: what is_bulk was is not known of it. */
void log_bulk_forget(struct log_bulk *log, bool is_bulk);

/* log_bulk_follow: a new log begins where another one of the same streams is: the container restarted. */
void log_bulk_follow(struct log_bulk *log, const struct log_bulk *former);

#endif
