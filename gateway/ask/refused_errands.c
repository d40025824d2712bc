#include "gateway/ask/refused_errands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/ask/job.h"

enum { SWEEP_MS = 1000, PIECE_BYTES = 1 << 20, READY_BYTES = 256 << 10, KEEP_BYTES = 256 << 10 };
#define MS INT64_C(1000000)

struct errand {
    struct refused_errands *owner; /* borrowed */
    struct errand *next;
    char token[QUESTION_MAX_TOKEN];
    struct refused_work *work; /* owned */
    struct buf out;            /* of the step */
    struct buf ready;          /* of the loop: what was not told yet */
    int status;                /* JOB_GOES_ON or how it ended */
    int64_t asked_ns;          /* monotonic */
    bool is_stepping;
    _Atomic bool cancelled;
    uv_work_t on_pool;
};

struct refused_errands {
    struct loop *loop; /* borrowed, as the next three */
    const struct gateway_config *config;
    struct buffer *buffers[TELEMETRY_COUNT];
    struct replicas *replicas;
    struct errand *first; /* owned */
    int count;
    uv_timer_t timer;
    bool is_timer_closed;
};

/* ---- life of an errand */

static void free_when_empty(struct refused_errands *errands)
{
    if (errands->is_timer_closed && !errands->first)
        free(errands);
}

/* Frees it, when no step is under way; that one does it else. */
static void end(struct errand *errand)
{
    atomic_store(&errand->cancelled, true);
    if (errand->is_stepping)
        return;
    struct errand **at = &errand->owner->first;
    while (*at != errand)
        at = &(*at)->next;
    *at = errand->next;
    errand->owner->count--;
    refused_work_free(errand->work);
    buf_fini(&errand->out);
    buf_fini(&errand->ready);
    free(errand);
}

static void on_pool(uv_work_t *work)
{
    struct errand *errand = work->data;
    errand->status = refused_work_step(errand->work, &errand->cancelled, &errand->out);
}

static void on_stepped(uv_work_t *work, int status);

static void step(struct errand *errand)
{
    errand->is_stepping = uv_queue_work(&errand->owner->loop->uv, &errand->on_pool, on_pool, on_stepped) == 0;
    if (!errand->is_stepping)
        errand->status = 1;
}

static void go_on(struct errand *errand)
{
    if (!errand->is_stepping && errand->status == JOB_GOES_ON && errand->ready.len < READY_BYTES)
        step(errand);
}

static void on_stepped(uv_work_t *work, int status)
{
    struct errand *errand = work->data;
    struct refused_errands *errands = errand->owner;
    errand->is_stepping = false;
    if (status < 0 || buf_append(&errand->ready, errand->out.ptr, errand->out.len) < 0)
        errand->status = 1;
    buf_release(&errand->out, KEEP_BYTES);
    if (!atomic_load(&errand->cancelled)) {
        go_on(errand);
        return;
    }
    end(errand);
    free_when_empty(errands);
}

/* Those whose asker has gone. */
static void on_sweep(uv_timer_t *timer)
{
    struct refused_errands *errands = timer->data;
    int64_t now_ns = clock_mono_ns();
    for (struct errand *errand = errands->first, *next; errand; errand = next) {
        next = errand->next;
        if (now_ns - errand->asked_ns > REFUSED_ERRAND_MS * MS)
            end(errand);
    }
    if (!errands->first)
        uv_timer_stop(timer);
}

/* ---- questions */

static const char *or_any(const char *text)
{
    return text[0] ? text : NULL;
}

static bool draw_token(char token[QUESTION_MAX_TOKEN])
{
    uint64_t drawn;
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
        return false;
    snprintf(token, QUESTION_MAX_TOKEN, "%016llx", (unsigned long long)drawn);
    return true;
}

static struct refused_work *make_work(struct refused_errands *errands, const struct question *question,
                                      struct buf *text)
{
    enum refused_action action = (enum refused_action)question->action;
    struct refused_filter filter = {or_any(question->backend), or_any(question->signal),
                                    or_any(question->cause), or_any(question->origin), or_any(question->id)};
    struct refused_work *work =
        question->action <= REFUSED_DROP ? refused_work_new(errands->config, errands->buffers, action) : NULL;
    if (!work)
        return NULL;
    work->is_for_others = true;
    work->is_json = question->is_json;
    const char *wrong = refused_work_narrow(work, &filter);
    if (!wrong)
        return work;
    buf_append_string(text, wrong);
    refused_work_free(work);
    return NULL;
}

static int begin(struct refused_errands *errands, const struct receive_question *asked)
{
    struct errand *errand = errands->count < REFUSED_ERRANDS ? calloc(1, sizeof *errand) : NULL;
    if (!errand || !draw_token(errand->token)) {
        free(errand);
        buf_append_string(asked->text, "too many jobs\n");
        return 503;
    }
    errand->work = make_work(errands, asked->question, asked->text);
    if (!errand->work) {
        free(errand);
        return 400;
    }
    errand->owner = errands;
    errand->status = JOB_GOES_ON;
    errand->asked_ns = clock_mono_ns();
    errand->on_pool.data = errand;
    errand->next = errands->first;
    errands->first = errand;
    errands->count++;
    buf_init(&errand->out, JOB_MAX_OUT);
    buf_init(&errand->ready, 2 * JOB_MAX_OUT);
    snprintf(asked->token, QUESTION_MAX_TOKEN, "%s", errand->token);
    uv_timer_start(&errands->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    step(errand);
    return 200;
}

/* What there is to say, at most a piece of it. */
static int tell_more(struct errand *errand, const struct receive_question *asked)
{
    struct buf *ready = &errand->ready;
    size_t len = ready->len < PIECE_BYTES ? ready->len : PIECE_BYTES;
    bool is_last = !errand->is_stepping && errand->status != JOB_GOES_ON && len == ready->len;
    if (buf_append(asked->text, ready->ptr, len) < 0)
        return 503;
    if (is_last) {
        int status = errand->status == 0 ? 200 : 409;
        end(errand);
        return status;
    }
    if (len)
        memmove(ready->ptr, ready->ptr + len, ready->len - len);
    ready->len -= len;
    errand->asked_ns = clock_mono_ns();
    snprintf(asked->token, QUESTION_MAX_TOKEN, "%s", errand->token);
    go_on(errand);
    return 200;
}

int refused_errands_tell(void *ctx, const struct receive_question *asked)
{
    static struct log_limit limit;
    struct refused_errands *errands = ctx;
    unsigned held;
    if (!replicas_is_one(errands->replicas, asked->from)) {
        if (log_limit_pass(&limit, 10, &held))
            log_warn("refused records are not told to who is no gateway", "peer=%s held_back=%u", asked->from,
                     held);
        buf_append_string(asked->text, "the asking gateway is not among its peers\n");
        return 403;
    }
    if (!asked->question->token[0])
        return begin(errands, asked);
    for (struct errand *errand = errands->first; errand; errand = errand->next)
        if (strcmp(errand->token, asked->question->token) == 0 && !atomic_load(&errand->cancelled))
            return tell_more(errand, asked);
    buf_append_string(asked->text, "this job is not known any more\n");
    return 410;
}

/* ---- life */

int refused_errands_new(struct loop *loop, const struct gateway_config *config,
                        struct buffer *const buffers[TELEMETRY_COUNT], struct replicas *replicas,
                        struct refused_errands **ret_errands)
{
    struct refused_errands *errands = calloc(1, sizeof *errands);
    if (!errands)
        return -ENOMEM;
    errands->loop = loop;
    errands->config = config;
    memcpy(errands->buffers, buffers, sizeof errands->buffers);
    errands->replicas = replicas;
    uv_timer_init(&loop->uv, &errands->timer);
    errands->timer.data = errands;
    *ret_errands = errands;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct refused_errands *errands = handle->data;
    errands->is_timer_closed = true;
    free_when_empty(errands);
}

void refused_errands_close(struct refused_errands *errands)
{
    if (!errands)
        return;
    for (struct errand *errand = errands->first, *next; errand; errand = next) {
        next = errand->next;
        end(errand);
    }
    uv_close((uv_handle_t *)&errands->timer, on_timer_closed);
}
