#include "base/pb.h"

#include <errno.h>

int pb_get_varint(struct bytes *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t most = rest->len < PB_MAX_VARINT ? rest->len : PB_MAX_VARINT;
    for (size_t i = 0; i < most; i++) {
        uint8_t byte = rest->ptr[i];
        if (i == PB_MAX_VARINT - 1 && byte > 1)
            return -EBADMSG; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *rest = bytes_skip(*rest, i + 1);
            *ret_value = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int get_fixed(struct bytes *rest, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (rest->len < size)
        return -EBADMSG;
    memcpy(&value, rest->ptr, size); /* the machines served are little-endian, as the wire is */
    *rest = bytes_skip(*rest, size);
    *ret_value = value;
    return 0;
}

static int get_bytes(struct bytes *rest, struct bytes *ret_bytes)
{
    uint64_t len;
    if (pb_get_varint(rest, &len) < 0 || len > rest->len)
        return -EBADMSG;
    *ret_bytes = (struct bytes){rest->ptr, (size_t)len};
    *rest = bytes_skip(*rest, (size_t)len);
    return 0;
}

static int get_content(struct bytes *rest, struct pb_field *field)
{
    switch (field->type) {
    case PB_VARINT:
        return pb_get_varint(rest, &field->value);
    case PB_FIXED64:
        return get_fixed(rest, 8, &field->value);
    case PB_LEN:
        return get_bytes(rest, &field->bytes);
    case PB_FIXED32:
        return get_fixed(rest, 4, &field->value);
    }
    return -EBADMSG; /* a group, or a wire type that does not exist */
}

int pb_next(struct bytes *rest, struct pb_field *ret_field)
{
    struct bytes at = *rest;
    struct pb_field field = {0};
    uint64_t tag;
    if (at.len == 0)
        return 0;
    if (pb_get_varint(&at, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return -EBADMSG;
    field.number = (uint32_t)(tag >> 3);
    field.type = (enum pb_type)(tag & 7);
    int err = get_content(&at, &field);
    if (err < 0)
        return err;
    field.whole = (struct bytes){rest->ptr, (size_t)(at.ptr - rest->ptr)};
    *rest = at;
    *ret_field = field;
    return 1;
}

int pb_put_varint(struct buf *b, uint32_t number, uint64_t value)
{
    int err = buf_reserve(b, PB_MAX_TAG + PB_MAX_VARINT);
    if (err < 0)
        return err;
    uint8_t *p = pb_write_tag(b->ptr + b->len, number, PB_VARINT);
    b->len = (size_t)(pb_write_varint(p, value) - b->ptr);
    return 0;
}

int pb_put_fixed64(struct buf *b, uint32_t number, uint64_t value)
{
    int err = buf_reserve(b, PB_MAX_TAG + sizeof value);
    if (err < 0)
        return err;
    uint8_t *p = pb_write_tag(b->ptr + b->len, number, PB_FIXED64);
    memcpy(p, &value, sizeof value);
    b->len = (size_t)(p + sizeof value - b->ptr);
    return 0;
}

int pb_put_double(struct buf *b, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return pb_put_fixed64(b, number, bits);
}

int pb_put_bytes(struct buf *b, uint32_t number, struct bytes value)
{
    int err = buf_reserve(b, PB_MAX_TAG + PB_MAX_VARINT + value.len);
    if (err < 0)
        return err;
    uint8_t *p = pb_write_tag(b->ptr + b->len, number, PB_LEN);
    p = pb_write_varint(p, value.len);
    if (value.len)
        memcpy(p, value.ptr, value.len);
    b->len = (size_t)(p + value.len - b->ptr);
    return 0;
}

int pb_put_string(struct buf *b, uint32_t number, const char *value)
{
    return pb_put_bytes(b, number, bytes_of_string(value));
}

int pb_begin(struct buf *b, uint32_t number, size_t *ret_mark)
{
    int err = buf_reserve(b, PB_MAX_TAG + PB_LENGTH_PAD);
    if (err < 0)
        return err;
    uint8_t *p = pb_write_tag(b->ptr + b->len, number, PB_LEN);
    b->len = (size_t)(p + PB_LENGTH_PAD - b->ptr);
    *ret_mark = b->len;
    return 0;
}

void pb_end(struct buf *b, size_t mark)
{
    size_t len = b->len - mark;
    uint8_t *p = b->ptr + mark - PB_LENGTH_PAD;
    for (int i = 0; i < PB_LENGTH_PAD; i++, len >>= 7)
        p[i] = (uint8_t)((len & 0x7f) | (i < PB_LENGTH_PAD - 1 ? 0x80 : 0));
}
