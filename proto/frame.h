/* frame.h - what the encoders and decoders of proto/ share: the four bytes before a message, and protobuf-c's
 * objects behind them. Not for other folders. Pure functions, any thread.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <protobuf-c/protobuf-c.h>

#include "proto/wire.h"

/* frame_put: appends a frame of kind that holds message. 0, -ENOMEM, -EMSGSIZE past out's limit; on failure
 * nothing was added. */
int frame_put(enum wire_kind kind, const ProtobufCMessage *message, struct buf *out);

/* frame_open: checks that frame is of kind and gives its message, borrowed. Errors of wire_kind_of; -EBADMSG
 * for another kind. */
int frame_open(struct bytes frame, enum wire_kind kind, struct bytes *ret_message);

/* frame_unpack: a message of descriptor from bytes off the network. protobuf-c allocates for every field it
 * meets, known or not, so a small message of empty elements would cost fifty times its size: memory is
 * limited to a multiple of the message's size. -EBADMSG (also past that limit); free the message with
 * protobuf_c_message_free_unpacked and no allocator. */
int frame_unpack(struct bytes message, const ProtobufCMessageDescriptor *descriptor,
                 ProtobufCMessage **ret_message);

/* frame_get: frame_open and frame_unpack. */
int frame_get(struct bytes frame, enum wire_kind kind, const ProtobufCMessageDescriptor *descriptor,
              ProtobufCMessage **ret_message);

/* frame_copy: copies a string that must fit size with its NUL. 0 or -E2BIG. */
int frame_copy(char *to, size_t size, const char *from);

/* frame_cut: copies what fits of a text for people, cut between characters. */
void frame_cut(char *to, size_t size, const char *from);

#endif
