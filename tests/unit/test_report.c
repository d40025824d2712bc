/* What the operator is told: rates, the end of a backlog, runway, the balance. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "gateway/ask/report.h"

#define S INT64_C(1000000000)

static void test_rate_tells_the_end_of_a_shrinking_backlog(void **state)
{
    (void)state;
    struct rate rate = {.count = 0};
    rate_add(&rate, (struct rate_point){.at_ns = 0, .lag_bytes = 1000});
    struct rate_view view = rate_get(&rate);
    assert_true(view.bytes_per_s == 0 && rate_end_s(&view, 1000) == -1);
    rate_add(&rate,
             (struct rate_point){.at_ns = 10 * S, .settled = 50, .committed_bytes = 100, .lag_bytes = 600});
    view = rate_get(&rate);
    assert_true(view.records_per_s == 5 && view.bytes_per_s == 50 && view.growth_bytes_per_s == -40);
    assert_true(rate_end_s(&view, 600) == 15 && rate_end_s(&view, 0) == 0);
    assert_true(rate_runway_s(&view, 100) == -1);
}

static void test_rate_looks_at_its_window_only(void **state)
{
    (void)state;
    struct rate rate = {.count = 0};
    for (int i = 0; i < 3 * RATE_POINTS; i++)
        rate_add(&rate, (struct rate_point){.at_ns = i * S, .lag_bytes = i < 2 * RATE_POINTS ? 0 : i * 10});
    struct rate_view view = rate_get(&rate);
    assert_true(view.growth_bytes_per_s == 10);
    assert_true(rate_runway_s(&view, 100) == 10 && rate_end_s(&view, 100) == -1);
}

static void make_report(struct report *report, struct fanout_view *view, struct rate_view *rate)
{
    *view = (struct fanout_view){.signal = TELEMETRY_LOGS, .name = "loki"};
    view->ledger = (struct buffer_ledger){.accepted = 100, .buffered = 10, .lag_rows = 2, .lag_bytes = 500};
    view->ledger.by_cause[BUFFER_DELIVERED] = 80;
    view->ledger.by_cause[BUFFER_REFUSED] = 10;
    *report = (struct report){.name = "gw", .backends = view, .rates = rate, .backend_count = 1};
    report->buffers[TELEMETRY_LOGS].quota_bytes = 100000;
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
    struct rate_view rate = {.growth_bytes_per_s = 500};
    struct buf out;
    buf_init(&out, 65536);
    make_report(&report, &view, &rate);
    assert_int_equal(report_status_json(&report, &out), 0);
    json_t *json = json_loadb((const char *)out.ptr, out.len, 0, NULL);
    assert_non_null(json);
    json_t *backend = json_array_get(json_object_get(json, "backends"), 0);
    assert_int_equal(json_integer_value(json_object_get(backend, "lag_batches")), 2);
    assert_true(json_is_null(json_object_get(backend, "end_seconds")));
    json_t *buffer = json_array_get(json_object_get(json, "buffers"), TELEMETRY_LOGS);
    assert_true(json_real_value(json_object_get(buffer, "runway_seconds")) == (98000. - 500) / 500);
    json_decref(json);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_tells_the_end_of_a_shrinking_backlog),
        cmocka_unit_test(test_rate_looks_at_its_window_only),
        cmocka_unit_test(test_report_ledger_says_whether_it_closes),
        cmocka_unit_test(test_report_status_is_json_with_null_for_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
