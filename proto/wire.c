/* wire.c - batches between their C struct and the frame. The replies and the resume are in reply.c. */
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/pb.h"
#include "proto/frame.h"
#include "proto/text.h"
#include "proto/tributary.pb-c.h"

enum { PAYLOAD = 100 }; /* the number of Batch.payload */

/* ---- encoding */

/* The lists of a batch as protobuf-c wants them: arrays of pointers into one array of messages. */
struct lists {
    Tributary__Source *sources; /* owned, as are the others */
    Tributary__Source **at;
    Tributary__Refusal *refusals;
    Tributary__Refusal **refusals_at;
    Tributary__Sender *senders;
    Tributary__Sender **senders_at;
};

static void lists_fini(struct lists *lists)
{
    free(lists->sources);
    free(lists->at);
    free(lists->senders);
    free(lists->senders_at);
    free(lists->refusals);
    free(lists->refusals_at);
}

static void describe_refusals(struct lists *lists, const struct batch *batch)
{
    for (size_t i = 0; i < batch->refusal_count; i++) {
        const struct batch_refusal *from = &batch->refusals[i];
        Tributary__Refusal *refusal = lists->refusals_at[i] = &lists->refusals[i];
        tributary__refusal__init(refusal);
        refusal->words = from->words;
        refusal->source = from->source;
        refusal->format = (Tributary__Format)from->format;
        refusal->records = from->records;
        refusal->payload = (ProtobufCBinaryData){from->payload.len, (uint8_t *)(uintptr_t)from->payload.ptr};
    }
}

static void describe_senders(struct lists *lists, const struct batch *batch)
{
    for (size_t i = 0; i < batch->sender_count; i++) {
        Tributary__Sender *sender = lists->senders_at[i] = &lists->senders[i];
        tributary__sender__init(sender);
        sender->host = batch->senders[i].host;
        sender->begin = batch->senders[i].begin;
        sender->end = batch->senders[i].end;
    }
}

static int lists_init(struct lists *lists, const struct batch *batch)
{
    size_t count = batch->source_count, senders = batch->sender_count;
    *lists = (struct lists){calloc(count + 1, sizeof *lists->sources),
                            calloc(count + 1, sizeof *lists->at),
                            calloc(batch->refusal_count + 1, sizeof *lists->refusals),
                            calloc(batch->refusal_count + 1, sizeof *lists->refusals_at),
                            calloc(senders + 1, sizeof *lists->senders),
                            calloc(senders + 1, sizeof *lists->senders_at)};
    if (!lists->sources || !lists->at || !lists->refusals || !lists->refusals_at || !lists->senders ||
        !lists->senders_at) {
        lists_fini(lists);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        Tributary__Source *source = lists->at[i] = &lists->sources[i];
        tributary__source__init(source);
        source->file = batch->sources[i].file;
        source->begin = batch->sources[i].begin;
        source->end = batch->sources[i].end;
    }
    describe_refusals(lists, batch);
    describe_senders(lists, batch);
    return 0;
}

static void describe(const struct batch *batch, const struct lists *lists, Tributary__Batch *ret)
{
    tributary__batch__init(ret);
    ret->origin = batch->origin;
    ret->boot_id = batch->boot.id;
    ret->boot_started_ns = batch->boot.started_ns;
    ret->signal = (Tributary__Signal)batch->signal;
    ret->format = (Tributary__Format)batch->format;
    ret->seq = batch->seq;
    ret->records = batch->records;
    ret->raw_bytes = batch->raw_bytes;
    ret->largest_stream_bytes = batch->largest_stream_bytes;
    ret->earliest_ns = batch->earliest_ns;
    ret->latest_ns = batch->latest_ns;
    ret->sent_at_ns = batch->sent_at_ns;
    ret->n_sources = batch->source_count;
    ret->sources = lists->at;
    ret->crc32c = batch->crc;
    ret->acknowledged_seq = batch->acknowledged_seq;
    ret->n_owed = batch->owed_count;
    ret->owed = batch->owed;
    ret->handed_over = batch->handed_over;
    ret->n_senders = batch->sender_count;
    ret->senders = lists->senders_at;
    ret->n_refused = batch->refusal_count;
    ret->refused = lists->refusals_at;
}

int wire_encode_batch_head(const struct batch *batch, struct buf *out)
{
    struct lists lists;
    Tributary__Batch message;
    int err = lists_init(&lists, batch);
    if (err < 0)
        return err;
    describe(batch, &lists, &message);
    size_t before = out->len;
    err = frame_put(WIRE_BATCH, &message.base, out);
    lists_fini(&lists);
    if (err == 0)
        err = buf_reserve(out, PB_MAX_TAG + PB_MAX_VARINT);
    if (err < 0) {
        out->len = before;
        return err;
    }
    uint8_t *end = pb_write_tag(out->ptr + out->len, PAYLOAD, PB_LEN);
    out->len = (size_t)(pb_write_varint(end, batch->payload.len) - out->ptr);
    return 0;
}

/* ---- decoding */

static bool format_fits(Tributary__Signal signal, Tributary__Format format)
{
    switch (format) {
    case TRIBUTARY__FORMAT__REMOTE_WRITE_1:
    case TRIBUTARY__FORMAT__REMOTE_WRITE_2:
    case TRIBUTARY__FORMAT__OTLP_METRICS:
        return signal == TRIBUTARY__SIGNAL__METRICS;
    case TRIBUTARY__FORMAT__LOKI_PUSH:
    case TRIBUTARY__FORMAT__OTLP_LOGS:
        return signal == TRIBUTARY__SIGNAL__LOGS;
    case TRIBUTARY__FORMAT__OTLP_TRACES:
        return signal == TRIBUTARY__SIGNAL__TRACES;
    case TRIBUTARY__FORMAT__FORMAT_UNKNOWN:
    case _TRIBUTARY__FORMAT_IS_INT_SIZE:
        break;
    }
    return false;
}

/* Words are for people only: what is not fit to be shown costs no batch. */
static char *copy_words(const char *text)
{
    char cut[BATCH_MAX_REFUSAL_TEXT + 1];
    frame_cut(cut, sizeof cut, text);
    return strdup(text_is_name(cut, BATCH_MAX_REFUSAL_TEXT) ? cut : "");
}

static int add_refusal(struct batch *batch, const Tributary__Refusal *from)
{
    struct batch_refusal refusal = {.format = (enum batch_format)from->format, .records = from->records};
    if (from->payload.len > BATCH_MAX_REFUSAL_BYTES)
        return -E2BIG;
    if (!format_fits((Tributary__Signal)batch->signal, from->format))
        return -EINVAL;
    uint8_t *payload = malloc(from->payload.len + 1);
    if (payload && from->payload.len)
        memcpy(payload, from->payload.data, from->payload.len);
    refusal.payload = (struct bytes){payload, from->payload.len};
    refusal.words = copy_words(from->words);
    refusal.source = copy_words(from->source);
    int err = payload && refusal.words && refusal.source ? batch_take_refusal(batch, &refusal) : -ENOMEM;
    batch_refusal_fini(&refusal);
    return err;
}

static int add_lists(struct batch *batch, const Tributary__Batch *message)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < message->n_sources; i++) {
        const Tributary__Source *source = message->sources[i];
        if (!text_is_name(source->file, BATCH_MAX_FILE) || source->begin > source->end)
            return -EINVAL;
        err = batch_add_source(batch, source->file, source->begin, source->end);
    }
    for (size_t i = 0; err == 0 && i < message->n_owed; i++) {
        if (!text_is_name(message->owed[i], BATCH_MAX_ORIGIN))
            return -EINVAL;
        err = batch_add_owed(batch, message->owed[i]);
    }
    for (size_t i = 0; err == 0 && i < message->n_refused; i++)
        err = add_refusal(batch, message->refused[i]);
    for (size_t i = 0; err == 0 && i < message->n_senders; i++) {
        const Tributary__Sender *sender = message->senders[i];
        if (!text_is_name(sender->host, BATCH_MAX_HOST) || sender->end > message->raw_bytes)
            return -EINVAL;
        err = batch_add_sender(batch, sender->host, sender->begin, sender->end);
    }
    return err;
}

static int fill(struct batch *batch, const Tributary__Batch *message)
{
    batch->boot = (struct boot){message->boot_id, message->boot_started_ns};
    batch->signal = (enum telemetry)message->signal;
    batch->format = (enum batch_format)message->format;
    batch->seq = message->seq;
    batch->records = message->records;
    batch->raw_bytes = message->raw_bytes;
    batch->largest_stream_bytes = message->largest_stream_bytes;
    batch->earliest_ns = message->earliest_ns;
    batch->latest_ns = message->latest_ns;
    batch->sent_at_ns = message->sent_at_ns;
    batch->acknowledged_seq = message->acknowledged_seq;
    batch->handed_over = message->handed_over;
    batch->crc = message->crc32c;
    return add_lists(batch, message);
}

static int build(const Tributary__Batch *message, struct bytes payload, struct batch **ret_batch)
{
    if (!text_is_name(message->origin, BATCH_MAX_ORIGIN) || message->seq == 0 ||
        !format_fits(message->signal, message->format))
        return -EINVAL;
    if (crc32c(payload) != message->crc32c)
        return -EILSEQ;
    struct batch *batch = batch_new(message->origin);
    int err = batch ? fill(batch, message) : -ENOMEM;
    if (err < 0) {
        batch_free(batch);
        return err;
    }
    batch->payload = payload;
    *ret_batch = batch;
    return 0;
}

/* A batch's message up to its payload, and the payload's content, both borrowed. -EBADMSG when there is none
 * or something follows it. */
static int split(struct bytes message, struct bytes *ret_head, struct bytes *ret_payload)
{
    struct bytes rest = message;
    struct pb_field field;
    int more;
    while ((more = pb_next(&rest, &field)) > 0) {
        if (field.number != PAYLOAD)
            continue;
        if (field.type != PB_LEN || rest.len)
            return -EBADMSG;
        *ret_head = (struct bytes){message.ptr, (size_t)(field.whole.ptr - message.ptr)};
        *ret_payload = field.bytes;
        return 0;
    }
    return -EBADMSG;
}

int wire_decode_batch(struct bytes frame, struct batch **ret_batch)
{
    struct bytes message, head, payload;
    ProtobufCMessage *unpacked;
    int err = frame_open(frame, WIRE_BATCH, &message);
    if (err == 0)
        err = split(message, &head, &payload);
    if (err == 0)
        err = frame_unpack(head, &tributary__batch__descriptor, &unpacked);
    if (err < 0)
        return err;
    err = build((const Tributary__Batch *)unpacked, payload, ret_batch);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return err;
}
