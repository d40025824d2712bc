#include "gateway/ask/discarded.h"
#include "tests/unit/unit.h"

static void test_loki_tells_by_reason_over_all_tenants(void **state)
{
    (void)state;
    struct discarded d;
    discarded_read(
        bytes_of_string(
            "# HELP loki_discarded_samples_total The total number of samples that were discarded.\n"
            "# TYPE loki_discarded_samples_total counter\n"
            "loki_discarded_samples_total{policy=\"\",reason=\"stream_limit\",tenant=\"a\"} 7\n"
            "loki_discarded_samples_total{policy=\"\",reason=\"stream_limit\",tenant=\"b\"} 1.5e+01\n"
            "loki_discarded_samples_total{policy=\"\",reason=\"rate limited\",tenant=\"b\"} 2\n"
            "loki_discarded_samples_total{reason=\"never\"} 0\n"
            "loki_discarded_samples_totals{reason=\"other\"} 9\n"
            "loki_discarded_bytes_total{reason=\"stream_limit\"} 900"),
        &d);
    assert_true(d.is_known && d.count == 2 && discarded_sum(&d) == 24);
    assert_string_equal(d.reasons[0].reason, "stream_limit");
    assert_int_equal(d.reasons[0].records, 22);
    assert_string_equal(d.reasons[1].reason, "rate_limited");
}

static void test_prometheus_tells_by_counter(void **state)
{
    (void)state;
    struct discarded d;
    discarded_read(bytes_of_string("prometheus_tsdb_out_of_order_samples_total{type=\"float\"} 3\n"
                                   "prometheus_tsdb_out_of_order_samples_total{type=\"histogram\"} 1\n"
                                   "prometheus_tsdb_out_of_bound_samples_total 5\n"
                                   "prometheus_tsdb_too_old_samples_total 0\n"
                                   "prometheus_tsdb_head_samples_appended_total 500\n"),
                   &d);
    assert_true(d.count == 2 && discarded_sum(&d) == 9);
    assert_string_equal(d.reasons[0].reason, "out_of_order");
    assert_string_equal(d.reasons[1].reason, "out_of_bound");
}

static void test_what_a_loki_left_out_at_its_start_is_told_apart(void **state)
{
    (void)state;
    struct discarded d;
    discarded_read(bytes_of_string("# HELP loki_ingester_wal_duplicate_entries_total Entries discarded.\n"
                                   "loki_ingester_wal_duplicate_entries_total 1.2e+02\n"
                                   "loki_ingester_wal_duplicate_entries_totals 7\n"
                                   "loki_ingester_wal_replay_active 1\n"
                                   "process_start_time_seconds 1.79543724537e+09\n"),
                   &d);
    assert_true(d.count == 0 && d.forgotten == 120 && d.is_replaying);
    assert_in_range(d.started_ns, INT64_C(1795437245369999000), INT64_C(1795437245370001000));
    discarded_read(bytes_of_string("loki_ingester_wal_replay_active 0\nprocess_start_time_seconds NaN\n"),
                   &d);
    assert_true(d.forgotten == 0 && !d.is_replaying && d.started_ns == 0);
}

static void test_a_page_of_anything_else_says_nothing(void **state)
{
    (void)state;
    struct discarded d;
    discarded_read(bytes_of_string("loki_discarded_samples_total{reason=\"x\nloki_discarded_samples_total\n"
                                   "loki_discarded_samples_total{reason=\"x\"} NaN\n\n"),
                   &d);
    assert_true(d.is_known && d.count == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loki_tells_by_reason_over_all_tenants),
        cmocka_unit_test(test_prometheus_tells_by_counter),
        cmocka_unit_test(test_what_a_loki_left_out_at_its_start_is_told_apart),
        cmocka_unit_test(test_a_page_of_anything_else_says_nothing),
    };
    return cmocka_run_group_tests_name("discarded", tests, NULL, NULL);
}
