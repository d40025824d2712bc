/* What the operator is told: rates, the end of a backlog, runway, the balance. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "gateway/ask/report.h"

#define S INT64_C(1000000000)

static void test_rate_tells_the_end_of_a_shrinking_backlog(void **state)
{
    (void)state;
    struct rate rate = {.count = 0};
    struct rate_point now = {.at_ns = S, .settled = 50, .committed_bytes = 100, .lag_bytes = 600};
    struct rate_view view = rate_get(&rate, &now);
    assert_true(view.bytes_per_s == 0 && rate_end_s(&view, 1000) == -1);
    rate_add(&rate, (struct rate_point){.at_ns = 0, .lag_bytes = 1000});
    view = rate_get(&rate, &now); /* a second is too short */
    assert_true(view.bytes_per_s == 0 && rate_end_s(&view, 600) == -1);
    now.at_ns = 10 * S;
    view = rate_get(&rate, &now);
    assert_true(view.records_per_s == 5 && view.bytes_per_s == 50 && view.growth_bytes_per_s == -40);
    assert_true(rate_end_s(&view, 600) == 15 && rate_end_s(&view, 0) == 0);
    assert_true(rate_runway_s(&view, 100) == -1);
}

static void test_rate_looks_at_its_window_only(void **state)
{
    (void)state;
    struct rate rate = {.count = 0};
    struct rate_point point = {.at_ns = 0};
    for (int i = 0; i < 3 * RATE_POINTS; i++) {
        int64_t owed = i < 2 * RATE_POINTS ? 0 : i * 10;
        point = (struct rate_point){.at_ns = i * S, .lag_bytes = owed, .held_bytes = owed * 2};
        rate_add(&rate, point);
    }
    struct rate_view view = rate_get(&rate, &point);
    assert_true(view.growth_bytes_per_s == 10 && view.held_bytes_per_s == 20);
    assert_true(rate_runway_s(&view, 100) == 5 && rate_end_s(&view, 100) == -1);
}

static void make_report(struct report *report, struct fanout_view *view, struct rate_view *rate)
{
    *view = (struct fanout_view){.signal = TELEMETRY_LOGS, .name = "loki"};
    view->ledger = (struct buffer_ledger){.accepted = 100, .buffered = 10, .lag_rows = 2, .lag_bytes = 500};
    view->ledger.by_cause[BUFFER_DELIVERED] = 80;
    view->ledger.by_cause[BUFFER_REFUSED] = 10;
    *report = (struct report){.name = "gw", .backends = view, .rates = rate, .backend_count = 1};
    report->buffers[TELEMETRY_LOGS].room_bytes = 100000;
}

static bool has(const struct buf *out, const char *text)
{
    return memmem(out->ptr, out->len, text, strlen(text)) != NULL;
}

static void test_report_ledger_says_whether_it_closes(void **state)
{
    (void)state;
    struct report report;
    struct fanout_view view;
    struct rate_view rate = {0};
    struct buf out;
    buf_init(&out, 65536);
    make_report(&report, &view, &rate);
    assert_int_equal(report_ledger(&report, &out), 0);
    assert_true(has(&out, "gw logs loki: accepted 100 = delivered 80 ") && has(&out, "; balanced\n"));
    view.ledger.buffered = 9;
    assert_int_equal(report_imbalance(&view.ledger), 1);
    buf_clear(&out);
    assert_int_equal(report_ledger(&report, &out), 0);
    assert_true(has(&out, "; 1 records DO NOT BALANCE"));
    buf_fini(&out);
}

static void test_report_status_is_json_with_null_for_what_is_not_known(void **state)
{
    (void)state;
    struct report report;
    struct fanout_view view;
    struct rate_view rate = {.growth_bytes_per_s = 500, .held_bytes_per_s = 1000};
    struct buf out;
    buf_init(&out, 65536);
    make_report(&report, &view, &rate);
    view.away = true;
    assert_int_equal(report_status_json(&report, &out), 0);
    json_t *json = json_loadb((const char *)out.ptr, out.len, 0, NULL);
    assert_non_null(json);
    json_t *backend = json_array_get(json_object_get(json, "backends"), 0);
    assert_int_equal(json_integer_value(json_object_get(backend, "lag_batches")), 2);
    assert_true(json_is_null(json_object_get(backend, "end_seconds")));
    json_t *buffer = json_array_get(json_object_get(json, "buffers"), TELEMETRY_LOGS);
    double room = (double)(100000 - buffer_held_bytes(2, 500));
    assert_true(json_real_value(json_object_get(buffer, "runway_seconds")) == room / 1000);
    json_decref(json);
    buf_fini(&out);
}

static void test_report_of_a_live_backend_has_no_end_and_no_runway(void **state)
{
    (void)state;
    struct report report;
    struct fanout_view view;
    struct rate_view rate = {.growth_bytes_per_s = 500, .held_bytes_per_s = 1000};
    make_report(&report, &view, &rate); /* with two batches under way */
    report.now_ns = 100 * S;
    view.ledger.oldest_committed_ns = 99 * S;
    assert_true(report_end_s(&report, 0) == 0 && report_runway_s(&report, TELEMETRY_LOGS) == -1);
    view.ledger.oldest_committed_ns = 80 * S;
    assert_true(report_end_s(&report, 0) == -1 && report_runway_s(&report, TELEMETRY_LOGS) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_tells_the_end_of_a_shrinking_backlog),
        cmocka_unit_test(test_rate_looks_at_its_window_only),
        cmocka_unit_test(test_report_ledger_says_whether_it_closes),
        cmocka_unit_test(test_report_of_a_live_backend_has_no_end_and_no_runway),
        cmocka_unit_test(test_report_status_is_json_with_null_for_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
