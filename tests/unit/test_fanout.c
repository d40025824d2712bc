/* Fan-out against the real buffer and backends that answer as the real ones do. */
#include <sqlite3.h>

#include "tests/unit/fanout_world.h"

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

/* How many requests came so far, while more may come. */
static int count_requests(struct world *w)
{
    pthread_mutex_lock(&w->server.lock);
    int count = w->model.count;
    pthread_mutex_unlock(&w->server.lock);
    return count;
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
    } while (s.last_error == 0 || count_requests(w) < 2);
    assert_int_equal(count_requests(w), 2); /* the next one, and no further */
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
        cmocka_unit_test(test_fanout_waits_as_told_and_tries_again),
        cmocka_unit_test(test_fanout_holds_what_speaks_of_the_backend),
        cmocka_unit_test(test_fanout_waits_for_a_backend_that_is_not_there),
        cmocka_unit_test(test_fanout_delivers_what_was_lost_on_the_way),
        cmocka_unit_test(test_fanout_resolves_after_a_restart_what_was_under_way),
        cmocka_unit_test(test_fanout_keeps_an_origins_order_with_many_requests_in_flight),
        cmocka_unit_test(test_fanout_keeps_samples_apart_that_go_back_in_time),
        cmocka_unit_test(test_fanout_paces_a_noisy_origin_and_not_the_others),
        cmocka_unit_test(test_fanout_repeats_logs_without_a_note_and_counts_it),
        cmocka_unit_test(test_fanout_goes_on_while_a_delivered_request_waits_for_its_commit),
        cmocka_unit_test(test_fanout_refuses_a_format_that_the_backend_does_not_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
