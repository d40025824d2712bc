/* What a backend does not take: cut down to the record, told apart, and no one else's business. */
#include "tests/unit/fanout_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fanout_refuses_just_the_bad_samples_and_isolates_their_origin),
        cmocka_unit_test(test_fanout_tells_a_slow_target_from_a_series_that_goes_back),
        cmocka_unit_test(test_fanout_refuses_what_lies_ahead_of_the_backends_clock),
        cmocka_unit_test(test_fanout_names_what_was_in_as_repeated),
        cmocka_unit_test(test_fanout_halves_what_fails_while_others_get_through),
        cmocka_unit_test(test_fanout_cuts_what_is_too_large),
        cmocka_unit_test(test_fanout_cuts_a_row_over_its_own_limit_before_it_posts),
        cmocka_unit_test(test_fanout_drops_only_the_row_that_is_damaged),
    };
    return cmocka_run_group_tests_name("fanout_refusals", tests, NULL, NULL);
}
