#include "base/snap.h"

#include <errno.h>
#include <snappy-c.h>

#include "base/pb.h"

int snap_compress(struct bytes raw, struct buf *b)
{
    size_t len = snappy_max_compressed_length(raw.len);
    int err = buf_reserve(b, len);
    if (err < 0)
        return err;
    if (snappy_compress((const char *)raw.ptr, raw.len, (char *)b->ptr + b->len, &len) != SNAPPY_OK)
        return -EMSGSIZE;
    b->len += len;
    return 0;
}

int snap_body(struct bytes block, struct bytes *ret_body, size_t *ret_raw_size)
{
    uint64_t size;
    if (pb_get_varint(&block, &size) < 0 || size > UINT32_MAX)
        return -EBADMSG;
    *ret_body = block;
    *ret_raw_size = (size_t)size;
    return 0;
}

int snap_raw_size(struct bytes block, size_t *ret_size)
{
    struct bytes body;
    return snap_body(block, &body, ret_size);
}

int snap_uncompress(struct bytes block, struct buf *b)
{
    size_t size;
    int err = snap_raw_size(block, &size);
    if (err < 0 || (err = buf_reserve(b, size ? size : 1)) < 0)
        return err;
    if (snappy_uncompress((const char *)block.ptr, block.len, (char *)b->ptr + b->len, &size) != SNAPPY_OK)
        return -EBADMSG;
    b->len += size;
    return 0;
}
