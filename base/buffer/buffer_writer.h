/* buffer_writer.h - the queue into a buffer and the thread that commits what is in it.
 *
 * The thread takes what is queued, at most BUFFER_GROUP_WORKS pieces or BUFFER_GROUP_BYTES of payload, does
 * all of it in one transaction, commits (synchronous=FULL), and only then posts the letters. A transaction
 * that fails is done again piece by piece, so that one bad piece fails alone.
 */
#ifndef BASE_BUFFER_WRITER_H
#define BASE_BUFFER_WRITER_H

#include "base/buffer/buffer_store.h"

enum { BUFFER_GROUP_WORKS = 256, BUFFER_GROUP_BYTES = 64 << 20 };

enum buffer_work_kind {
    BUFFER_WORK_APPEND,
    BUFFER_WORK_RESUME,
    BUFFER_WORK_SETTLE,
    BUFFER_WORK_HAND_OVER,
    BUFFER_WORK_REFUSAL,
    BUFFER_WORK_REPLAY,
};

struct buffer_work {
    struct buffer_work *next;
    enum buffer_work_kind kind;
    union {
        struct buffer_append *append;
        struct buffer_resume *resume;
        struct buffer_settlement *settlement;
        struct buffer_handed *handed;
        struct buffer_refusal_change *change;
        struct buffer_replay_note *replay;
    } of;
};

/* buffer_writer_start: 0 or a negative errno. */
int buffer_writer_start(struct buffer *buffer);

/* buffer_writer_stop: commits what is queued and joins the thread. */
void buffer_writer_stop(struct buffer *buffer);

/* buffer_writer_queue: any thread; a copy of work is queued. Without memory, or after stop, it is answered at
 * once as failed. */
void buffer_writer_queue(struct buffer *buffer, struct buffer_work work);

#endif
