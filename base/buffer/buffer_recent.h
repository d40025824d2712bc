/* buffer_recent.h - the payloads committed last, kept in memory for a moment.
 *
 * A fan-out that keeps up asks for every payload within milliseconds of its commit: it gets a copy of the
 * bytes that came from the agent, and the file is not read. Holds at most BUFFER_RECENT_BYTES in
 * BUFFER_RECENT_COUNT payloads, the oldest leave first, and all of them when nothing was committed for a
 * while. What is here is committed; what is not is in the file.
 *
 * Any thread.
 */
#ifndef BASE_BUFFER_RECENT_H
#define BASE_BUFFER_RECENT_H

#include <pthread.h>

#include "base/batch.h"
#include "base/buf.h"

enum { BUFFER_RECENT_COUNT = 16, BUFFER_RECENT_BYTES = 4 << 20 };

struct buffer_recent_payload {
    int64_t row_id; /* 0: free */
    struct bytes bytes;
    void *owner; /* owned; given to release */
    void (*release)(void *owner);
    unsigned pins; /* who copies it now; it stays until they are done */
};

struct buffer_recent {
    pthread_mutex_t lock; /* of what follows */
    struct buffer_recent_payload payloads[BUFFER_RECENT_COUNT];
    size_t bytes;
};

void buffer_recent_init(struct buffer_recent *recent);
void buffer_recent_fini(struct buffer_recent *recent);

/* buffer_recent_keep: takes the payload of a committed batch, whose payload then has no bytes but still its
 * length. Takes nothing when it is too large or has no owner. */
void buffer_recent_keep(struct buffer_recent *recent, int64_t row_id, struct batch *batch);

/* buffer_recent_copy: appends the payload of the row to out. 0; -ENOENT: not kept (any more); -ENOMEM,
 * -EMSGSIZE. */
int buffer_recent_copy(struct buffer_recent *recent, int64_t row_id, struct buf *out);

/* buffer_recent_clear: gives all of it back. */
void buffer_recent_clear(struct buffer_recent *recent);

#endif
