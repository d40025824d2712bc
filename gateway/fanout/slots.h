/* slots.h - what of a buffer a backend has not got yet, by slot, and which rows the next request takes.
 *
 * A slot is free or held by a request. Rows come out in the order of their ids over the free slots; within a
 * slot they are never overtaken. One thread.
 */
#ifndef GATEWAY_SLOTS_H
#define GATEWAY_SLOTS_H

#include "gateway/fanout/isolation.h"
#include "gateway/fanout/join.h"
#include "gateway/fanout/pace.h"

enum { SLOTS_BACKLOG_MS = 30 * 1000 };

struct slot {
    int64_t cursor; /* settled up to here */
    int64_t at;     /* the head is the first row after it */
    int64_t looked; /* there was no row after `at` when this was the newest one */
    bool is_held;   /* by a request */
    bool has_head;  /* head is set */
    struct buffer_row head;
};

struct slots {
    struct buffer *buffer; /* these are borrowed */
    struct buffer_reader *reader;
    struct isolation *isolation;
    struct pace *pace; /* NULL: nothing is paced */
    struct pace
        *backlog_pace; /* of rows that waited longer than SLOTS_BACKLOG_MS, all together; NULL: none */
    uint64_t limit_bytes;
    bool in_order; /* rows of an origin are joined only while their times go forward */
    struct slot slots[BUFFER_SLOTS];
    int64_t paced_until_ns; /* when the first slot that pacing holds back may go on; 0: none */
    bool is_behind;         /* the last request was full: there is more than one request's worth */
};

/* slots_init: reads the cursors. 0, -EIO. */
int slots_init(struct slots *slots);

/* slots_take: the rows of the next request (malloc'ed) and their slots, which are held now; 0 rows when there
 * is nothing to send. share: how many requests may still be made now, so that a backlog is spread over them.
 * 0, -ENOMEM, -EIO. */
int slots_take(struct slots *slots, size_t share, int64_t now_ns, struct buffer_row **ret_rows,
               size_t *ret_count);

/* slots_is_backlog: whether the row has waited so long that backlog_pace says when it goes. */
bool slots_is_backlog(const struct slots *slots, const struct buffer_row *row);

/* slots_hold: a request that was not made by slots_take holds these (a bit set). */
void slots_hold(struct slots *slots, uint64_t held);

/* slots_move: the cursors of the rows' slots go to the last of them. */
void slots_move(struct slots *slots, const struct buffer_row *rows, size_t count);

/* slots_release: these (a bit set) are free again, each from its cursor on. */
void slots_release(struct slots *slots, uint64_t held);

#endif
