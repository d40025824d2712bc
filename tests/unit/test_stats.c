/* The registry of own metrics, the log's quoting and backoff. */
#include <stdio.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/stats.h"
#include "tests/unit/unit.h"

static const struct stats_def defs[] = {
    {"a_total", STATS_COUNTER, 1, "Counts.", {"x", "y"}},
    {"b_seconds", STATS_HISTOGRAM, 1e-9, "Durations.", {0}},
    {"unused", STATS_GAUGE, 1, "Never counted.", {0}},
};

static void test_stats_writes_the_exposition_with_escaped_labels(void **state)
{
    (void)state;
    struct stats *stats = stats_new(defs, 3);
    struct stats_cell *cell = stats_cell(stats, 0, "1", "q\"\\\n");
    assert_ptr_equal(cell, stats_cell(stats, 0, "1", "q\"\\\n"));
    assert_ptr_not_equal(cell, stats_cell(stats, 0, "1", "r"));
    stats_add(cell, 41);
    stats_add(cell, 1);
    stats_observe(stats_cell(stats, 1), 2000000); /* 2 ms */
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(stats_write(stats, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    const char *text = (const char *)out.ptr;
    assert_non_null(strstr(text, "# TYPE a_total counter\n"));
    assert_non_null(strstr(text, "a_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 42\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"0.001\"} 0\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"0.0025\"} 1\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"+Inf\"} 1\n"));
    assert_non_null(strstr(text, "b_seconds_sum 0.002\n"));
    assert_null(strstr(text, "unused"));
    buf_fini(&out);
    stats_free(stats);
}

static void test_stats_bounds_the_series_of_a_definition(void **state)
{
    (void)state;
    struct stats *stats = stats_new(defs, 3);
    struct stats_cell *last = NULL;
    for (int i = 0; i < 10100; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        last = stats_cell(stats, 0, value, "y");
    }
    assert_ptr_equal(last, stats_cell(stats, 0, "other", "other"));
    stats_free(stats);
}

static void test_log_quote_quotes_only_what_needs_it(void **state)
{
    (void)state;
    char storage[32];
    assert_string_equal(log_quote("plain", storage, sizeof storage), "plain");
    assert_string_equal(log_quote("two words", storage, sizeof storage), "\"two words\"");
    assert_string_equal(log_quote("", storage, sizeof storage), "\"\"");
    assert_string_equal(log_quote("a\"b\nc", storage, sizeof storage), "\"a\\\"b\\nc\"");
    assert_true(strlen(log_quote("a very long value with many words in it", storage, sizeof storage)) <
                sizeof storage);
}

static void test_backoff_stays_between_half_and_all_of_a_doubling_wait(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100, 1000, 42);
    int64_t upper = 100;
    for (int i = 0; i < 50; i++) {
        int64_t wait = backoff_next(&b);
        assert_in_range(wait, upper / 2, upper);
        upper = upper * 2 > 1000 ? 1000 : upper * 2;
    }
    backoff_reset(&b);
    assert_in_range(backoff_next(&b), 50, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_writes_the_exposition_with_escaped_labels),
        cmocka_unit_test(test_stats_bounds_the_series_of_a_definition),
        cmocka_unit_test(test_log_quote_quotes_only_what_needs_it),
        cmocka_unit_test(test_backoff_stays_between_half_and_all_of_a_doubling_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
