/* pb.h - walks and writes the protobuf wire format without a schema and without recursion.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/. Groups (wire types 3 and 4) are refused: none of
 * the formats moved here uses them. The walker reads one level; whoever wants a deeper one walks the field's
 * bytes again, so the depth is the caller's and never the sender's. Pure functions, any thread.
 */
#ifndef BASE_PB_H
#define BASE_PB_H

#include "base/buf.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_LEN = 2, PB_FIXED32 = 5 };

enum { PB_MAX_VARINT = 10, PB_MAX_TAG = 5 };

struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;     /* of PB_VARINT, PB_FIXED64, PB_FIXED32 */
    struct bytes bytes; /* of PB_LEN: the content; borrowed from the message */
    struct bytes whole; /* tag, length and content; borrowed from the message */
};

/* pb_next: takes the next field off *rest. 1 with *ret_field set, 0 at the end, -EBADMSG on bytes that are
 * not protobuf (then *rest is unchanged). */
int pb_next(struct bytes *rest, struct pb_field *ret_field);

/* pb_get_varint: reads a varint off *rest. 0 or -EBADMSG (truncated or longer than 10 bytes). */
int pb_get_varint(struct bytes *rest, uint64_t *ret_value);

/* pb_varint_size: bytes that the varint of v takes (1 to 10). */
static inline size_t pb_varint_size(uint64_t v)
{
    return (size_t)(9 * (64 - __builtin_clzll(v | 1)) + 64) / 64;
}

/* pb_write_varint: writes v at p, which has room for PB_MAX_VARINT bytes; returns the end. */
static inline uint8_t *pb_write_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* pb_write_tag: writes the tag of a field at p, which has room for PB_MAX_TAG bytes; returns the end. */
static inline uint8_t *pb_write_tag(uint8_t *p, uint32_t number, enum pb_type type)
{
    return pb_write_varint(p, (uint64_t)number << 3 | type);
}

/* pb_put_*: append one field. 0 or the error of buf_reserve; on failure nothing was added. */
int pb_put_varint(struct buf *b, uint32_t number, uint64_t value);
int pb_put_fixed64(struct buf *b, uint32_t number, uint64_t value);
int pb_put_double(struct buf *b, uint32_t number, double value);
int pb_put_bytes(struct buf *b, uint32_t number, struct bytes value);
int pb_put_string(struct buf *b, uint32_t number, const char *value);

/* pb_begin, pb_end: enclose a nested message whose length is not known yet. pb_begin appends the tag and a
 * length of PB_LENGTH_PAD bytes and returns in *ret_mark where the content begins; pb_end writes the length
 * there, padded (a longer varint than needed is valid protobuf). Contents are limited to 2^28 - 1 bytes. */
enum { PB_LENGTH_PAD = 4 };
int pb_begin(struct buf *b, uint32_t number, size_t *ret_mark);
void pb_end(struct buf *b, size_t mark);

#endif
