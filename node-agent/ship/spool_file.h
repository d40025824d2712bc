/* spool_file.h - one signal's file of the spool: a buffer of base/ with one backend, "gateway".
 *
 * Batches go in with their number and come out, oldest first, as they were, also with the senders that the
 * agent does not know, for the gateway to add their attributes. One append at a time and one
 * batch out at a time. Loop thread only; the file is written by the buffer's own thread and read on the loop,
 * at most one batch at a call.
 */
#ifndef NODE_AGENT_SPOOL_FILE_H
#define NODE_AGENT_SPOOL_FILE_H

#include "base/buffer/buffer.h"

struct spool_file {
    struct buffer *buffer;        /* owned; NULL: it could not be opened */
    struct buffer_reader *reader; /* owned */
    struct mailbox *mailbox;      /* borrowed */
    enum telemetry signal;
    int64_t cursors[BUFFER_SLOTS], after;
    bool has_more; /* rows that were not looked at */
    struct buffer_append append;
    void (*appended)(void *ctx, struct batch *batch, enum buffer_outcome outcome);
    void *ctx;
    bool is_appending;
    struct buffer_row out; /* id 0: none is */
    uint64_t damaged;      /* batches that could not be read */
};

/* spool_file_open: opens folder/SIGNAL.db, whose file and log together take at most quota_bytes. Metrics make
 * room by dropping their oldest, others do not take more. A file of a newer version or a damaged one is moved
 * aside and named in errors. Errors of buffer_open; then it can be called again. */
int spool_file_open(struct spool_file *file, const char *folder, enum telemetry signal, int64_t quota_bytes,
                    struct mailbox *mailbox, struct buf *errors);

/* spool_file_close: commits what is under way (its letter is in the mailbox then). */
void spool_file_close(struct spool_file *file);

/* spool_file_append: writes batch (the file's until then) and calls appended on the loop; the callee owns the
 * batch, whose payload may have gone when it was committed. Only while nothing is being appended. */
void spool_file_append(struct spool_file *file, struct batch *batch,
                       void (*appended)(void *ctx, struct batch *batch, enum buffer_outcome outcome),
                       void *ctx);

/* spool_file_next: the oldest batch, with its number; it is out until spool_file_settle. 0 with *ret_batch,
 * -ENOENT: there is none, -EIO, -ENOMEM. Damaged ones are passed over and counted. */
int spool_file_next(struct spool_file *file, struct batch **ret_batch);

/* spool_file_is_out: whether it is batch that is out. */
bool spool_file_is_out(const struct spool_file *file, const struct batch *batch);

/* spool_file_settle: the batch that is out is a gateway's, or refused by it. */
void spool_file_settle(struct spool_file *file, enum buffer_cause cause);

#endif
