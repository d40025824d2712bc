/* question.h - what an operator asked one gateway and it asks the others, so that one answers for all: the
 * frames WIRE_QUESTION and WIRE_QUESTION_ANSWER. Nothing that the records themselves say is asked for so. A
 * gateway that does not know them answers WIRE_REFUSED. Pure functions, any thread; errors as in wire.h.
 */
#ifndef PROTO_QUESTION_H
#define PROTO_QUESTION_H

#include "proto/wire.h"

enum { QUESTION_MAX_ANSWER = 4 << 20 };

enum question_verb { /* values are on the wire */
                     QUESTION_STATUS = 1,
                     QUESTION_LEDGER = 2,
                     QUESTION_REFUSED = 3, /* at most QUESTION_MOST_REFUSED of them, without their records */
};
enum { QUESTION_VERBS = 4, QUESTION_MOST_REFUSED = 200 };

struct question {
    enum question_verb verb;
    bool is_json;
    char signal[16], cause[16], backend[64], origin[BATCH_MAX_ORIGIN + 1]; /* of QUESTION_REFUSED; "": any */
};

int question_encode(const struct question *question, struct buf *out);
int question_decode(struct bytes frame, struct question *ret_question);

/* status is that of the control socket (control.h): 200, 409 or an error with words in text. text is at most
 * QUESTION_MAX_ANSWER, else -EMSGSIZE. */
int question_encode_answer(int status, struct bytes text, struct buf *out);

/* question_decode_answer: appends the text. */
int question_decode_answer(struct bytes frame, int *ret_status, struct buf *ret_text);

#endif
