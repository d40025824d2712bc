#include "gateway/ask/resend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/ask/job.h"
#include "gateway/ask/replay_work.h"
#include "gateway/ask/resend_scope.h"

enum { TICK_MS = 1000, FIRST_WAIT_MS = 15000, MOST_READINGS = 30, MOST_OUT = 1 << 20 };
#define MS INT64_C(1000000)
#define SLACK_NS (60000 * MS)             /* between the backend's clock and ours */
#define PATIENCE_NS (30 * 60 * 1000 * MS) /* Loki refuses what is an hour behind its stream's newest line */

static const char plan_prefix[] = "restart=";

struct restarted { /* a backend that may forget */
    const struct gateway_backend_config *config;
    enum telemetry signal;
    uint64_t returns;   /* as fan-out told last */
    int readings_left;  /* its page is read at every tick so often; 0: only by the watch */
    int64_t wanted_ns;  /* the start after which it is to be posted to again; 0: none */
    int64_t settled_ns; /* the start that was seen to */
};

struct job {
    struct restarted *of;
    int64_t start_ns;
    struct replay_work work;
    struct resend_scope scope;
    int64_t last_ns;            /* wall clock; of the last delivery before the start */
    bool is_prepared, was_done; /* was_done: before the program began */
    struct buf out;
    int status;
    bool waits; /* until fan-out has caught up */
};

struct resend {
    struct loop *loop; /* borrowed, as the next four */
    struct buffer *buffers[TELEMETRY_COUNT];
    struct fanout *fanout;
    struct discard_watch *watch;
    const struct receive *receive;
    struct restarted *backends; /* owned */
    size_t count;
    struct job *job;  /* owned; NULL: none is under way */
    int64_t first_ns; /* monotonic: no job before; by then agents have said where they come from */
    uv_work_t on_pool;
    uv_timer_t timer;
    _Atomic bool cancelled;
    bool is_closed, is_timer_closed;
};

/* ---- one backend's job, on the thread pool */

/* Where the cursors stood a window before the start, and before those starts whose job was not ended, or was
 * so lately that what it posted may have been forgotten too. */
static int find_window(struct job *job, struct buffer_reader *reader)
{
    int64_t window_ns = job->of->config->resend_window_ms * MS + SLACK_NS;
    int64_t last_ns, earlier_start_ns, earlier_last_ns;
    int err = buffer_reader_progress_last(reader, job->start_ns, &last_ns);
    if (err == 0)
        err = buffer_reader_replay_oldest(reader, plan_prefix, last_ns - window_ns, &earlier_start_ns);
    if (err == 0 && earlier_start_ns < job->start_ns)
        err = buffer_reader_progress_last(reader, earlier_start_ns, &earlier_last_ns);
    if (err == 0 && earlier_start_ns < job->start_ns && earlier_last_ns < last_ns)
        last_ns = earlier_last_ns;
    job->last_ns = last_ns;
    return err < 0 ? err : buffer_reader_progress(reader, last_ns - window_ns, job->work.from);
}

static int prepare(struct job *job)
{
    struct replay_work *work = &job->work;
    struct buffer_reader *reader;
    snprintf(work->plan, sizeof work->plan, "%s%" PRId64, plan_prefix, job->start_ns);
    work->ask = (struct replay_ask){.from_ns = 0, .to_ns = INT64_MAX};
    int err = buffer_reader_open(work->buffer, work->config->name, &reader);
    if (err < 0)
        return err;
    err = buffer_reader_replay_is_done(reader, work->plan, &job->was_done);
    if (err == 0 && !job->was_done)
        err = find_window(job, reader);
    buffer_reader_close(reader);
    job->is_prepared = err == 0;
    return err;
}

static void on_pool(uv_work_t *pool_work)
{
    struct resend *resend = pool_work->data;
    struct job *job = resend->job;
    if (job->is_prepared) {
        job->status = replay_work_step(&job->work, &resend->cancelled, &job->out);
        return;
    }
    int err = prepare(job);
    job->status = err == 0 && !job->was_done ? JOB_GOES_ON : err < 0;
}

/* ---- the loop's side */

static void free_job(struct resend *resend)
{
    replay_work_fini(&resend->job->work);
    resend_scope_fini(&resend->job->scope);
    buf_fini(&resend->job->out);
    free(resend->job);
    resend->job = NULL;
}

static void free_when_closed(struct resend *resend)
{
    if (!resend->is_closed || !resend->is_timer_closed || resend->job)
        return;
    free(resend->backends);
    free(resend);
}

static void tell_end(const struct job *job)
{
    const struct replay_work *work = &job->work;
    const char *signal = telemetry_name(job->of->signal), *backend = job->of->config->name;
    if (work->is_done && work->refused)
        log_warn("the backend refused some of what it may have forgotten",
                 "signal=%s backend=%s records=%" PRIu64 " refused=%" PRIu64, signal, backend,
                 work->delivered, work->refused);
    else if (work->is_done)
        log_info("what a backend may have forgotten is posted again",
                 "signal=%s backend=%s records=%" PRIu64 " damaged_batches=%" PRIu64, signal, backend,
                 work->delivered, work->sent.damaged);
    else
        log_error("what a backend forgot could not be posted again; it is tried later",
                  "signal=%s backend=%s words=\"%.*s\"", signal, backend, (int)job->out.len,
                  job->out.len ? (const char *)job->out.ptr : "");
}

static void start_next(struct resend *resend);

static void end_job(struct resend *resend)
{
    struct job *job = resend->job;
    struct restarted *b = job->of;
    if (job->was_done || job->work.is_done)
        b->settled_ns = job->start_ns;
    if (b->wanted_ns == job->start_ns)
        b->wanted_ns = 0; /* one that failed is wanted again at the next reading */
    if (!job->was_done)
        tell_end(job);
    free_job(resend);
    start_next(resend);
}

static void on_stepped(uv_work_t *pool_work, int status);

/* What is new, and what a short outage left, goes first; what a long one left would make this too old. */
static bool has_to_wait(const struct resend *resend)
{
    const struct job *job = resend->job;
    return job->is_prepared && clock_wall_ns() - job->last_ns < PATIENCE_NS &&
           fanout_is_behind(resend->fanout, job->of->signal, job->of->config->name);
}

static void step(struct resend *resend)
{
    resend->job->waits = has_to_wait(resend);
    if (resend->job->waits)
        return;
    buf_clear(&resend->job->out);
    resend->on_pool.data = resend;
    if (uv_queue_work(&resend->loop->uv, &resend->on_pool, on_pool, on_stepped) < 0)
        free_job(resend);
}

static void on_stepped(uv_work_t *pool_work, int status)
{
    struct resend *resend = pool_work->data;
    if (resend->is_closed || status < 0) {
        free_job(resend);
        free_when_closed(resend);
    } else if (resend->job->status == JOB_GOES_ON) {
        step(resend);
    } else {
        end_job(resend);
    }
}

static struct restarted *find_wanted(struct resend *resend)
{
    for (size_t i = 0; i < resend->count; i++)
        if (resend->backends[i].wanted_ns)
            return &resend->backends[i];
    return NULL;
}

static void start_next(struct resend *resend)
{
    struct restarted *b = find_wanted(resend);
    if (resend->job || resend->is_closed || !b || clock_mono_ns() < resend->first_ns)
        return;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    job->of = b;
    job->start_ns = b->wanted_ns;
    job->work.config = b->config;
    job->work.buffer = resend->buffers[b->signal];
    job->work.signal = b->signal;
    job->work.wants = resend_scope_has;
    job->work.wants_ctx = &job->scope;
    replay_work_init(&job->work);
    resend_scope_init(&job->scope, resend->receive, clock_wall_ns());
    buf_init(&job->out, MOST_OUT);
    resend->job = job;
    step(resend);
}

/* ---- which backend has started anew */

static void on_read(void *ctx, enum telemetry signal, const char *backend, const struct discarded *page)
{
    struct resend *resend = ctx;
    for (size_t i = 0; i < resend->count; i++) {
        struct restarted *b = &resend->backends[i];
        if (b->signal != signal || strcmp(b->config->name, backend) != 0)
            continue;
        b->readings_left = page->is_replaying ? b->readings_left : 0;
        bool is_news = page->started_ns != b->settled_ns && page->started_ns != b->wanted_ns;
        if (!page->forgotten || !page->started_ns || !is_news)
            continue;
        b->wanted_ns = page->started_ns;
        start_next(resend);
    }
}

static void ignore(void *ctx, bool is_closed)
{
    (void)ctx, (void)is_closed;
}

static void on_tick(uv_timer_t *timer)
{
    struct resend *resend = timer->data;
    bool is_due = false;
    for (size_t i = 0; i < resend->count; i++) {
        struct restarted *b = &resend->backends[i];
        uint64_t returns = fanout_returns(resend->fanout, b->signal, b->config->name);
        if (returns != b->returns)
            b->readings_left = MOST_READINGS;
        b->returns = returns;
        is_due |= b->readings_left > 0;
        b->readings_left -= b->readings_left > 0;
    }
    if (is_due)
        discard_watch_refresh(resend->watch, ignore, NULL);
    if (resend->job && resend->job->waits)
        step(resend);
    start_next(resend);
}

/* ---- life */

static void add_backends(struct resend *resend, const struct gateway_config *config, enum telemetry signal)
{
    const struct conf_list *list = &gateway_config_signal(config, (int)signal)->backends;
    const struct gateway_backend_config *backends = list->items;
    for (size_t i = 0; i < list->count && i < BUFFER_MAX_BACKENDS; i++)
        if (backends[i].resend_window_ms)
            resend->backends[resend->count++] =
                (struct restarted){.config = &backends[i], .signal = signal, .readings_left = MOST_READINGS};
}

int resend_new(struct loop *loop, const struct gateway_config *config,
               struct buffer *const buffers[TELEMETRY_COUNT], struct fanout *fanout,
               struct discard_watch *watch, const struct receive *receive, struct resend **ret_resend)
{
    struct resend *resend = calloc(1, sizeof *resend);
    if (!resend)
        return -ENOMEM;
    resend->loop = loop;
    resend->fanout = fanout;
    resend->watch = watch;
    resend->receive = receive;
    resend->first_ns = clock_mono_ns() + FIRST_WAIT_MS * MS;
    memcpy(resend->buffers, buffers, sizeof resend->buffers);
    resend->backends = calloc(BUFFER_MAX_BACKENDS, sizeof *resend->backends);
    if (!resend->backends) {
        free(resend);
        return -ENOMEM;
    }
    add_backends(resend, config, TELEMETRY_LOGS);
    discard_watch_on_read(watch, on_read, resend);
    uv_timer_init(&loop->uv, &resend->timer);
    resend->timer.data = resend;
    uv_timer_start(&resend->timer, on_tick, TICK_MS, TICK_MS);
    *ret_resend = resend;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct resend *resend = handle->data;
    resend->is_timer_closed = true;
    free_when_closed(resend);
}

void resend_close(struct resend *resend)
{
    if (!resend)
        return;
    resend->is_closed = true;
    atomic_store(&resend->cancelled, true);
    discard_watch_on_read(resend->watch, NULL, NULL);
    if (resend->job && resend->job->waits)
        free_job(resend);
    uv_close((uv_handle_t *)&resend->timer, on_timer_closed);
}
