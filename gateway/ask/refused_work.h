/* refused_work.h - a job over the kept refused records that a filter names: list, show, try again, drop; one
 * record a step. On a thread of libuv's pool: for the control socket (refused.c) or for another gateway
 * (refused_errands.c). */
#ifndef GATEWAY_REFUSED_WORK_H
#define GATEWAY_REFUSED_WORK_H

#include "base/buffer/buffer.h"
#include "gateway/config.h"

enum { REFUSED_WORK_TEXT = 256 };

enum refused_action { /* values are on the wire */
                      REFUSED_LIST = 0,
                      REFUSED_SHOW = 1,
                      REFUSED_RETRY = 2,
                      REFUSED_DROP = 3,
};

struct refused_filter { /* what an operator asks for; NULL: any; borrowed */
    const char *backend, *signal, *cause, *origin, *id;
};

struct refused_work {
    const struct gateway_config *config; /* borrowed */
    struct buffer *buffers[TELEMETRY_COUNT];
    enum refused_action action;
    bool is_json, is_for_others;
    bool is_elsewhere; /* what is asked for is another gateway's: there is nothing to say */
    char backend[REFUSED_WORK_TEXT], origin[REFUSED_WORK_TEXT]; /* what the filter borrows */
    struct buffer_refusal_filter filter;
    int signal, only; /* the one being read; the only one asked for, or -1 */
    int64_t after;
    struct buffer_reader *reader; /* owned; of signal */
    struct buf raw;               /* owned */
    char away[REFUSED_WORK_TEXT]; /* the backend that did not answer a retry; nothing more is tried there */
    uint64_t found, delivered, left, failed;
};

/* refused_work_new: of every record, until the caller narrows it. NULL when memory is out. */
struct refused_work *refused_work_new(const struct gateway_config *config,
                                      struct buffer *const buffers[TELEMETRY_COUNT],
                                      enum refused_action action);

/* refused_work_narrow: to what filter names, copied. NULL, or what is wrong about it, with a newline. */
const char *refused_work_narrow(struct refused_work *work, const struct refused_filter *filter);

/* refused_work_step, refused_work_free: a job_kind's. A step appends its lines to out. */
int refused_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out);
void refused_work_free(void *ctx);

#endif
