#include "gateway/payload.h"

#include <errno.h>

#include "base/snap.h"

void payload_init(struct payload *payload, struct buffer_reader *reader)
{
    *payload = (struct payload){.reader = reader};
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
    *ret_raw = buf_bytes(&payload->raw);
    return 0;
}
