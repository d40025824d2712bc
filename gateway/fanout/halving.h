/* halving.h - what of a request is still to be posted and what became of the rest: a pure state machine.
 *
 * A request is a list of rows, each a list of records. It begins as one part, all of it; a part that the
 * backend refuses is cut in two, between rows first, then between records, and its left half goes next, so
 * that the order is never broken. A part of one record that is refused is answered. A row is posted at most
 * HALVING_MAX_POSTS times as a part of its own; what is left of it then is unresolved.
 *
 *   work: the parts to post, the next one last. answers: what is done, left to right. doubts: the parts that
 * were posted without an answer; each is posted again (it stays in work).
 *
 * Owns its lists. One thread, no I/O.
 */
#ifndef GATEWAY_HALVING_H
#define GATEWAY_HALVING_H

#include "base/buf.h"

enum { HALVING_MAX_POSTS = 4096, HALVING_MAX_WORDS = 1024, HALVING_MOST_WORDS = 4096 };

struct part {
    uint32_t row, rows; /* the first row and how many */
    uint32_t from, to;  /* the records [from, to) of one row; to is 0: whole rows */
};

enum part_outcome { /* values are in the posting notes */
                    PART_TAKEN = 1,
                    PART_REFUSED = 2,
                    PART_UNRESOLVED = 3,
                    PART_DROPPED = 4,
};

struct part_answer {
    struct part part;
    enum part_outcome outcome;
    int status;     /* HTTP status; 0 of PART_TAKEN */
    uint32_t words; /* index of the backend's words */
};

struct halving_row {
    uint32_t records; /* how many there really are; 0: not counted yet */
    uint32_t posts;   /* of parts within this row */
};

struct halving {
    struct halving_row *rows; /* owned */
    struct part *work;        /* owned */
    struct part_answer *answers;
    struct part *doubts;
    char **words; /* owned, each too */
    size_t row_count, work_count, work_room, answer_count, answer_room, doubt_count, doubt_room, word_count,
        word_room;
};

/* halving_init: rows rows, all of them to be posted as one part. 0, -ENOMEM (nothing is owed then). */
int halving_init(struct halving *h, size_t rows);
void halving_fini(struct halving *h);

/* halving_next: the part to post now; false when everything is answered. */
bool halving_next(const struct halving *h, struct part *ret_part);

/* halving_is_whole: whether nothing of it was answered, cut or doubted yet. */
bool halving_is_whole(const struct halving *h);

/* halving_must_count: the next part is one whole row whose records were not counted yet: halving_refuse and
 * halving_cut need halving_set_count first. */
bool halving_must_count(const struct halving *h);
void halving_set_count(struct halving *h, uint32_t row, uint32_t records);

/* The answers about the next part. 0 or -ENOMEM, then nothing changed.
 * halving_take: the backend has it. halving_refuse: it is cut in two, or answered when it is one record (or a
 * row of none). halving_settle: it is answered whole as outcome. halving_doubt: it may be in; it stays next.
 */
int halving_take(struct halving *h);
int halving_refuse(struct halving *h, int status, struct bytes words);
int halving_settle(struct halving *h, enum part_outcome outcome, int status, struct bytes words);
int halving_doubt(struct halving *h);

/* halving_cut: the next part, one row, is cut into pieces of equal records (a row larger than a request may
 * be). */
int halving_cut(struct halving *h, uint32_t pieces);

/* halving_split: the next part is cut in two without having been posted: before its row number `at`, counted
 * from its first one; of a part of one row, whose records are counted, before the record `at`. Nothing
 * happens where one side would be empty. 0, -ENOMEM. */
int halving_split(struct halving *h, uint32_t at);

/* halving_words: of an answer; "" for none. */
const char *halving_words(const struct halving *h, const struct part_answer *answer);

/* For who reads a state back: append as they stand. 0, -ENOMEM. */
int halving_add_work(struct halving *h, struct part part);
int halving_add_answer(struct halving *h, struct part_answer answer);
int halving_add_doubt(struct halving *h, struct part part);
int halving_add_words(struct halving *h, struct bytes words);

#endif
