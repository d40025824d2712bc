#include "gateway/ask/discard_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer/buffer.h"
#include "base/log.h"
#include "gateway/fanout/backend_kind.h"
#include "gateway/fanout/sender.h"
#include "gateway/metrics.h"

enum { MOST_PAGE = 8 << 20 };

struct watched {
    struct discard_watch *watch; /* borrowed */
    const char *name;            /* borrowed */
    enum telemetry signal;
    const char *suffix;    /* of the backend's URL, which /metrics takes the place of */
    struct sender *sender; /* owned; used by one thread at a time */
    uv_work_t work;
    bool is_reading;
    struct discarded now, read; /* as it stands; as the work found it */
};

struct discard_watch {
    struct loop *loop;   /* borrowed */
    struct stats *stats; /* borrowed */
    uv_timer_t timer;
    struct watched *backends; /* owned */
    size_t count;
    struct {
        void (*ready)(void *ctx, bool is_closed);
        void *ctx;
    } waiters[DISCARD_WATCH_WAITERS];
    size_t waiter_count;
    void (*on_read)(void *ctx, enum telemetry signal, const char *backend, const struct discarded *page);
    void *on_read_ctx;
    bool is_closed;
};

/* Where a backend's URL ends; NULL: it has no such metrics. */
static const char *suffix_of(enum backend_kind kind, enum telemetry signal)
{
    switch (kind) {
    case BACKEND_REMOTE_WRITE:
        return "/api/v1/write";
    case BACKEND_LOKI:
        return "/loki/api/v1/push";
    case BACKEND_OTLP_PLAIN:
        return signal == TELEMETRY_METRICS ? "/api/v1/otlp/v1/metrics" : "/otlp/v1/logs";
    case BACKEND_OTLP_HTTP:
    case BACKEND_OTLP_GRPC:
        break;
    }
    return NULL;
}

/* ---- one reading */

static void read_page(uv_work_t *work)
{
    struct watched *w = work->data;
    char error[SENDER_MAX_ERROR];
    struct buf page;
    buf_init(&page, MOST_PAGE);
    w->read = (struct discarded){0};
    if (sender_get(w->sender, w->suffix, "/metrics", DISCARD_WATCH_GET_MS, &page, error) == 0)
        discarded_read(buf_bytes(&page), &w->read);
    buf_fini(&page);
}

static void publish(struct watched *w)
{
    for (size_t i = 0; i < w->now.count; i++)
        stats_set(stats_cell(w->watch->stats, GATEWAY_DISCARDED, telemetry_name(w->signal), w->name,
                             w->now.reasons[i].reason),
                  (int64_t)w->now.reasons[i].records);
    if (w->now.forgotten)
        stats_set(stats_cell(w->watch->stats, GATEWAY_FORGOTTEN, telemetry_name(w->signal), w->name),
                  (int64_t)w->now.forgotten);
}

static void tell_more(const struct watched *w)
{
    uint64_t before = discarded_sum(&w->now), after = discarded_sum(&w->read);
    if (w->now.is_known && after > before)
        log_warn("a backend says that it discarded records", "signal=%s backend=%s more=%llu of_reason=%s",
                 telemetry_name(w->signal), w->name, (unsigned long long)(after - before),
                 w->read.reasons[0].reason);
    if (w->read.forgotten &&
        (w->read.forgotten != w->now.forgotten || w->read.started_ns != w->now.started_ns))
        log_warn("a backend says that it left records out of its WAL when it started",
                 "signal=%s backend=%s records=%llu", telemetry_name(w->signal), w->name,
                 (unsigned long long)w->read.forgotten);
}

static bool is_reading(const struct discard_watch *watch)
{
    bool is_busy = false;
    for (size_t i = 0; i < watch->count; i++)
        is_busy |= watch->backends[i].is_reading;
    return is_busy;
}

static void tell_waiters(struct discard_watch *watch)
{
    size_t count = watch->waiter_count;
    watch->waiter_count = 0;
    for (size_t i = 0; i < count; i++)
        watch->waiters[i].ready(watch->waiters[i].ctx, watch->is_closed);
}

static void free_watch(struct discard_watch *watch);

static void on_read(uv_work_t *work, int status)
{
    struct watched *w = work->data;
    struct discard_watch *watch = w->watch;
    w->is_reading = false;
    if (watch->is_closed) {
        free_watch(watch);
        return;
    }
    if (status == 0 && w->read.is_known) {
        tell_more(w);
        w->now = w->read;
        publish(w);
        if (watch->on_read)
            watch->on_read(watch->on_read_ctx, w->signal, w->name, &w->now);
    }
    if (!is_reading(watch))
        tell_waiters(watch);
}

static void read_all(struct discard_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *w = &watch->backends[i];
        w->work.data = w;
        if (!w->is_reading && w->sender)
            w->is_reading = uv_queue_work(&watch->loop->uv, &w->work, read_page, on_read) == 0;
    }
}

static void on_timer(uv_timer_t *timer)
{
    read_all(timer->data);
}

void discard_watch_refresh(struct discard_watch *watch, void (*ready)(void *ctx, bool is_closed), void *ctx)
{
    if (watch)
        read_all(watch);
    if (!watch || !is_reading(watch) || watch->waiter_count == DISCARD_WATCH_WAITERS) {
        ready(ctx, false);
        return;
    }
    watch->waiters[watch->waiter_count].ready = ready;
    watch->waiters[watch->waiter_count++].ctx = ctx;
}

/* ---- life */

/* Once the timer is closed and nothing is being read. */
static void free_watch(struct discard_watch *watch)
{
    if (watch->timer.data || is_reading(watch))
        return;
    for (size_t i = 0; i < watch->count; i++)
        sender_free(watch->backends[i].sender);
    free(watch->backends);
    free(watch);
}

static void add(struct discard_watch *watch, enum telemetry signal,
                const struct gateway_backend_config *config)
{
    enum backend_kind kind = backend_kind_of(config, signal);
    struct watched *w = &watch->backends[watch->count];
    *w = (struct watched){
        .watch = watch, .name = config->name, .signal = signal, .suffix = suffix_of(kind, signal)};
    if (w->suffix && sender_new(config, kind, signal, &w->sender) == 0)
        watch->count++;
}

int discard_watch_new(struct loop *loop, const struct gateway_config *config, struct stats *stats,
                      struct discard_watch **ret_watch)
{
    struct discard_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->loop = loop;
    watch->stats = stats;
    watch->backends = calloc(TELEMETRY_COUNT * BUFFER_MAX_BACKENDS, sizeof *watch->backends);
    if (!watch->backends) {
        free(watch);
        return -ENOMEM;
    }
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        const struct conf_list *list = &gateway_config_signal(config, s)->backends;
        for (size_t i = 0; i < list->count && i < BUFFER_MAX_BACKENDS; i++)
            add(watch, (enum telemetry)s, &((const struct gateway_backend_config *)list->items)[i]);
    }
    uv_timer_init(&loop->uv, &watch->timer);
    watch->timer.data = watch;
    uv_timer_start(&watch->timer, on_timer, DISCARD_WATCH_MS, DISCARD_WATCH_MS);
    *ret_watch = watch;
    return 0;
}

const struct discarded *discard_watch_get(const struct discard_watch *watch, enum telemetry signal,
                                          const char *backend)
{
    for (size_t i = 0; watch && i < watch->count; i++) {
        const struct watched *w = &watch->backends[i];
        if (w->signal == signal && strcmp(w->name, backend) == 0)
            return w->now.is_known ? &w->now : NULL;
    }
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct discard_watch *watch = handle->data;
    handle->data = NULL;
    free_watch(watch);
}

void discard_watch_on_read(struct discard_watch *watch,
                           void (*fn)(void *ctx, enum telemetry signal, const char *backend,
                                      const struct discarded *page),
                           void *ctx)
{
    watch->on_read = fn;
    watch->on_read_ctx = ctx;
}

void discard_watch_close(struct discard_watch *watch)
{
    if (!watch)
        return;
    watch->is_closed = true;
    tell_waiters(watch);
    uv_close((uv_handle_t *)&watch->timer, on_closed);
}
