/* snap.h - snappy blocks: made once, checked, joined by copying.
 *
 * A block is a varint of its raw size and a body (google/snappy format_description.txt). Bodies concatenate:
 * a joined block is the summed size and the bodies one after the other, because a body's copies reach back
 * only into what that body itself produced. Pure functions, any thread.
 */
#ifndef BASE_SNAP_H
#define BASE_SNAP_H

#include "base/buf.h"

/* snap_compress: appends the block of raw to b. 0, -EMSGSIZE past b's limit, -ENOMEM. */
int snap_compress(struct bytes raw, struct buf *b);

/* snap_raw_size: what the block says its raw size is. 0 or -EBADMSG. Check it against a limit before
 * snap_uncompress. */
int snap_raw_size(struct bytes block, size_t *ret_size);

/* snap_uncompress: appends the raw bytes of the block to b. 0, -EBADMSG, -EMSGSIZE past b's limit, -ENOMEM.
 */
int snap_uncompress(struct bytes block, struct buf *b);

/* snap_body: the block without its size varint, and that size. 0 or -EBADMSG. To join blocks: append the
 * varint of the summed sizes, then every body. */
int snap_body(struct bytes block, struct bytes *ret_body, size_t *ret_raw_size);

#endif
