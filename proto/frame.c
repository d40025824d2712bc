/* frame.c - the four bytes before every message. */
#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>

int wire_kind_of(struct bytes frame, enum wire_kind *ret_kind)
{
    if (frame.len < WIRE_HEAD || frame.ptr[0] != 'T' || frame.ptr[1] != 'B')
        return -EBADMSG;
    if (frame.ptr[2] != WIRE_VERSION)
        return -EPROTONOSUPPORT;
    switch ((enum wire_kind)frame.ptr[3]) {
    case WIRE_BATCH:
    case WIRE_RESUME:
    case WIRE_ASSIGNMENT_REQUEST:
    case WIRE_QUESTION:
    case WIRE_QUESTION_ANSWER:
    case WIRE_REPLY:
    case WIRE_RESUME_REPLY:
    case WIRE_ASSIGNMENT:
        *ret_kind = (enum wire_kind)frame.ptr[3];
        return 0;
    }
    return -EBADMSG;
}

int frame_put(enum wire_kind kind, const ProtobufCMessage *message, struct buf *out)
{
    const uint8_t head[WIRE_HEAD] = {'T', 'B', WIRE_VERSION, (uint8_t)kind};
    size_t len = protobuf_c_message_get_packed_size(message);
    int err = buf_reserve(out, WIRE_HEAD + len);
    if (err < 0)
        return err;
    memcpy(out->ptr + out->len, head, WIRE_HEAD);
    protobuf_c_message_pack(message, out->ptr + out->len + WIRE_HEAD);
    out->len += WIRE_HEAD + len;
    return 0;
}

int frame_open(struct bytes frame, enum wire_kind kind, struct bytes *ret_message)
{
    enum wire_kind found;
    int err = wire_kind_of(frame, &found);
    if (err < 0)
        return err;
    if (found != kind)
        return -EBADMSG;
    *ret_message = bytes_skip(frame, WIRE_HEAD);
    return 0;
}

/* What unpacking may allocate: a field of two bytes costs about 120 in protobuf-c, one of ours, with a
 * string, less than four times its size. */
enum { UNPACK_FLOOR = 2 * 1024 * 1024, UNPACK_FACTOR = 8, UNPACK_CEILING = 64 * 1024 * 1024 };

static void *alloc_within(void *left, size_t size)
{
    size_t *budget = left;
    if (size > *budget)
        return NULL;
    *budget -= size;
    return malloc(size);
}

static void free_within(void *left, void *ptr)
{
    (void)left;
    free(ptr);
}

int frame_unpack(struct bytes message, const ProtobufCMessageDescriptor *descriptor,
                 ProtobufCMessage **ret_message)
{
    if (message.len > UNPACK_CEILING / UNPACK_FACTOR)
        return -E2BIG;
    size_t budget = UNPACK_FLOOR + UNPACK_FACTOR * message.len;
    ProtobufCAllocator allocator = {alloc_within, free_within, &budget};
    ProtobufCMessage *unpacked = protobuf_c_message_unpack(descriptor, &allocator, message.len, message.ptr);
    if (!unpacked)
        return -EBADMSG;
    *ret_message = unpacked;
    return 0;
}

int frame_get(struct bytes frame, enum wire_kind kind, const ProtobufCMessageDescriptor *descriptor,
              ProtobufCMessage **ret_message)
{
    struct bytes message;
    int err = frame_open(frame, kind, &message);
    return err < 0 ? err : frame_unpack(message, descriptor, ret_message);
}

int frame_copy(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size)
        return -E2BIG;
    memcpy(to, from, len + 1);
    return 0;
}

void frame_cut(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((uint8_t)from[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(to, from, len);
    to[len] = '\0';
}
