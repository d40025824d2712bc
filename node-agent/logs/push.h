/* push.h - builds a Loki PushRequest as bytes, one log at a time, and compresses it once.
 *
 * Source: grafana/loki pkg/push/push.proto: PushRequest { repeated Stream streams = 1 }, Stream { string
 * labels = 1; repeated Entry entries = 2 }, Entry { Timestamp timestamp = 1 { int64 seconds = 1; int32 nanos
 * = 2 }; string line = 2; repeated LabelPair structuredMetadata = 3 { string name = 1; string value = 2 } }.
 * The entries of one stream stand together: those of a log's first stream are
 * written in place, those of its others beside it and copied behind when the log ends. Never holds more than
 * its limit. One thread.
 */
#ifndef NODE_AGENT_PUSH_H
#define NODE_AGENT_PUSH_H

#include "base/buf.h"

enum { PUSH_STREAMS = 3 /* of one log */, PUSH_METADATA = 2 /* pieces, of a line */ };

struct push {
    size_t limit;                  /* raw bytes of a request at most */
    struct buf raw;                /* the request; the open log's first stream is being written at its end */
    struct buf side[PUSH_STREAMS]; /* entries of the open log's other streams */
    int first;                     /* the open log's stream that goes into raw, or -1 */
    size_t mark;                   /* of that stream's message */
    struct bytes labels[PUSH_STREAMS];      /* of the open log; borrowed */
    size_t reserved;                        /* what closing the open log's streams still takes */
    uint64_t records, largest_stream_bytes; /* of the request so far */
    int64_t earliest_ns, latest_ns;         /* of its records' times */
};

void push_init(struct push *p, size_t limit);
void push_fini(struct push *p);

/* push_clear: an empty request; keeps the memory. push_release: gives the memory back. */
void push_clear(struct push *p);
void push_release(struct push *p);

/* push_reserve: takes the memory for bytes of a request at once. 0 or -ENOMEM. */
int push_reserve(struct push *p, size_t bytes);

/* push_begin_log: what follows belongs to the log with these streams' labels ({...}, borrowed until
 * push_end_log). */
void push_begin_log(struct push *p, const struct bytes labels[PUSH_STREAMS]);

/* push_has_room: whether a line of len bytes can be added to the stream. */
bool push_has_room(const struct push *p, int stream, size_t len);

/* push_add: one line of the open log. time_ns is not negative. 0, -EMSGSIZE (no room; nothing added),
 * -ENOMEM. */
int push_add(struct push *p, int stream, int64_t time_ns, struct bytes text);

/* push_add_with: the same with structured metadata, which push_put_metadata wrote; it is the pieces' contents
 * one after the other. */
int push_add_with(struct push *p, int stream, int64_t time_ns, struct bytes text,
                  const struct bytes metadata[PUSH_METADATA]);

/* push_put_metadata: appends one pair. 0 or the error of buf_append. */
int push_put_metadata(struct buf *out, const char *name, struct bytes value);

/* push_last_text: the text of the len bytes long line that was added last to the stream of the open log;
 * borrowed until the next change. */
struct bytes push_last_text(const struct push *p, int stream, size_t len);

/* push_end_log: closes the log's streams. 0, or -ENOMEM: the request is not whole, clear it. */
int push_end_log(struct push *p);

/* push_compress: the request as a snappy block in memory of its own, which the caller frees. 0, -ENOMEM. */
int push_compress(struct push *p, uint8_t **ret_block, size_t *ret_len);

#endif
