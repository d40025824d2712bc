/* otlp_queue.h - OTLP requests that wait, and how they become a batch. Internal to otlp*.c.
 *
 * Concatenated requests are one request, because all their top-level fields are repeated ones: a batch is the
 * waiting requests' bytes one after the other. A request is compressed when it comes, so that what waits
 * takes a fraction of its bytes, and sealing joins snappy blocks by copying; small ones wait as they are and
 * are compressed together.
 */
#ifndef BASE_OTLP_QUEUE_H
#define BASE_OTLP_QUEUE_H

#include "base/batch.h"
#include "base/otlp/otlp_walk.h"

struct http_request;
struct otlp_lane;

enum { OTLP_BATCH_RAW_BYTES = 4 * 1024 * 1024, OTLP_SMALL_BYTES = 8 * 1024 };

/* A request that waits for its commit. Its bytes are given up when it is sealed. */
struct otlp_waiting {
    struct otlp_waiting *next;
    struct otlp_lane *lane;       /* borrowed */
    struct http_request *request; /* borrowed; NULL once answered or gone */
    uint8_t *bytes;               /* owned; NULL once sealed */
    size_t len;                   /* of bytes; also once they are gone */
    size_t raw_len;
    char *unknown_host; /* owned; its sender, when nothing is known of it; NULL when not wanted */
    bool is_block;      /* bytes are a snappy block */
    struct otlp_count count;
    int64_t deadline_ms; /* of uv_now: the client is answered by then */
    int64_t since_ms;    /* of uv_now: when it came */
};

/* Owns its requests; the oldest comes first. */
struct otlp_queue {
    struct otlp_waiting *first, **end;
    size_t count, raw_bytes;
    size_t batch_raw_bytes; /* that a batch takes at most of several requests */
};

/* otlp_queue_compress: makes a block of the waiting request's bytes unless it is small or does not shrink. */
void otlp_queue_compress(struct otlp_waiting *w);

/* otlp_queue_init: batch_raw_bytes is OTLP_BATCH_RAW_BYTES at most; 0: as much. */
void otlp_queue_init(struct otlp_queue *queue, size_t batch_raw_bytes);
void otlp_queue_append(struct otlp_queue *queue, struct otlp_waiting *w);

/* otlp_queue_take_first: the caller owns it; NULL when the queue is empty. */
struct otlp_waiting *otlp_queue_take_first(struct otlp_queue *queue);

/* otlp_queue_earliest: the earliest deadline of those whose client still waits, with all of the others too;
 * INT64_MAX when there is none. */
int64_t otlp_queue_earliest(const struct otlp_queue *queue, bool all);

/* otlp_queue_seal: moves the oldest requests from queue to sealed and makes a batch of their bytes: whole
 * requests up to batch_raw_bytes, one larger than that alone; with the senders that are not known. 0
 * with *ret_batch (the caller owns it), -EAGAIN when the queue is empty, -ENOMEM (then nothing moved). */
int otlp_queue_seal(struct otlp_queue *queue, struct otlp_queue *sealed, enum telemetry signal,
                    const char *origin, struct batch **ret_batch);

#endif
