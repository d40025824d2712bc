/* receive_inside.h - the inside of struct receive, shared by its own files only.
 *
 *   receive         opens, dispatches, refuses, ends        receive_batch   batches
 *   receive_resume  resumes
 */
#ifndef GATEWAY_RECEIVE_INSIDE_H
#define GATEWAY_RECEIVE_INSIDE_H

#include "gateway/intake/door.h"
#include "gateway/intake/origins.h"
#include "gateway/intake/receive.h"

enum { RECEIVE_FULL_WAIT_MS = 1000, RECEIVE_CROWDED_WAIT_MS = 100, RECEIVE_DRAINING_WAIT_MS = 1000 };
enum { RECEIVE_MAX_FRAME_BYTES = 15 * 1024 * 1024 }; /* of an answer; agents take 16 MiB */

struct receive {
    struct loop *loop; /* borrowed */
    const struct gateway_config *config;
    struct buffer *buffers[TELEMETRY_COUNT]; /* borrowed */
    struct stats *stats;                     /* borrowed */
    struct receive_assignments assignments;
    struct {
        int (*tell)(void *ctx, const struct receive_question *asked);
        void *ctx;
    } tellers[QUESTION_VERBS];
    struct door *door; /* owned; NULL once closed */
    struct origins origins;
    struct bytes (*find_sender)(const struct pods *pods, const char *host); /* NULL: nobody knows */
    const struct pods *pods;                                                /* borrowed, for it */
    int under_way;                                                          /* requests that a buffer has */
    size_t bytes_under_way;                                                 /* of batches among them */
    bool is_draining, is_closed;
    void (*drained)(void *ctx);
    void *drained_ctx;
    const char *(*went)(void *ctx, const char *origin, enum telemetry signal); /* NULL: not handed over */
    void *went_ctx;
    uv_timer_t timer; /* gauges; after the close, the burial */
};

/* receive_answer: frame, whose memory goes with it; encode_error: what making it came to. */
void receive_answer(struct desk *desk, int encode_error, struct buf *frame);

/* receive_refuse: counts and says why. error tells the cause; -ENOMEM is answered as busy. */
void receive_refuse(struct receive *receive, struct desk *desk, int error, const char *reason);

/* receive_assignment_version: of the origin's targets; 0: none. */
uint64_t receive_assignment_version(struct receive *receive, const char *origin);

/* receive_finish: tells who waits for the drain, when nothing is under way any more. */
void receive_finish(struct receive *receive);

void receive_batch_serve(struct receive *receive, struct desk *desk);
void receive_resume_serve(struct receive *receive, struct desk *desk);

#endif
