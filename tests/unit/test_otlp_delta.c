/* Deltas cumulated: also when a row is translated again, and within a bound. */
#include <errno.h>

#include "gateway/translate/otlp_delta.h"
#include "tests/unit/unit.h"

static int add(struct otlp_delta *delta, uint64_t series, int64_t time_ns, double sum, double *ret_sum)
{
    struct otlp_delta_point point = {.series = series, .time_ns = time_ns, .sum = sum};
    int err = otlp_delta_add(delta, &point);
    *ret_sum = point.sum;
    return err;
}

static void test_otlp_delta_cumulates_over_rows(void **state)
{
    (void)state;
    struct otlp_delta *delta = otlp_delta_new(1 << 20);
    double sum;
    otlp_delta_begin(delta, 1, 0);
    assert_int_equal(add(delta, 7, 10, 5, &sum), 0);
    assert_int_equal(add(delta, 7, 20, 2, &sum), 0);
    assert_true(sum == 7);
    otlp_delta_begin(delta, 2, 0);
    assert_int_equal(add(delta, 7, 30, 1, &sum), 0);
    assert_true(sum == 8);
    otlp_delta_free(delta);
}

static void test_otlp_delta_gives_a_row_the_same_values_each_time(void **state)
{
    (void)state;
    struct otlp_delta *delta = otlp_delta_new(1 << 20);
    double first, second, sum;
    otlp_delta_begin(delta, 1, 0);
    add(delta, 7, 10, 5, &sum);
    for (int i = 0; i < 3; i++) {
        otlp_delta_begin(delta, 2, 0);
        assert_int_equal(add(delta, 7, 20, 3, &first), 0);
        assert_int_equal(add(delta, 7, 30, 4, &second), 0);
        assert_true(first == 8 && second == 12);
    }
    otlp_delta_begin(delta, 3, 0);
    assert_int_equal(add(delta, 7, 40, 1, &sum), 0);
    assert_true(sum == 13);
    otlp_delta_free(delta);
}

static void test_otlp_delta_refuses_what_goes_back(void **state)
{
    (void)state;
    struct otlp_delta *delta = otlp_delta_new(1 << 20);
    double sum;
    otlp_delta_begin(delta, 1, 0);
    assert_int_equal(add(delta, 7, 20, 5, &sum), 0);
    assert_int_equal(add(delta, 7, 20, 5, &sum), -ESTALE);
    assert_int_equal(add(delta, 7, 10, 5, &sum), -ESTALE);
    assert_int_equal(add(delta, 7, 30, 1, &sum), 0);
    assert_true(sum == 6);
    otlp_delta_free(delta);
}

static void test_otlp_delta_cumulates_counts_until_the_bounds_change(void **state)
{
    (void)state;
    struct otlp_delta *delta = otlp_delta_new(1 << 20);
    uint64_t counts[] = {1, 2, 3};
    struct otlp_delta_point point = {7, 1, 10, 6, counts, 3};
    otlp_delta_begin(delta, 1, 0);
    assert_int_equal(otlp_delta_add(delta, &point), 0);
    otlp_delta_begin(delta, 2, 0);
    uint64_t more[] = {1, 1, 1};
    point = (struct otlp_delta_point){7, 1, 20, 3, more, 3};
    assert_int_equal(otlp_delta_add(delta, &point), 0);
    assert_true(more[0] == 2 && more[1] == 3 && more[2] == 4 && point.sum == 9);
    otlp_delta_begin(delta, 3, 0);
    uint64_t other[] = {1, 1, 1};
    point = (struct otlp_delta_point){7, 2, 30, 3, other, 3};
    assert_int_equal(otlp_delta_add(delta, &point), 0);
    assert_true(other[2] == 1 && point.sum == 3);
    otlp_delta_free(delta);
}

static void test_otlp_delta_holds_no_more_than_its_memory(void **state)
{
    (void)state;
    struct otlp_delta *delta = otlp_delta_new(4096);
    double sum;
    uint64_t series = 0;
    otlp_delta_begin(delta, 1, 0);
    while (add(delta, ++series, 10, 1, &sum) == 0)
        assert_true(series < 100);
    assert_int_equal(add(delta, series, 10, 1, &sum), -ENOSPC);
    assert_true(otlp_delta_series(delta) == series - 1);
    otlp_delta_begin(delta, 2, INT64_C(7200) * 1000000000); /* two hours later the idle ones go */
    assert_int_equal(add(delta, series, 20, 1, &sum), 0);
    assert_true(otlp_delta_series(delta) == 1);
    otlp_delta_free(delta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_delta_cumulates_over_rows),
        cmocka_unit_test(test_otlp_delta_gives_a_row_the_same_values_each_time),
        cmocka_unit_test(test_otlp_delta_refuses_what_goes_back),
        cmocka_unit_test(test_otlp_delta_cumulates_counts_until_the_bounds_change),
        cmocka_unit_test(test_otlp_delta_holds_no_more_than_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
