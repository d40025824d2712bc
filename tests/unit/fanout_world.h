/* fanout_world.h - fan-out between a buffer of its own and a Prometheus that is modelled, for the tests of
 * it. */
#ifndef TESTS_UNIT_FANOUT_WORLD_H
#define TESTS_UNIT_FANOUT_WORLD_H

#include <stdio.h>
#include <sys/stat.h>

#include "base/buffer/buffer_recent.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pb.h"
#include "base/snap.h"
#include "gateway/fanout/fanout.h"
#include "gateway/metrics.h"
#include "tests/unit/backend_server.h"
#include "tests/unit/unit.h"

enum { WAIT_S = 30, SERIES = 3, MOST_SEEN = 20000 };

/* ---- a Prometheus: all or nothing, older than the newest of its series is out of order */

struct sample {
    char series[64];
    int64_t time;
};

struct model {
    struct sample stored[MOST_SEEN];
    int count;
    int taken_without_answer; /* how many of the next requests are taken and then not answered */
    int lost;                 /* how many of the next requests are neither taken nor answered */
    int refuse_status;        /* of the next refuse_count requests */
    int refuse_count;
    const char *refuse_text, *refuse_header;
    const char *poison; /* a series whose requests are answered 500 for ever */
    size_t too_large;   /* bytes; 413 above */
    int hold_ms;
    int posts_with[8];   /* requests that held samples of n origins, n up to 7 */
    int with_old_header; /* requests without the headers of remote write */
};

static inline int64_t newest_of(const struct model *m, const char *series)
{
    int64_t newest = INT64_MIN;
    for (int i = 0; i < m->count; i++) {
        if (strcmp(m->stored[i].series, series) == 0 && m->stored[i].time > newest)
            newest = m->stored[i].time;
    }
    return newest;
}

static inline int read_samples(struct bytes raw, struct sample *samples)
{
    struct pb_field series, field, inner;
    int count = 0;
    while (pb_next(&raw, &series) == 1) {
        struct bytes rest = series.bytes;
        char name[64] = "";
        while (pb_next(&rest, &field) == 1) {
            struct bytes in = field.bytes;
            while (pb_next(&in, &inner) == 1) {
                if (field.number == 1 && inner.number == 2)
                    snprintf(name, sizeof name, "%.*s", (int)inner.bytes.len, (const char *)inner.bytes.ptr);
                if (field.number == 2 && inner.number == 2) {
                    assert_true(count < MOST_SEEN);
                    strcpy(samples[count].series, name);
                    samples[count++].time = (int64_t)inner.value;
                }
            }
        }
    }
    return count;
}

static inline int count_origins(const struct sample *samples, int count)
{
    char seen[8][64];
    int origins = 0;
    for (int i = 0; i < count && origins < 7; i++) {
        char origin[64];
        int known = 0;
        snprintf(origin, sizeof origin, "%.*s", (int)strcspn(samples[i].series, "/"), samples[i].series);
        for (int k = 0; k < origins; k++)
            known |= strcmp(seen[k], origin) == 0;
        if (!known)
            strcpy(seen[origins++], origin);
    }
    return origins;
}

static inline struct server_answer answer_prometheus(void *ctx, const struct server_request *request)
{
    static struct sample samples[MOST_SEEN]; /* under the server's lock */
    struct model *m = ctx;
    int count = read_samples(request->raw, samples);
    m->posts_with[count_origins(samples, count)]++;
    if (!backend_server_has_header(request, "Content-Encoding: snappy") ||
        !backend_server_has_header(request, "X-Prometheus-Remote-Write-Version: 0.1.0"))
        m->with_old_header++;
    if (m->refuse_count > 0) {
        m->refuse_count--;
        return (struct server_answer){m->refuse_status, m->refuse_text, m->refuse_header, 0};
    }
    if (m->lost > 0) {
        m->lost--;
        return (struct server_answer){0};
    }
    if (m->too_large && request->raw.len > m->too_large)
        return (struct server_answer){413, "too large", NULL, 0};
    for (int i = 0; i < count; i++) {
        if (m->poison && strcmp(samples[i].series, m->poison) == 0)
            return (struct server_answer){500, "label name \"a\" is not unique", NULL, 0};
        if (samples[i].time < newest_of(m, samples[i].series))
            return (struct server_answer){400, "out of order sample\n", NULL, 0};
    }
    for (int i = 0; i < count; i++) {
        if (samples[i].time <= newest_of(m, samples[i].series))
            continue; /* equal: the same again; older ones inside one request: lost in silence */
        assert_true(m->count < MOST_SEEN);
        m->stored[m->count++] = samples[i];
    }
    if (m->taken_without_answer > 0) {
        m->taken_without_answer--;
        return (struct server_answer){0};
    }
    return (struct server_answer){204, NULL, NULL, m->hold_ms};
}

/* ---- the world */

struct world {
    char folder[64];
    struct buffer *buffers[TELEMETRY_COUNT];
    struct gateway_backend_config backend;
    struct gateway_config config;
    struct stats *stats;
    struct fanout *fanout;
    struct backend_server server;
    struct model model;
    char url[64];
    pthread_mutex_t lock;
    pthread_cond_t rung;
    struct mailbox mailbox;
    int bells, done;
    enum telemetry signal;
};

static inline void ring(void *ctx)
{
    struct world *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->bells++;
    pthread_cond_signal(&w->rung);
    pthread_mutex_unlock(&w->lock);
}

static inline void open_buffers(struct world *w)
{
    static const char *const names[] = {"one"};
    struct buf errors;
    buf_init(&errors, 4096);
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        struct buffer_options options = {.folder = w->folder,
                                         .signal = (enum telemetry)s,
                                         .quota_bytes = 64 << 20,
                                         .retention_ms = 3600000,
                                         .backends = names,
                                         .backend_count = s == (int)w->signal};
        assert_int_equal(buffer_open(&options, &w->buffers[s], &errors), 0);
    }
    buf_fini(&errors);
}

static inline void close_buffers(struct world *w)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        buffer_close(w->buffers[s]);
}

static inline void start_fanout(struct world *w)
{
    struct conf_list list = {&w->backend, 1};
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/push", w->server.port);
    w->backend.url = w->url;
    if (w->signal == TELEMETRY_METRICS)
        w->config.metrics.backends = list;
    else if (w->signal == TELEMETRY_LOGS)
        w->config.logs.backends = list;
    else
        w->config.traces.backends = list;
    assert_int_equal(fanout_new(&w->config, w->buffers, w->stats, &w->fanout), 0);
}

static inline struct world *world_new(enum telemetry signal,
                                      struct server_answer (*answer)(void *, const struct server_request *))
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_set_level(LOG_LEVEL_ERROR);
    strcpy(w->folder, "/tmp/test_fanout.XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->signal = signal;
    w->backend = (struct gateway_backend_config){.name = "one", .timeout_ms = 10000, .lanes = 4};
    w->stats = gateway_metrics_new();
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->rung, NULL);
    mailbox_init(&w->mailbox, ring, w);
    open_buffers(w);
    backend_server_start(&w->server, 0, answer ? answer : answer_prometheus, &w->model);
    return w;
}

static inline void world_free(struct world *w)
{
    char command[128];
    fanout_stop(w->fanout, 5000);
    backend_server_stop(&w->server);
    close_buffers(w);
    stats_free(w->stats);
    mailbox_fini(&w->mailbox);
    pthread_cond_destroy(&w->rung);
    pthread_mutex_destroy(&w->lock);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
}

/* ---- batches */

struct appended {
    struct buffer_append append;
    struct world *world;
};

static inline void on_appended(struct letter *letter)
{
    struct appended *a = (struct appended *)(void *)letter;
    assert_int_equal(a->append.outcome, BUFFER_COMMITTED);
    batch_free(a->append.batch);
    a->world->done++;
    free(a);
}

/* Queues the batch; commit_all waits for the commit. */
static inline void append(struct world *w, struct batch *batch)
{
    struct appended *a = calloc(1, sizeof *a);
    a->world = w;
    a->append.letter.open = on_appended;
    a->append.reply_to = &w->mailbox;
    a->append.batch = batch;
    buffer_append(w->buffers[w->signal], &a->append);
}

static inline void commit_all(struct world *w, int count)
{
    pthread_mutex_lock(&w->lock);
    while (w->done < count) {
        while (w->bells == 0)
            pthread_cond_wait(&w->rung, &w->lock);
        w->bells = 0;
        pthread_mutex_unlock(&w->lock);
        mailbox_drain(&w->mailbox);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    w->done = 0;
}

static inline void put_series(struct buf *raw, const char *name, int64_t time)
{
    size_t series, label, sample;
    pb_begin(raw, 1, &series);
    pb_begin(raw, 1, &label);
    pb_put_string(raw, 1, "__name__");
    pb_put_string(raw, 2, name);
    pb_end(raw, label);
    pb_begin(raw, 2, &sample);
    pb_put_double(raw, 1, 1);
    pb_put_varint(raw, 2, (uint64_t)time);
    pb_end(raw, sample);
    pb_end(raw, series);
}

static inline struct batch *batch_of(struct world *w, const char *origin, struct buf *raw, uint64_t records,
                                     enum batch_format format, int64_t time)
{
    static uint64_t seq;
    struct batch *batch = batch_new(origin);
    struct buf block;
    size_t len;
    buf_init(&block, 64 << 20);
    assert_int_equal(snap_compress(buf_bytes(raw), &block), 0);
    batch->boot = (struct boot){1, 1};
    batch->signal = w->signal;
    batch->format = format;
    batch->seq = ++seq;
    batch->records = records;
    batch->raw_bytes = raw->len;
    batch->earliest_ns = batch->latest_ns = time * 1000000;
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    return batch;
}

/* A batch of SERIES series of the origin, one sample each. */
static inline struct batch *scrape(struct world *w, const char *origin, int64_t time)
{
    struct buf raw;
    char name[64];
    buf_init(&raw, 1 << 20);
    for (int i = 0; i < SERIES; i++) {
        snprintf(name, sizeof name, "%s/%d", origin, i);
        put_series(&raw, name, time);
    }
    struct batch *batch = batch_of(w, origin, &raw, SERIES, FORMAT_REMOTE_WRITE_1, time);
    buf_fini(&raw);
    return batch;
}

/* ---- waiting and reading */

static inline struct buffer_ledger ledger_of(struct world *w)
{
    struct fanout_view view;
    assert_int_equal(fanout_views(w->fanout, &view, 1), 1);
    return view.ledger;
}

static inline void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Waits until nothing is buffered; then the ledger must close. */
static inline struct buffer_ledger settle_all(struct world *w)
{
    int64_t deadline = clock_mono_ns() + (int64_t)WAIT_S * 1000000000;
    struct buffer_ledger ledger = ledger_of(w);
    while (ledger.buffered > 0) {
        if (clock_mono_ns() > deadline)
            fail_msg("%llu records are still buffered", (unsigned long long)ledger.buffered);
        pause_briefly();
        ledger = ledger_of(w);
    }
    uint64_t settled = 0;
    for (int c = 0; c < BUFFER_CAUSES; c++)
        settled += ledger.by_cause[c];
    assert_int_equal(ledger.accepted, settled);
    return ledger;
}

static inline void wait_until_away(struct world *w, bool away)
{
    int64_t deadline = clock_mono_ns() + (int64_t)WAIT_S * 1000000000;
    struct fanout_view view;
    do {
        assert_true(clock_mono_ns() < deadline);
        pause_briefly();
        fanout_views(w->fanout, &view, 1);
    } while (view.away != away);
    assert_true(!away || view.last_error[0]);
}

static inline int64_t count_of(struct world *w, int metric, const char *verdict)
{
    return stats_get(verdict ? stats_cell(w->stats, metric, telemetry_name(w->signal), "one", verdict)
                             : stats_cell(w->stats, metric, telemetry_name(w->signal), "one"));
}

static const char *const nodes[] = {"node-a", "node-b", "node-c", "node-d", "node-e"};
enum { NODES = 5 };

#endif
