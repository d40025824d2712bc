/* job.h - work that an operator asked for over the control socket and watches: refused, replay.
 *
 * The answer is a stream of lines; the last one is "end STATUS" with the exit status, and a stream without it
 * was cut off. Each job runs in steps on libuv's thread pool, one at a time, and stops while its peer has
 * more than JOB_QUEUED_BYTES still to take; a job whose peer has left ends after its step. At most JOB_MOST
 * at once, JOB_MOST_SENDING of them such as post to a backend and may take hours; more are answered 503. Loop
 * thread only.
 */
#ifndef GATEWAY_JOB_H
#define GATEWAY_JOB_H

#include <stdatomic.h>

#include "base/http/http_server.h"
#include "base/loop.h"

enum {
    JOB_QUEUED_BYTES = 1 << 20,
    JOB_MOST = 6,
    JOB_MOST_SENDING = 2,
    JOB_GOES_ON = -1,
    JOB_MAX_OUT = 64 << 20
};

struct jobs;

struct job_kind {
    /* step: adds lines to out; JOB_GOES_ON or the exit status. On the thread pool; gives up soon once
     * *cancelled. */
    int (*step)(void *work, const _Atomic bool *cancelled, struct buf *out);
    void (*free)(void *work); /* loop thread */
    bool is_sending;
};

/* jobs_new: 0, -ENOMEM. */
int jobs_new(struct loop *loop, struct jobs **ret_jobs);

/* jobs_start: begins the answer to request; work is the job's from here on, whatever happens. */
void jobs_start(struct jobs *jobs, struct http_request *request, const struct job_kind *kind, void *work);

/* jobs_close: cancels all; frees when the last step has ended, on the loop. Before the control socket is
 * closed. NULL is fine. */
void jobs_close(struct jobs *jobs);

#endif
