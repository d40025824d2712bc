/* Fan-out against the real buffer and backends that answer as the real ones do. */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buffer_recent.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pb.h"
#include "base/snap.h"
#include "gateway/fanout.h"
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

static int64_t newest_of(const struct model *m, const char *series)
{
    int64_t newest = INT64_MIN;
    for (int i = 0; i < m->count; i++) {
        if (strcmp(m->stored[i].series, series) == 0 && m->stored[i].time > newest)
            newest = m->stored[i].time;
    }
    return newest;
}

static int read_samples(struct bytes raw, struct sample *samples)
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

static int count_origins(const struct sample *samples, int count)
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

static struct server_answer answer_prometheus(void *ctx, const struct server_request *request)
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

static void ring(void *ctx)
{
    struct world *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->bells++;
    pthread_cond_signal(&w->rung);
    pthread_mutex_unlock(&w->lock);
}

static void open_buffers(struct world *w)
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

static void close_buffers(struct world *w)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        buffer_close(w->buffers[s]);
}

static void start_fanout(struct world *w)
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

static struct world *world_new(enum telemetry signal,
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

static void world_free(struct world *w)
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

static void on_appended(struct letter *letter)
{
    struct appended *a = (struct appended *)(void *)letter;
    assert_int_equal(a->append.outcome, BUFFER_COMMITTED);
    batch_free(a->append.batch);
    a->world->done++;
    free(a);
}

/* Queues the batch; commit_all waits for the commit. */
static void append(struct world *w, struct batch *batch)
{
    struct appended *a = calloc(1, sizeof *a);
    a->world = w;
    a->append.letter.open = on_appended;
    a->append.reply_to = &w->mailbox;
    a->append.batch = batch;
    buffer_append(w->buffers[w->signal], &a->append);
}

static void commit_all(struct world *w, int count)
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

static void put_series(struct buf *raw, const char *name, int64_t time)
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

static struct batch *batch_of(struct world *w, const char *origin, struct buf *raw, uint64_t records,
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
static struct batch *scrape(struct world *w, const char *origin, int64_t time)
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

static struct buffer_ledger ledger_of(struct world *w)
{
    struct fanout_view view;
    assert_int_equal(fanout_views(w->fanout, &view, 1), 1);
    return view.ledger;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Waits until nothing is buffered; then the ledger must close. */
static struct buffer_ledger settle_all(struct world *w)
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

static void wait_until_away(struct world *w, bool away)
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

static int64_t count_of(struct world *w, int metric, const char *verdict)
{
    return stats_get(verdict ? stats_cell(w->stats, metric, telemetry_name(w->signal), "one", verdict)
                             : stats_cell(w->stats, metric, telemetry_name(w->signal), "one"));
}

static const char *const nodes[] = {"node-a", "node-b", "node-c", "node-d", "node-e"};
enum { NODES = 5 };

/* ---- claims */

static void test_fanout_delivers_what_many_origins_sent_joined(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    for (int t = 0; t < 10; t++) {
        for (int n = 0; n < NODES; n++)
            append(w, scrape(w, nodes[n], 1000 + t));
    }
    commit_all(w, 10 * NODES);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 10 * NODES * SERIES);
    assert_int_equal(w->model.count, 10 * NODES * SERIES);
    assert_int_equal(w->server.requests, 1); /* five origins and ten scrapes in one */
    assert_int_equal(w->model.with_old_header, 0);
    append(w, scrape(w, "node-a", 2000)); /* live: woken by the commit */
    commit_all(w, 1);
    settle_all(w);
    assert_int_equal(w->server.requests, 2);
    assert_int_equal(w->server.connections, 1);
    world_free(w);
}

static void test_fanout_starts_again_where_it_stood(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    append(w, scrape(w, "node-a", 1000));
    commit_all(w, 1);
    start_fanout(w);
    settle_all(w);
    fanout_stop(w->fanout, 1000);
    append(w, scrape(w, "node-a", 1001)); /* committed while nobody listens */
    commit_all(w, 1);
    close_buffers(w);
    open_buffers(w);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 2 * SERIES);
    assert_int_equal(w->server.requests, 2);
    world_free(w);
}

static void test_fanout_refuses_just_the_bad_samples_and_isolates_their_origin(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->backend.lanes = 1;                          /* what waits, waits together */
    strcpy(w->model.stored[0].series, "node-b/1"); /* a newer one is in: this sample is out of order */
    w->model.stored[0].time = 1500;
    w->model.count = 1;
    for (int n = 0; n < NODES; n++)
        append(w, scrape(w, nodes[n], 1000));
    commit_all(w, NODES);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_OVERTAKEN],
                     1); /* it does not go back behind its origin's times */
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 0);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], NODES * SERIES - 1);
    pthread_mutex_lock(&w->server.lock);
    memset(w->model.posts_with, 0, sizeof w->model.posts_with);
    w->model.hold_ms = 200; /* while the first is on its way, the others come to wait */
    pthread_mutex_unlock(&w->server.lock);
    append(w, scrape(w, "node-a", 3000));
    commit_all(w, 1);
    append(w, scrape(w, "node-b", 3000));
    append(w, scrape(w, "node-c", 3000));
    append(w, scrape(w, "node-d", 3000));
    commit_all(w, 3);
    settle_all(w);
    assert_int_equal(w->model.posts_with[1], 2); /* a; b alone; */
    assert_int_equal(w->model.posts_with[2], 1); /* c and d together */
    append(w, scrape(w, "node-b", 1000));        /* its own times go back: refused, not overtaken */
    commit_all(w, 1);
    ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], SERIES);
    world_free(w);
}

static struct batch *sample_of(struct world *w, const char *origin, const char *series, int64_t time)
{
    struct buf raw;
    buf_init(&raw, 4096);
    put_series(&raw, series, time);
    struct batch *batch = batch_of(w, origin, &raw, 1, FORMAT_REMOTE_WRITE_1, time);
    buf_fini(&raw);
    return batch;
}

static void test_fanout_tells_a_slow_target_from_a_series_that_goes_back(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    strcpy(w->model.stored[0].series, "slow"); /* by another gateway */
    w->model.stored[0].time = 2500;
    w->model.count = 1;
    append(w, sample_of(w, "node", "slow", 1000));
    append(w, sample_of(w, "node", "fast", 2000));
    commit_all(w, 2);
    start_fanout(w);
    settle_all(w);
    append(w, sample_of(w, "node", "slow", 1900)); /* behind `fast`, but not behind its own series here */
    commit_all(w, 1);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_OVERTAKEN], 2);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 0);
    append(w, sample_of(w, "node", "slow", 1500));
    commit_all(w, 1);
    ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_OVERTAKEN], 2);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 1);
    world_free(w);
}

/* Every third sample of a scrape lies two hours ahead: the others are delivered, it never is posted. */
static void test_fanout_refuses_what_lies_ahead_of_the_backends_clock(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    int64_t now = clock_wall_ns() / 1000000, ahead = now + 2 * 3600 * 1000;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    for (int i = 0; i < 9; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        put_series(&raw, name, i % 3 == 2 ? ahead : now);
    }
    struct batch *mixed = batch_of(w, "node-b", &raw, 9, FORMAT_REMOTE_WRITE_1, now);
    mixed->latest_ns = ahead * 1000000;
    append(w, mixed);
    append(w, scrape(w, "node-a", ahead));
    append(w, scrape(w, "node-c", now));
    commit_all(w, 3);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 3 + SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 6 + SERIES);
    assert_int_equal(w->model.count, 6 + SERIES);
    for (int i = 0; i < w->model.count; i++)
        assert_true(w->model.stored[i].time == now);
    buf_fini(&raw);
    world_free(w);
}

static void test_fanout_waits_as_told_and_tries_again(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.refuse_status = 503;
    w->model.refuse_count = 1;
    w->model.refuse_header = "Retry-After: 1";
    append(w, scrape(w, "node-a", 1000));
    commit_all(w, 1);
    int64_t began = clock_mono_ns();
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_true(clock_mono_ns() - began >= 1000000000);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], SERIES);
    assert_int_equal(count_of(w, GATEWAY_REQUESTS, "retry"), 1);
    world_free(w);
}

static void test_fanout_holds_what_speaks_of_the_backend(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.refuse_status = 404;
    w->model.refuse_count = 3;
    w->model.refuse_text = "remote write receiver needs to be enabled";
    for (int n = 0; n < NODES; n++)
        append(w, scrape(w, nodes[n], 1000));
    commit_all(w, NODES);
    start_fanout(w);
    wait_until_away(w, true);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], NODES * SERIES);
    assert_int_equal(count_of(w, GATEWAY_REQUESTS, "away"), 3);
    wait_until_away(w, false);
    world_free(w);
}

static void test_fanout_waits_for_a_backend_that_is_not_there(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    int port = w->server.port;
    backend_server_stop(&w->server);
    append(w, scrape(w, "node-a", 1000));
    append(w, scrape(w, "node-a", 1001));
    commit_all(w, 2);
    start_fanout(w);
    wait_until_away(w, true);
    backend_server_start(&w->server, port, answer_prometheus, &w->model);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 2 * SERIES);
    assert_int_equal(count_of(w, GATEWAY_IN_DOUBT, NULL), 0);
    assert_true(count_of(w, GATEWAY_REQUESTS, "not_sent") >= 1);
    world_free(w);
}

static void test_fanout_names_what_was_in_as_repeated(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.taken_without_answer = 1;
    for (int t = 0; t < 4; t++)
        append(w, scrape(w, "node-a", 1000 + t));
    commit_all(w, 4);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(w->model.count, 4 * SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_CAUSE_REPEATED], 3 * SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], SERIES); /* the newest: the same again is taken */
    assert_int_equal(count_of(w, GATEWAY_IN_DOUBT, NULL), 1);
    world_free(w);
}

static void test_fanout_delivers_what_was_lost_on_the_way(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.lost = 2;
    for (int t = 0; t < 4; t++)
        append(w, scrape(w, "node-a", 1000 + t));
    commit_all(w, 4);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 4 * SERIES);
    assert_int_equal(w->model.count, 4 * SERIES);
    assert_int_equal(count_of(w, GATEWAY_IN_DOUBT, NULL), 2);
    world_free(w);
}

/* Taken, and the program ends before the answer: the note names the request, and only that one. */
static void test_fanout_resolves_after_a_restart_what_was_under_way(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.hold_ms = 60000;
    for (int t = 0; t < 3; t++)
        append(w, scrape(w, "node-a", 1000 + t));
    commit_all(w, 3);
    start_fanout(w);
    int64_t deadline = clock_mono_ns() + (int64_t)WAIT_S * 1000000000;
    for (int in_flight = 0; !in_flight;) {
        assert_true(clock_mono_ns() < deadline);
        pthread_mutex_lock(&w->server.lock);
        in_flight = w->server.in_flight;
        pthread_mutex_unlock(&w->server.lock);
    }
    fanout_stop(w->fanout, 0);
    int port = w->server.port;
    backend_server_stop(&w->server);
    w->model.hold_ms = 0;
    close_buffers(w);
    open_buffers(w);
    append(w, scrape(w, "node-a", 2000)); /* comes after, and is not in doubt */
    commit_all(w, 1);
    backend_server_start(&w->server, port, answer_prometheus, &w->model);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(w->model.count, 4 * SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_CAUSE_REPEATED], 2 * SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 2 * SERIES);
    world_free(w);
}

static void test_fanout_halves_what_fails_while_others_get_through(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.poison = "node-c/1";
    for (int n = 0; n < NODES; n++)
        append(w, scrape(w, nodes[n], 1000)); /* all in one request: nothing else gets through at first */
    commit_all(w, NODES);
    start_fanout(w);
    int64_t deadline = clock_mono_ns() + (int64_t)WAIT_S * 1000000000;
    for (int64_t t = 1001; ledger_of(w).buffered > 0 && clock_mono_ns() < deadline; t++) {
        append(w, scrape(w, "node-a", t)); /* life goes on elsewhere */
        commit_all(w, 1);
        for (int i = 0; i < 100 && ledger_of(w).buffered > 0; i++)
            pause_briefly();
    }
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 1);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], ledger.accepted - 1);
    world_free(w);
}

static void test_fanout_cuts_what_is_too_large(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    w->model.too_large = 100; /* about two series */
    for (int t = 0; t < 3; t++) {
        for (int n = 0; n < NODES; n++)
            append(w, scrape(w, nodes[n], 1000 + t));
    }
    commit_all(w, 3 * NODES);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 3 * NODES * SERIES);
    assert_int_equal(w->model.count, 3 * NODES * SERIES);
    world_free(w);
}

static void test_fanout_cuts_a_row_over_its_own_limit_before_it_posts(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    struct buf raw;
    char name[64];
    enum { MANY = 300 };
    w->backend.max_request_bytes = 2000;
    w->model.too_large = 3000;
    buf_init(&raw, 1 << 20);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "node-a/%d", i);
        put_series(&raw, name, 1000);
    }
    append(w, batch_of(w, "node-a", &raw, MANY, FORMAT_REMOTE_WRITE_1, 1000));
    buf_fini(&raw);
    commit_all(w, 1);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], MANY);
    assert_int_equal(w->model.count, MANY);
    assert_int_equal(count_of(w, GATEWAY_REQUESTS, "too_large"), 0);
    world_free(w);
}

static void test_fanout_keeps_an_origins_order_with_many_requests_in_flight(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    enum { ROUNDS = 60 };
    w->model.hold_ms = 3;
    w->backend.max_request_bytes = 700;
    start_fanout(w);
    for (int t = 0; t < ROUNDS; t++) {
        for (int n = 0; n < NODES; n++)
            append(w, scrape(w, nodes[n], 1000 + t));
    }
    commit_all(w, ROUNDS * NODES);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], ROUNDS * NODES * SERIES); /* nothing out of order */
    assert_int_equal(w->model.count, ROUNDS * NODES * SERIES);
    assert_in_range(w->server.most_in_flight, 2, 4);
    world_free(w);
}

static void test_fanout_keeps_samples_apart_that_go_back_in_time(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    append(w, scrape(w, "node-a", 2000));
    append(w, scrape(w, "node-a", 1000)); /* joined with the first it would be lost without a word */
    append(w, scrape(w, "node-a", 3000));
    commit_all(w, 3);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 2 * SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], SERIES);
    assert_int_equal(w->model.count, 2 * SERIES);
    world_free(w);
}

static void test_fanout_drops_only_the_row_that_is_damaged(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_METRICS, NULL);
    char command[256];
    enum { ROUNDS = 2 + BUFFER_RECENT_COUNT }; /* the second is read from the file */
    for (int t = 0; t < ROUNDS; t++)
        append(w, scrape(w, "node-a", 1000 + t));
    commit_all(w, ROUNDS);
    snprintf(command, sizeof command,
             "sqlite3 %s/metrics.db \"UPDATE payload SET bytes = zeroblob(length(bytes)) WHERE rowid = 2\"",
             w->folder);
    assert_int_equal(system(command), 0);
    log_set_level(LOG_LEVEL_ERROR + 1);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DROPPED], SERIES);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], (ROUNDS - 1) * SERIES);
    assert_int_equal(w->model.count, (ROUNDS - 1) * SERIES);
    world_free(w);
}

/* ---- the other kinds */

static struct server_answer answer_loki(void *ctx, const struct server_request *request)
{
    struct model *m = ctx;
    if (backend_server_has_header(request, "Content-Encoding: snappy") ||
        !backend_server_has_header(request, "Content-Type: application/x-protobuf") ||
        !backend_server_has_header(request, "X-Scope-OrgID: team") ||
        !backend_server_has_header(request, "X-Extra: yes"))
        m->with_old_header++;
    m->count++;
    if (m->taken_without_answer > 0) {
        m->taken_without_answer--;
        return (struct server_answer){0};
    }
    return (struct server_answer){204, NULL, NULL, 0};
}

static struct batch *lines(struct world *w, const char *origin, int64_t time, uint64_t largest_stream)
{
    struct buf raw;
    size_t stream, entry;
    buf_init(&raw, 1 << 20);
    pb_begin(&raw, 1, &stream);
    pb_put_string(&raw, 1, "{a=\"b\"}");
    pb_begin(&raw, 2, &entry);
    pb_put_string(&raw, 2, "line");
    pb_end(&raw, entry);
    pb_end(&raw, stream);
    struct batch *batch = batch_of(w, origin, &raw, 1, FORMAT_LOKI_PUSH, time);
    batch->largest_stream_bytes = largest_stream;
    buf_fini(&raw);
    return batch;
}

static void test_fanout_paces_a_noisy_origin_and_not_the_others(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_LOGS, answer_loki);
    struct conf_pair extra = {"X-Extra", "yes"};
    w->backend.tenant = "team";
    w->backend.headers = (struct conf_map){&extra, 1};
    w->backend.stream_rate_bytes = 1000;
    w->backend.stream_burst_bytes = 1000;
    for (int i = 0; i < 3; i++)
        append(w, lines(w, "node-noisy", 1000, 700)); /* 2100 bytes: about 1.1 s at that rate */
    append(w, lines(w, "node-quiet", 1000, 100));
    commit_all(w, 4);
    int64_t began = clock_mono_ns();
    start_fanout(w);
    while (ledger_of(w).by_cause[BUFFER_DELIVERED] < 2)
        pause_briefly();
    assert_true(clock_mono_ns() - began < 300000000); /* the quiet one and the first noisy one at once */
    settle_all(w);
    assert_true(clock_mono_ns() - began > 1000000000);
    assert_int_equal(w->model.with_old_header, 0);
    world_free(w);
}

static void test_fanout_repeats_logs_without_a_note_and_counts_it(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_LOGS, answer_loki);
    w->backend.tenant = "team";
    w->model.taken_without_answer = 1;
    append(w, lines(w, "node-a", 1000, 10));
    commit_all(w, 1);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 1);
    assert_int_equal(w->model.count, 2);
    assert_int_equal(count_of(w, GATEWAY_IN_DOUBT, NULL), 1);
    world_free(w);
}

/* What Loki took is posted on after while its cursor waits for the disk; the cursors still move in order, and
 * a commit that fails is tried again without a record being counted or sent twice. */
static void test_fanout_goes_on_while_a_delivered_request_waits_for_its_commit(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    struct world *w = world_new(TELEMETRY_LOGS, answer_loki);
    struct buffer_state s;
    char path[128];
    sqlite3 *db;
    w->backend.tenant = "team";
    w->backend.max_request_bytes = 1; /* a row a request */
    for (int i = 0; i < ROWS; i++)
        append(w, lines(w, "node-a", 1000 + i, 10));
    commit_all(w, ROWS);
    snprintf(path, sizeof path, "%s/logs.db", w->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    start_fanout(w);
    int64_t deadline = clock_mono_ns() + (int64_t)WAIT_S * 1000000000;
    do {
        assert_true(clock_mono_ns() < deadline);
        pause_briefly();
        buffer_get_state(w->buffers[TELEMETRY_LOGS], &s);
    } while (s.last_error == 0);
    assert_int_equal(w->model.count, 2); /* the next one, and no further */
    assert_int_equal(ledger_of(w).by_cause[BUFFER_DELIVERED], 0);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], ROWS);
    assert_int_equal(w->model.count, ROWS);
    world_free(w);
}

static void test_fanout_refuses_a_format_that_the_backend_does_not_take(void **state)
{
    (void)state;
    struct world *w = world_new(TELEMETRY_LOGS, answer_loki);
    struct buf raw;
    buf_init(&raw, 100);
    pb_put_string(&raw, 1, "x");
    append(w, batch_of(w, "node-a", &raw, 4, FORMAT_OTLP_LOGS, 1000));
    append(w, lines(w, "node-a", 1000, 10));
    commit_all(w, 2);
    buf_fini(&raw);
    start_fanout(w);
    struct buffer_ledger ledger = settle_all(w);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 4);
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fanout_delivers_what_many_origins_sent_joined),
        cmocka_unit_test(test_fanout_starts_again_where_it_stood),
        cmocka_unit_test(test_fanout_refuses_just_the_bad_samples_and_isolates_their_origin),
        cmocka_unit_test(test_fanout_tells_a_slow_target_from_a_series_that_goes_back),
        cmocka_unit_test(test_fanout_refuses_what_lies_ahead_of_the_backends_clock),
        cmocka_unit_test(test_fanout_waits_as_told_and_tries_again),
        cmocka_unit_test(test_fanout_holds_what_speaks_of_the_backend),
        cmocka_unit_test(test_fanout_waits_for_a_backend_that_is_not_there),
        cmocka_unit_test(test_fanout_names_what_was_in_as_repeated),
        cmocka_unit_test(test_fanout_delivers_what_was_lost_on_the_way),
        cmocka_unit_test(test_fanout_resolves_after_a_restart_what_was_under_way),
        cmocka_unit_test(test_fanout_halves_what_fails_while_others_get_through),
        cmocka_unit_test(test_fanout_cuts_what_is_too_large),
        cmocka_unit_test(test_fanout_cuts_a_row_over_its_own_limit_before_it_posts),
        cmocka_unit_test(test_fanout_keeps_an_origins_order_with_many_requests_in_flight),
        cmocka_unit_test(test_fanout_keeps_samples_apart_that_go_back_in_time),
        cmocka_unit_test(test_fanout_drops_only_the_row_that_is_damaged),
        cmocka_unit_test(test_fanout_paces_a_noisy_origin_and_not_the_others),
        cmocka_unit_test(test_fanout_repeats_logs_without_a_note_and_counts_it),
        cmocka_unit_test(test_fanout_goes_on_while_a_delivered_request_waits_for_its_commit),
        cmocka_unit_test(test_fanout_refuses_a_format_that_the_backend_does_not_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
