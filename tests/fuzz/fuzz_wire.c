/* Every decoder of the transport on the same bytes; what is decoded must encode and decode to the same again.
 */
#include <stdlib.h>

#include "proto/assignment.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void batch_again(struct bytes frame)
{
    struct batch *batch, *again;
    struct buf out;
    if (wire_decode_batch(frame, &batch) < 0)
        return;
    buf_init(&out, SIZE_MAX / 2);
    if (wire_encode_batch_head(batch, &out) < 0 ||
        buf_append(&out, batch->payload.ptr, batch->payload.len) < 0 ||
        wire_decode_batch(buf_bytes(&out), &again) < 0)
        abort();
    if (again->seq != batch->seq || again->source_count != batch->source_count ||
        !bytes_equal(again->payload, batch->payload) || strcmp(again->origin, batch->origin) != 0)
        abort();
    batch_free(again);
    batch_free(batch);
    buf_fini(&out);
}

static void replies(struct bytes frame)
{
    struct wire_reply reply;
    struct wire_resume resume;
    struct wire_resume_reply resumed;
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    if (wire_decode_reply(frame, &reply) == 0 &&
        (wire_encode_reply(&reply, &out) < 0 || wire_decode_reply(buf_bytes(&out), &reply) < 0))
        abort();
    if (wire_decode_resume(frame, &resume) == 0 && (int)resume.signal >= TELEMETRY_COUNT)
        abort();
    if (wire_decode_resume_reply(frame, &resumed) == 0) {
        if (wire_encode_resume_reply(&resumed, &out) < 0)
            abort();
        wire_resume_reply_fini(&resumed);
    }
    buf_fini(&out);
}

static void assignments(struct bytes frame)
{
    struct assignment assignment;
    struct assignment_request request;
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    if (assignment_decode(frame, &assignment) == 0) {
        if (assignment_encode(&assignment, &out) < 0)
            abort();
        assignment_fini(&assignment);
    }
    if (assignment_decode_request(frame, &request) == 0 && !request.origin[0])
        abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes frame = {data, size};
    batch_again(frame);
    replies(frame);
    assignments(frame);
    return 0;
}
