/* reply.c - the reply to a batch, the resume and its reply. */
#include <errno.h>
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/text.h"
#include "proto/tributary.pb-c.h"

static enum wire_answer answer_of(Tributary__Answer answer)
{
    bool is_known = answer >= TRIBUTARY__ANSWER__ANSWER_UNKNOWN && answer <= TRIBUTARY__ANSWER__DRAINING;
    return is_known ? (enum wire_answer)answer : WIRE_UNKNOWN;
}

/* ---- reply */

int wire_encode_reply(const struct wire_reply *reply, struct buf *out)
{
    Tributary__Reply message = TRIBUTARY__REPLY__INIT;
    message.answer = (Tributary__Answer)reply->answer;
    message.retry_after_ms = reply->retry_after_ms;
    message.reason = (char *)reply->reason;
    message.next_buffer_id = (char *)reply->next_buffer_id;
    message.buffer_id = (char *)reply->buffer_id;
    message.delivered_seq = reply->delivered_seq;
    message.holds_undelivered = reply->holds_undelivered;
    message.assignment_version = reply->assignment_version;
    message.missing_seqs = reply->missing_seqs;
    message.repeated = reply->repeated;
    message.cannot_commit = reply->cannot_commit;
    return frame_put(WIRE_REPLY, &message.base, out);
}

static int read_reply(const Tributary__Reply *message, struct wire_reply *reply)
{
    *reply = (struct wire_reply){
        .answer = answer_of(message->answer),
        .retry_after_ms = message->retry_after_ms,
        .delivered_seq = message->delivered_seq,
        .holds_undelivered = message->holds_undelivered,
        .assignment_version = message->assignment_version,
        .missing_seqs = message->missing_seqs,
        .repeated = message->repeated,
        .cannot_commit = message->cannot_commit,
    };
    frame_cut(reply->reason, sizeof reply->reason, message->reason);
    int err = frame_copy(reply->next_buffer_id, sizeof reply->next_buffer_id, message->next_buffer_id);
    return err < 0 ? err : frame_copy(reply->buffer_id, sizeof reply->buffer_id, message->buffer_id);
}

int wire_decode_reply(struct bytes frame, struct wire_reply *ret_reply)
{
    ProtobufCMessage *message;
    struct wire_reply reply;
    int err = frame_get(frame, WIRE_REPLY, &tributary__reply__descriptor, &message);
    if (err < 0)
        return err;
    err = read_reply((const Tributary__Reply *)message, &reply);
    protobuf_c_message_free_unpacked(message, NULL);
    if (err == 0)
        *ret_reply = reply;
    return err;
}

/* ---- resume */

int wire_encode_resume(const struct wire_resume *resume, struct buf *out)
{
    Tributary__Resume message = TRIBUTARY__RESUME__INIT;
    message.origin = (char *)resume->origin;
    message.boot_id = resume->boot.id;
    message.boot_started_ns = resume->boot.started_ns;
    message.signal = (Tributary__Signal)resume->signal;
    message.buffer_id = (char *)resume->buffer_id;
    message.is_only_gateway = resume->is_only_gateway;
    return frame_put(WIRE_RESUME, &message.base, out);
}

static int read_resume(const Tributary__Resume *message, struct wire_resume *resume)
{
    if (!text_is_name(message->origin, BATCH_MAX_ORIGIN) || message->signal < TRIBUTARY__SIGNAL__METRICS ||
        message->signal > TRIBUTARY__SIGNAL__TRACES)
        return -EINVAL;
    *resume = (struct wire_resume){
        .boot = {message->boot_id, message->boot_started_ns},
        .signal = (enum telemetry)message->signal,
        .is_only_gateway = message->is_only_gateway,
    };
    int err = frame_copy(resume->origin, sizeof resume->origin, message->origin);
    return err < 0 ? err : frame_copy(resume->buffer_id, sizeof resume->buffer_id, message->buffer_id);
}

int wire_decode_resume(struct bytes frame, struct wire_resume *ret_resume)
{
    ProtobufCMessage *message;
    struct wire_resume resume;
    int err = frame_get(frame, WIRE_RESUME, &tributary__resume__descriptor, &message);
    if (err < 0)
        return err;
    err = read_resume((const Tributary__Resume *)message, &resume);
    protobuf_c_message_free_unpacked(message, NULL);
    if (err == 0)
        *ret_resume = resume;
    return err;
}

/* ---- resume's reply */

static int put_resume_reply(Tributary__ResumeReply *message, const struct wire_resume_reply *reply,
                            struct buf *out)
{
    Tributary__FileEnd *ends = calloc(reply->end_count + 1, sizeof *ends);
    Tributary__FileEnd **at = calloc(reply->end_count + 1, sizeof *at);
    int err = ends && at ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < reply->end_count; i++) {
        tributary__file_end__init(at[i] = &ends[i]);
        ends[i].file = reply->ends[i].file;
        ends[i].end = reply->ends[i].end;
    }
    message->ends = at;
    message->n_ends = reply->end_count;
    if (err == 0)
        err = frame_put(WIRE_RESUME_REPLY, &message->base, out);
    free(ends);
    free(at);
    return err;
}

int wire_encode_resume_reply(const struct wire_resume_reply *reply, struct buf *out)
{
    Tributary__ResumeReply message = TRIBUTARY__RESUME_REPLY__INIT;
    if (reply->end_count > WIRE_MAX_ENDS)
        return -EMSGSIZE;
    message.answer = (Tributary__Answer)reply->answer;
    message.retry_after_ms = reply->retry_after_ms;
    message.reason = (char *)reply->reason;
    message.buffer_id = (char *)reply->buffer_id;
    message.next_buffer_id = (char *)reply->next_buffer_id;
    message.delivered_seq = reply->delivered_seq;
    message.holds_undelivered = reply->holds_undelivered;
    message.assignment_version = reply->assignment_version;
    message.cannot_commit = reply->cannot_commit;
    return put_resume_reply(&message, reply, out);
}

static int read_ends(const Tributary__ResumeReply *message, struct wire_resume_reply *reply)
{
    if (message->n_ends > WIRE_MAX_ENDS)
        return -E2BIG;
    reply->ends = calloc(message->n_ends + 1, sizeof *reply->ends);
    if (!reply->ends)
        return -ENOMEM;
    for (size_t i = 0; i < message->n_ends; i++) {
        if (!text_is_name(message->ends[i]->file, BATCH_MAX_FILE))
            return -EINVAL;
        reply->ends[i] = (struct wire_end){strdup(message->ends[i]->file), message->ends[i]->end};
        reply->end_count = i + 1;
        if (!reply->ends[i].file)
            return -ENOMEM;
    }
    return 0;
}

static int read_resume_reply(const Tributary__ResumeReply *message, struct wire_resume_reply *reply)
{
    *reply = (struct wire_resume_reply){
        .answer = answer_of(message->answer),
        .retry_after_ms = message->retry_after_ms,
        .delivered_seq = message->delivered_seq,
        .holds_undelivered = message->holds_undelivered,
        .cannot_commit = message->cannot_commit,
        .assignment_version = message->assignment_version,
    };
    frame_cut(reply->reason, sizeof reply->reason, message->reason);
    int err = frame_copy(reply->buffer_id, sizeof reply->buffer_id, message->buffer_id);
    if (err == 0)
        err = frame_copy(reply->next_buffer_id, sizeof reply->next_buffer_id, message->next_buffer_id);
    return err < 0 ? err : read_ends(message, reply);
}

int wire_decode_resume_reply(struct bytes frame, struct wire_resume_reply *ret_reply)
{
    ProtobufCMessage *message;
    struct wire_resume_reply reply = {0};
    int err = frame_get(frame, WIRE_RESUME_REPLY, &tributary__resume_reply__descriptor, &message);
    if (err < 0)
        return err;
    err = read_resume_reply((const Tributary__ResumeReply *)message, &reply);
    protobuf_c_message_free_unpacked(message, NULL);
    if (err < 0)
        wire_resume_reply_fini(&reply);
    else
        *ret_reply = reply;
    return err;
}

void wire_resume_reply_fini(struct wire_resume_reply *reply)
{
    for (size_t i = 0; i < reply->end_count; i++)
        free(reply->ends[i].file);
    free(reply->ends);
    reply->ends = NULL;
    reply->end_count = 0;
}
