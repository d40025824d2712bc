#include "gateway/fanout/payload.h"

#include <errno.h>

#include "base/snap.h"

void payload_init(struct payload *payload, struct buffer_reader *reader, struct translate *translate)
{
    *payload = (struct payload){.reader = reader, .translate = translate};
    buf_init(&payload->block, PAYLOAD_MAX_RAW);
    buf_init(&payload->raw, PAYLOAD_MAX_RAW);
}

void payload_fini(struct payload *payload)
{
    buf_fini(&payload->block);
    buf_fini(&payload->raw);
}

void payload_release(struct payload *payload)
{
    buf_release(&payload->block, 0);
    buf_release(&payload->raw, 0);
    payload->row_id = 0;
}

int payload_join(struct payload *payload, const struct buffer_row *row, struct join *join)
{
    struct buf *into = join_begin_row(join, row->raw_bytes);
    if (!into)
        return -ENOMEM;
    int err = buffer_reader_payload(payload->reader, row->id, into);
    if (err < 0) {
        join_drop_row(join);
        return err;
    }
    return join_end_row(join);
}

static int uncompress(struct payload *payload)
{
    size_t size;
    if (snap_raw_size(buf_bytes(&payload->block), &size) < 0 || size > PAYLOAD_MAX_RAW)
        return -EPROTO;
    int err = snap_uncompress(buf_bytes(&payload->block), &payload->raw);
    return err == -EBADMSG ? -EPROTO : err;
}

bool payload_is_translated(const struct payload *payload, const struct buffer_row *row)
{
    return payload->translate && translate_is_needed(payload->translate->kind, row->format);
}

enum batch_format payload_format(const struct payload *payload, const struct buffer_row *row)
{
    if (!payload_is_translated(payload, row))
        return row->format;
    return row->format == FORMAT_OTLP_METRICS ? FORMAT_REMOTE_WRITE_1 : FORMAT_LOKI_PUSH;
}

struct bytes payload_source(const struct payload *payload)
{
    return buf_bytes(&payload->raw);
}

/* The rows of a backend share its translator: what it made last may be of another lane's row. */
static int translate(struct payload *payload, const struct buffer_row *row, struct bytes *ret_raw)
{
    struct translate *t = payload->translate;
    if (t->row_id != row->id) {
        int err = translate_run(t, row->format, buf_bytes(&payload->raw), row->id, row->committed_at_ns);
        if (err < 0)
            return err == -ENOMEM ? err : -EPROTO;
    }
    *ret_raw = buf_bytes(&t->result.message);
    return 0;
}

int payload_raw(struct payload *payload, const struct buffer_row *row, struct bytes *ret_raw)
{
    if (payload->row_id != row->id) {
        payload_release(payload);
        int err = buffer_reader_payload(payload->reader, row->id, &payload->block);
        if (err == 0)
            err = uncompress(payload);
        buf_release(&payload->block, 0);
        if (err < 0)
            return err;
        payload->row_id = row->id;
    }
    if (payload_is_translated(payload, row))
        return translate(payload, row, ret_raw);
    *ret_raw = buf_bytes(&payload->raw);
    return 0;
}
