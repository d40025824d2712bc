/* Token buckets of origins. */
#include "gateway/fanout/pace.h"
#include "tests/unit/unit.h"

enum { SECOND = 1000000000 };

static void test_pace_lets_a_burst_through_and_then_the_rate(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 1000, 5000);
    assert_int_equal(pace_wait(&pace, 1, 5000, 0), 0);
    assert_int_equal(pace_charge(&pace, 1, 5000, 0), 0);
    int64_t wait = pace_wait(&pace, 1, 500, 0);
    assert_in_range(wait, SECOND / 2, SECOND / 2 + 1000);
    assert_int_equal(pace_wait(&pace, 1, 500, wait), 0);
    assert_int_equal(pace_wait(&pace, 2, 5000, 0), 0); /* another origin is its own */
    pace_fini(&pace);
}

static void test_pace_sends_what_is_larger_than_the_burst_from_a_full_bucket(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 1000, 5000);
    assert_int_equal(pace_wait(&pace, 1, 9000, 0), 0);
    assert_int_equal(pace_charge(&pace, 1, 9000, 0), 0); /* 4000 in debt */
    assert_true(pace_wait(&pace, 1, 1000, (int64_t)SECOND * 49 / 10) > 0);
    assert_int_equal(pace_wait(&pace, 1, 1000, (int64_t)SECOND * 51 / 10), 0);
    pace_fini(&pace);
}

static void test_pace_never_lets_more_than_rate_and_burst_through(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 1000, 2000);
    uint64_t sent = 0;
    int64_t now = 0;
    while (now < (int64_t)60 * SECOND) {
        int64_t wait = pace_wait(&pace, 7, 700, now);
        if (wait == 0) {
            assert_int_equal(pace_charge(&pace, 7, 700, now), 0);
            sent += 700;
        }
        now += wait ? wait : 1;
    }
    assert_in_range(sent, 59000, 62000);
    pace_fini(&pace);
}

static void test_pace_forgets_full_buckets(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 1000, 1000);
    for (uint64_t origin = 0; origin < 10000; origin++)
        assert_int_equal(pace_charge(&pace, origin, 10, (int64_t)origin * SECOND), 0);
    assert_true(pace.room <= 64);
    pace_fini(&pace);
}

static void test_pace_of_rate_zero_never_waits(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 0, 0);
    assert_int_equal(pace_charge(&pace, 1, 1 << 30, 0), 0);
    assert_int_equal(pace_wait(&pace, 1, 1 << 30, 0), 0);
    pace_fini(&pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace_lets_a_burst_through_and_then_the_rate),
        cmocka_unit_test(test_pace_sends_what_is_larger_than_the_burst_from_a_full_bucket),
        cmocka_unit_test(test_pace_never_lets_more_than_rate_and_burst_through),
        cmocka_unit_test(test_pace_forgets_full_buckets),
        cmocka_unit_test(test_pace_of_rate_zero_never_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
