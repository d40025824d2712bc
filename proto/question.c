#include "proto/question.h"

#include <errno.h>

#include "proto/frame.h"
#include "proto/tributary.pb-c.h"

int question_encode(const struct question *question, struct buf *out)
{
    Tributary__Question message = TRIBUTARY__QUESTION__INIT;
    message.verb = (uint32_t)question->verb;
    message.json = question->is_json;
    message.signal = (char *)question->signal;
    message.cause = (char *)question->cause;
    message.backend = (char *)question->backend;
    message.origin = (char *)question->origin;
    message.action = question->action;
    message.id = (char *)question->id;
    message.token = (char *)question->token;
    return frame_put(WIRE_QUESTION, &message.base, out);
}

int question_decode(struct bytes frame, struct question *ret_question)
{
    ProtobufCMessage *unpacked;
    int err = frame_get(frame, WIRE_QUESTION, &tributary__question__descriptor, &unpacked);
    if (err < 0)
        return err;
    const Tributary__Question *message = (const Tributary__Question *)unpacked;
    bool is_known = message->verb == QUESTION_STATUS || message->verb == QUESTION_LEDGER ||
                    message->verb == QUESTION_REFUSED;
    struct question question = {.verb = is_known ? (enum question_verb)message->verb : QUESTION_STATUS,
                                .is_json = message->json,
                                .action = message->action};
    err = is_known ? frame_copy(question.signal, sizeof question.signal, message->signal) : -EINVAL;
    if (err == 0)
        err = frame_copy(question.cause, sizeof question.cause, message->cause);
    if (err == 0)
        err = frame_copy(question.backend, sizeof question.backend, message->backend);
    if (err == 0)
        err = frame_copy(question.origin, sizeof question.origin, message->origin);
    if (err == 0)
        err = frame_copy(question.id, sizeof question.id, message->id);
    if (err == 0)
        err = frame_copy(question.token, sizeof question.token, message->token);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    if (err < 0)
        return err;
    *ret_question = question;
    return 0;
}

int question_encode_answer(int status, struct bytes text, const char *token, struct buf *out)
{
    Tributary__QuestionAnswer message = TRIBUTARY__QUESTION_ANSWER__INIT;
    if (text.len > QUESTION_MAX_ANSWER)
        return -EMSGSIZE;
    message.status = (uint32_t)status;
    message.text = (ProtobufCBinaryData){text.len, (uint8_t *)text.ptr};
    message.token = (char *)token;
    return frame_put(WIRE_QUESTION_ANSWER, &message.base, out);
}

int question_decode_answer(struct bytes frame, int *ret_status, struct buf *ret_text,
                           char ret_token[QUESTION_MAX_TOKEN])
{
    ProtobufCMessage *unpacked;
    int err = frame_get(frame, WIRE_QUESTION_ANSWER, &tributary__question_answer__descriptor, &unpacked);
    if (err < 0)
        return err;
    const Tributary__QuestionAnswer *message = (const Tributary__QuestionAnswer *)unpacked;
    int status = message->status < 1000 ? (int)message->status : 0;
    char token[QUESTION_MAX_TOKEN];
    err = frame_copy(token, sizeof token, message->token);
    if (err == 0)
        err = buf_append(ret_text, message->text.data, message->text.len);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    if (err == 0) {
        *ret_status = status;
        memcpy(ret_token, token, sizeof token);
    }
    return err;
}
