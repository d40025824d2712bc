/* replay_pick.h - which records of a batch a replay asks for, and how they are posted. Pure, one thread.
 */
#ifndef GATEWAY_REPLAY_PICK_H
#define GATEWAY_REPLAY_PICK_H

#include "base/buf.h"
#include "base/buffer/buffer.h"
#include "gateway/fanout/records.h"

enum { REPLAY_MAX_MATCHES = 16, REPLAY_MAX_TEXT = 2048 };

struct replay_ask {
    int64_t from_ns, to_ns; /* both included */
    struct record_pair
        matches[REPLAY_MAX_MATCHES]; /* borrowed; all must be labels (attributes) of the record */
    size_t match_count;
    int64_t refused_before_ns, doubtful_before_ns, histograms_before_ns; /* replay_window.h; INT64_MIN:
                                                                            nothing is */
};

struct replay_run {
    uint32_t from, to; /* records [from, to) */
};

struct replay_picked {       /* counts are of records */
    struct replay_run *runs; /* owned */
    size_t run_count, room;
    uint32_t count, taken;
    uint32_t left_out;   /* asked for, but the backend would refuse them for their age */
    uint32_t doubtful;   /* taken, and refused where the backend has newer ones of their series or stream */
    uint32_t histograms; /* native, taken and not doubtful otherwise, older than histograms_before_ns */
};

/* replay_pick_all: the whole row is asked for and none of it is old, so it need not be looked into, unless it
 * may hold native histograms. */
bool replay_pick_all(const struct replay_ask *ask, const struct buffer_row *row);

/* replay_pick_none: nothing of the row is in the span. */
bool replay_pick_none(const struct replay_ask *ask, const struct buffer_row *row);

/* replay_pick: looks at each record of raw. 0 (replay_picked_fini is owed), -EBADMSG, -EPROTONOSUPPORT (a
 * format whose records are not read), -ENOMEM. */
int replay_pick(const struct replay_ask *ask, enum batch_format format, struct bytes raw,
                struct replay_picked *ret_picked);
void replay_picked_fini(struct replay_picked *picked);

/* replay_pick_write: appends the messages of what was taken. 0, errors of split_write. */
int replay_pick_write(const struct replay_picked *picked, enum batch_format format, struct bytes raw,
                      struct buf *out);

/* A part of a PushRequest: one entry of its streams. */
struct replay_stream {
    uint64_t hash; /* of its labels */
    uint32_t order;
    struct bytes labels, body; /* borrowed from the message */
};

/* replay_streams: the streams of a PushRequest, those of equal labels beside each other and in their order,
 * for Loki tells of a request's last stream only. *ret_streams is malloc'ed. 0, -EBADMSG, -ENOMEM. */
int replay_streams(struct bytes raw, struct replay_stream **ret_streams, size_t *ret_count);

/* replay_streams_same: how many from the first on have its labels. */
size_t replay_streams_same(const struct replay_stream *streams, size_t count);

/* replay_streams_write: replaces out by a PushRequest of one stream: the first one's labels, and the lines of
 * all of them. Entries of equal labels are several streams to Loki's answer. 0, errors of buf_append. */
int replay_streams_write(const struct replay_stream *streams, size_t count, struct buf *out);

#endif
