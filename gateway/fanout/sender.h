/* sender.h - posts request bodies to one backend: a curl multi handle, keep-alive, HTTP/1.1; to gRPC backends
 * calls over one HTTP/2 connection (grpc_connection.h).
 *
 * The body is borrowed until the post is done. An exchange whose request bytes may have left without an
 * answer is told apart from one that surely did not reach the backend: curl's own silent second try on a dead
 * connection is stopped, because the first one may be in. At most 8 KiB of an answer is kept. One thread, but
 * for sender_wake.
 */
#ifndef GATEWAY_SENDER_H
#define GATEWAY_SENDER_H

#include "base/batch.h"
#include "base/buf.h"
#include "gateway/config.h"
#include "gateway/fanout/verdict.h"

struct sender;

enum sender_outcome {
    SENDER_ANSWERED,  /* status and what follows are set */
    SENDER_NOT_SENT,  /* no connection: surely not in */
    SENDER_NO_ANSWER, /* may be in */
};

struct sender_answer { /* borrowed; valid during done() only */
    enum sender_outcome outcome;
    struct verdict_answer http;
    const char *error; /* of the last two outcomes; else "" */
    bool timed_out;
    int64_t date_ns; /* of the answer's Date; 0: none */
    int64_t took_ns;
};

struct sender_post {
    struct bytes body;
    void (*done)(struct sender_post *post, const struct sender_answer *answer); /* from sender_run */
    struct exchange *exchange;                                                  /* the sender's */
};

/* sender_new: config is borrowed; signal names the service of a gRPC backend. 0, -ENOMEM, -EINVAL (curl
 * refuses an option: bad URL). */
int sender_new(const struct gateway_backend_config *config, enum backend_kind kind, enum telemetry signal,
               struct sender **ret_sender);

/* sender_free: every post must be done or aborted. NULL is fine. */
void sender_free(struct sender *sender);

/* sender_start: 0, then done() follows from a later sender_run; -ENOMEM. */
int sender_start(struct sender *sender, struct sender_post *post);

/* sender_abort: the post is forgotten; done() is not called. */
void sender_abort(struct sender *sender, struct sender_post *post);

/* sender_run: moves everything on as far as it goes without waiting, calls done() of what is finished. */
void sender_run(struct sender *sender);

/* sender_wait: until there is something to run, sender_wake was called, or timeout_ms passed. */
void sender_wait(struct sender *sender, int timeout_ms);

/* sender_get: a GET of another page of the backend, waited for: of its URL, which must end in suffix, path
 * takes the suffix's place. Appends the page to answer. 0; -EINVAL (the URL ends otherwise), -EIO, -EMSGSIZE,
 * with words in error. */
enum { SENDER_MAX_ERROR = 256, SENDER_GET_MS = 10000 };
int sender_get(struct sender *sender, const char *suffix, const char *path, int timeout_ms,
               struct buf *answer, char error[SENDER_MAX_ERROR]);

/* sender_wake: ends a sender_wait, now or the next one. Any thread. */
void sender_wake(struct sender *sender);

#endif
