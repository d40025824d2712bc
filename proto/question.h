/* question.h - what an operator asked one gateway and it asks the others, so that one answers for all: the
 * frames WIRE_QUESTION and WIRE_QUESTION_ANSWER. A gateway that does not know them answers WIRE_REFUSED.
 *
 * QUESTION_REFUSED is work that may take long: the first question, without a token, begins it; each answer
 * has what there is to say since the one before, and while it carries a token the asker asks again with that.
 * It is served to gateways only (replicas_is_one): what records say is told by it.
 *
 * Pure functions, any thread; errors as in wire.h.
 */
#ifndef PROTO_QUESTION_H
#define PROTO_QUESTION_H

#include "proto/wire.h"

enum { QUESTION_MAX_ANSWER = 4 << 20 };

enum question_verb { /* values are on the wire */
                     QUESTION_STATUS = 1,
                     QUESTION_LEDGER = 2,
                     QUESTION_REFUSED = 4,
};
enum { QUESTION_VERBS = 5, QUESTION_MAX_ID = 160, QUESTION_MAX_TOKEN = 32 };

struct question {
    enum question_verb verb;
    bool is_json;
    char signal[16], cause[16], backend[64], origin[BATCH_MAX_ORIGIN + 1]; /* of QUESTION_REFUSED; "": any */
    uint32_t action;                                                       /* enum refused_action */
    char id[QUESTION_MAX_ID];                                              /* refused_id.h; "": any */
    char token[QUESTION_MAX_TOKEN];
};

int question_encode(const struct question *question, struct buf *out);
int question_decode(struct bytes frame, struct question *ret_question);

/* status is that of the control socket (control.h): 200, 409 or an error with words in text. text is at most
 * QUESTION_MAX_ANSWER, else -EMSGSIZE. token may be "". */
int question_encode_answer(int status, struct bytes text, const char *token, struct buf *out);

/* question_decode_answer: appends the text. */
int question_decode_answer(struct bytes frame, int *ret_status, struct buf *ret_text,
                           char ret_token[QUESTION_MAX_TOKEN]);

#endif
