/* frame.c - the four bytes before every message. */
#include <errno.h>

#include "proto/wire.h"

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
    case WIRE_REPLY:
    case WIRE_RESUME_REPLY:
    case WIRE_ASSIGNMENT:
        *ret_kind = (enum wire_kind)frame.ptr[3];
        return 0;
    }
    return -EBADMSG;
}
