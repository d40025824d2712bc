/* wire.h - the frames between agent and gateway, as C structs.
 *
 * A frame: 'T', 'B', WIRE_VERSION, a kind, then the protobuf message of that kind (tributary.proto). A peer
 * with another major version is answered WIRE_REFUSED and named. Pure functions, any thread. Decoders take
 * bytes from the network: everything is bounded (frame size by the caller, counts and string lengths here).
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "base/batch.h"
#include "base/buf.h"

enum { WIRE_VERSION = 1, WIRE_HEAD = 4 };
enum { WIRE_MAX_ENDS = 65536, WIRE_MAX_TEXT = 1024 };

enum wire_kind {
    WIRE_BATCH = 1,
    WIRE_RESUME = 2,
    WIRE_ASSIGNMENT_REQUEST = 3,
    WIRE_QUESTION = 4, /* question.h */
    WIRE_REPLY = 129,
    WIRE_RESUME_REPLY = 130,
    WIRE_ASSIGNMENT = 131,
    WIRE_QUESTION_ANSWER = 132,
};

enum wire_answer { /* values as in tributary.proto */
                   WIRE_UNKNOWN = 0,
                   WIRE_COMMITTED = 1,
                   WIRE_BUSY = 2,
                   WIRE_REFUSED = 3,
                   WIRE_RESUME_FIRST = 4,
                   WIRE_DRAINING = 5,
};

struct wire_reply { /* strings are the struct's own storage */
    enum wire_answer answer;
    uint32_t retry_after_ms;
    char reason[WIRE_MAX_TEXT];
    char next_buffer_id[64];
    char buffer_id[64];
    uint64_t delivered_seq;
    bool holds_undelivered;
    uint64_t assignment_version;
    uint64_t missing_seqs;
    bool repeated;
    bool cannot_commit; /* of WIRE_BUSY: the disk fails */
};

struct wire_resume {
    char origin[BATCH_MAX_ORIGIN + 1];
    struct boot boot;
    enum telemetry signal;
    char buffer_id[64];
    bool is_only_gateway; /* since its start the agent has known of no other */
};

struct wire_end {
    char *file; /* owned */
    uint64_t end;
};

struct wire_resume_reply {
    enum wire_answer answer;
    uint32_t retry_after_ms;
    char reason[WIRE_MAX_TEXT];
    char next_buffer_id[64]; /* of WIRE_DRAINING, as in wire_reply */
    char buffer_id[64];
    struct wire_end *ends; /* owned; wire_resume_reply_fini frees */
    size_t end_count;
    uint64_t delivered_seq;
    bool holds_undelivered;
    bool cannot_commit;
    uint64_t assignment_version;
    const struct wire_resume_reply *bulk; /* borrowed; not on the wire: the same of the bulk origin (batch.h),
                                             where the lane has one; else NULL */
};
void wire_resume_reply_fini(struct wire_resume_reply *reply);

/* wire_kind_of: the kind of a frame. -EBADMSG: not one of ours; -EPROTONOSUPPORT: another version. */
int wire_kind_of(struct bytes frame, enum wire_kind *ret_kind);

/* wire_encode_*: append a whole frame. wire_encode_batch_head leaves out the payload's bytes but writes its
 * tag and length last: frame = head + payload. 0, -ENOMEM, -EMSGSIZE. */
int wire_encode_batch_head(const struct batch *batch, struct buf *out);
int wire_encode_reply(const struct wire_reply *reply, struct buf *out);
int wire_encode_resume(const struct wire_resume *resume, struct buf *out);
int wire_encode_resume_reply(const struct wire_resume_reply *reply, struct buf *out);

/* wire_decode_batch: payload borrows from frame: the caller sets payload_owner and payload_release when the
 * frame's memory goes with the batch. Checks version (-EPROTONOSUPPORT), structure (-EBADMSG), counts
 * (-E2BIG), values (-EINVAL: no or unprintable origin, number 0, a format that is not of the signal), that
 * crc matches the payload (-EILSEQ). The other decoders have the same errors; all leave their output alone
 * when they fail. */
int wire_decode_batch(struct bytes frame, struct batch **ret_batch);
int wire_decode_reply(struct bytes frame, struct wire_reply *ret_reply);
int wire_decode_resume(struct bytes frame, struct wire_resume *ret_resume);
int wire_decode_resume_reply(struct bytes frame, struct wire_resume_reply *ret_reply);

#endif
