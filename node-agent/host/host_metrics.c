#include "node-agent/host/host_metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collector_set.h"
#include "node-agent/metrics.h"
#include "node-agent/scrape/series_sink.h"

enum { GRACE_MS = 1000, STACK_BYTES = 512 * 1024 };

enum worker_state {
    WORKER_IDLE,
    WORKER_RUNNING, /* on its thread; only the thread touches members and sink */
    WORKER_DONE,    /* the thread is about to end; its chunk waits for the loop */
    WORKER_ORPHAN,  /* host_metrics is gone: the thread frees the worker */
};

struct worker { /* the collectors that may block, and their thread */
    pthread_mutex_t lock;
    enum worker_state state; /* under lock */
    pthread_t thread;
    uv_async_t *done; /* borrowed from host_metrics; not touched once WORKER_ORPHAN */
    struct collector_set members;
    struct series_sink sink;
};

struct host_metrics {
    const struct agent_config *config;
    struct series_queue *queue;
    void (*wake)(void *ctx);
    void *ctx;
    struct stats_cell *seconds;
    struct collector_set members;
    struct series_sink sink; /* its chunk: what waits for the worker */
    char source[BATCH_MAX_REFUSAL_TEXT];
    struct worker *worker; /* owned; NULL when no collector blocks */
    uv_timer_t interval, grace;
    uv_async_t done;
    int open_handles;
};

static int sink_init(struct series_sink *sink, const struct agent_config *config)
{
    const struct series_label target[] = {
        {bytes_of_string("job"), bytes_of_string(config->host_metrics.job)},
        {bytes_of_string("instance"), bytes_of_string(config->host_metrics.instance)},
    };
    return series_sink_init(sink, target, 2, &config->labels);
}

/* ---- the worker ---- */

static void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    collector_set_stop(&worker->members);
    series_sink_fini(&worker->sink);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    collector_set_run(&worker->members, &worker->sink.sink);
    series_sink_end(&worker->sink);
    pthread_mutex_lock(&worker->lock);
    bool orphan = worker->state == WORKER_ORPHAN;
    if (!orphan) {
        worker->state = WORKER_DONE;
        uv_async_send(worker->done);
    }
    pthread_mutex_unlock(&worker->lock);
    if (orphan)
        worker_free(worker);
    return NULL;
}

static int worker_new(const struct agent_config *config, uv_async_t *done, struct worker **ret_worker)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return -ENOMEM;
    pthread_mutex_init(&worker->lock, NULL);
    worker->done = done;
    int err = sink_init(&worker->sink, config);
    if (err < 0)
        worker_free(worker);
    else
        *ret_worker = worker;
    return err;
}

static enum worker_state worker_state(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    enum worker_state state = worker->state;
    pthread_mutex_unlock(&worker->lock);
    return state;
}

static int worker_start(struct worker *worker, int64_t time_ms)
{
    pthread_attr_t attr;
    series_sink_begin(&worker->sink, time_ms);
    worker->state = WORKER_RUNNING;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int err = pthread_create(&worker->thread, &attr, worker_run, worker);
    pthread_attr_destroy(&attr);
    if (err)
        worker->state = WORKER_IDLE;
    return -err;
}

/* Ends with the worker freed now, or by its thread when that comes back. */
static void worker_close(struct worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    enum worker_state before = worker->state;
    pthread_t thread = worker->thread;
    if (before == WORKER_RUNNING)
        worker->state = WORKER_ORPHAN;
    pthread_mutex_unlock(&worker->lock);
    if (before == WORKER_RUNNING) {
        pthread_detach(thread);
        return;
    }
    if (before == WORKER_DONE)
        pthread_join(thread, NULL);
    worker_free(worker);
}

/* ---- a run ---- */

static void take(struct host_metrics *hm, struct series_sink *sink)
{
    if (sink->chunk)
        series_queue_take(hm->queue, &sink->chunk);
}

/* What the blocking collectors would have said of themselves; past the sink, which is not the one that
 * remembers these series. */
static void report_blocked(struct host_metrics *hm)
{
    for (size_t i = 0; hm->sink.chunk && i < hm->worker->members.count; i++) {
        const struct series_label label = {bytes_of_string("collector"),
                                           bytes_of_string(hm->worker->members.items[i].collector->name)};
        series_add(hm->sink.chunk, hm->sink.context, SERIES_EXPORTED,
                   bytes_of_string("node_scrape_collector_success"), &label, 1, 0, hm->sink.time_ms);
    }
}

static void on_grace(uv_timer_t *timer)
{
    struct host_metrics *hm = timer->data;
    take(hm, &hm->sink);
    hm->wake(hm->ctx);
}

static void on_done(uv_async_t *async)
{
    struct host_metrics *hm = async->data;
    if (!hm->worker || worker_state(hm->worker) != WORKER_DONE)
        return;
    pthread_join(hm->worker->thread, NULL);
    hm->worker->state = WORKER_IDLE;
    if (hm->worker->sink.time_ms != hm->sink.time_ms)
        return; /* too late: a newer run has told that this one failed */
    uv_timer_stop(&hm->grace);
    take(hm, &hm->sink);
    take(hm, &hm->worker->sink);
    hm->wake(hm->ctx);
}

static void on_interval(uv_timer_t *timer)
{
    struct host_metrics *hm = timer->data;
    int64_t begin_ns = clock_mono_ns(), time_ms = clock_wall_ns() / 1000000;
    bool blocked = hm->worker && worker_state(hm->worker) != WORKER_IDLE;
    bool started = hm->worker && !blocked && worker_start(hm->worker, time_ms) == 0;
    take(hm, &hm->sink);
    series_sink_begin(&hm->sink, time_ms);
    collector_set_run(&hm->members, &hm->sink.sink);
    collector_emit(&hm->sink.sink, "up", METRIC_GAUGE, "", 1);
    if (hm->worker && !started)
        report_blocked(hm);
    series_sink_end(&hm->sink);
    stats_observe(hm->seconds, clock_mono_ns() - begin_ns);
    uv_timer_start(&hm->grace, on_grace, started ? GRACE_MS : 0, 0);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct host_metrics *hm = handle->data;
    if (--hm->open_handles > 0)
        return;
    collector_set_stop(&hm->members);
    series_sink_fini(&hm->sink);
    free(hm);
}

void host_metrics_close(struct host_metrics *hm)
{
    if (!hm)
        return;
    worker_close(hm->worker);
    hm->worker = NULL;
    uv_close((uv_handle_t *)&hm->interval, on_closed);
    uv_close((uv_handle_t *)&hm->grace, on_closed);
    uv_close((uv_handle_t *)&hm->done, on_closed);
}

static int open_handles(struct host_metrics *hm, struct loop *loop)
{
    int err = uv_async_init(&loop->uv, &hm->done, on_done);
    if (err < 0)
        return err;
    uv_timer_init(&loop->uv, &hm->interval);
    uv_timer_init(&loop->uv, &hm->grace);
    hm->interval.data = hm->grace.data = hm->done.data = hm;
    hm->open_handles = 3;
    return 0;
}

static int start_collectors(struct host_metrics *hm)
{
    for (const struct collector *const *c = collectors; *c; c++) {
        int err = 0;
        if (!collector_flags_is_chosen(hm->config, *c))
            continue;
        if ((*c)->blocks && !hm->worker)
            err = worker_new(hm->config, &hm->done, &hm->worker);
        if (err == 0)
            err = collector_set_add((*c)->blocks ? &hm->worker->members : &hm->members, *c, hm->config);
        if (err < 0)
            return err;
    }
    return 0;
}

int host_metrics_new(struct loop *loop, const struct agent_config *config, struct stats *stats,
                     struct series_queue *queue, void (*wake)(void *ctx), void *ctx, struct buf *errors,
                     struct host_metrics **ret_host_metrics)
{
    int err = collector_flags_check(&config->host_metrics.collectors, &config->host_metrics.flags, errors);
    struct host_metrics *hm = err == 0 ? calloc(1, sizeof *hm) : NULL;
    if (!hm)
        return err < 0 ? err : -ENOMEM;
    *hm = (struct host_metrics){.config = config, .queue = queue, .wake = wake, .ctx = ctx};
    hm->seconds = stats_cell(stats, AGENT_COLLECT_SECONDS);
    err = open_handles(hm, loop);
    if (err < 0) {
        free(hm);
        return err;
    }
    err = sink_init(&hm->sink, config);
    snprintf(hm->source, sizeof hm->source, "target %s %s", config->host_metrics.job,
             config->host_metrics.instance);
    hm->sink.refusals = series_queue_refusals(queue);
    hm->sink.source = hm->source;
    if (err == 0)
        err = start_collectors(hm);
    if (err < 0) {
        host_metrics_close(hm);
        return err;
    }
    uv_timer_start(&hm->interval, on_interval, 0, (uint64_t)config->host_metrics.interval_ms);
    *ret_host_metrics = hm;
    return 0;
}
