#include "gateway/fanout/stream_times.h"

#include "tests/unit/unit.h"

#define MINUTE (INT64_C(60) * 1000000000)

static struct stream_times times;

static int reset(void **state)
{
    (void)state;
    times = (struct stream_times){0};
    return 0;
}

static void test_stream_times_know_nothing_at_first(void **state)
{
    (void)state;
    assert_false(stream_times_is_in_use(&times, MINUTE));
    stream_times_post(&times, 1, 140 * MINUTE, MINUTE); /* what was not taken alone says nothing */
    assert_int_equal(stream_times_safe_from(&times, 1, MINUTE, 7), 7);
    stream_times_use(&times, MINUTE);
    assert_true(stream_times_is_in_use(&times, MINUTE));
    stream_times_take(&times, 1, 100 * MINUTE, 100 * MINUTE, MINUTE); /* it was under way meanwhile */
    assert_int_equal(stream_times_safe_from(&times, 1, MINUTE, 7), 110 * MINUTE);
}

static void test_stream_times_are_safe_from_what_was_taken(void **state)
{
    (void)state;
    stream_times_take(&times, 1, 100 * MINUTE, 110 * MINUTE, MINUTE);
    assert_true(stream_times_is_in_use(&times, MINUTE));
    assert_int_equal(stream_times_safe_from(&times, 1, MINUTE, 7), 100 * MINUTE);
    assert_int_equal(stream_times_safe_from(&times, 2, MINUTE, 7), 7);
    stream_times_take(&times, 1, 90 * MINUTE, 90 * MINUTE, 2 * MINUTE);
    assert_int_equal(stream_times_safe_from(&times, 1, 2 * MINUTE, 7), 90 * MINUTE);
}

static void test_stream_times_go_with_what_is_posted(void **state)
{
    (void)state;
    stream_times_take(&times, 1, 100 * MINUTE, 100 * MINUTE, MINUTE);
    stream_times_post(&times, 1, 140 * MINUTE, MINUTE);
    stream_times_post(&times, 1, 120 * MINUTE, MINUTE);
    assert_int_equal(stream_times_safe_from(&times, 1, MINUTE, 7), 110 * MINUTE);
    stream_times_take(&times, 1, 90 * MINUTE, 90 * MINUTE, MINUTE); /* the newer one is under way */
    assert_int_equal(stream_times_safe_from(&times, 1, MINUTE, 7), 110 * MINUTE);
}

static void test_stream_times_are_forgotten(void **state)
{
    (void)state;
    stream_times_take(&times, 1, 100 * MINUTE, 100 * MINUTE, MINUTE);
    assert_int_equal(stream_times_safe_from(&times, 1, 11 * MINUTE, 7), 100 * MINUTE);
    assert_int_equal(stream_times_safe_from(&times, 1, 11 * MINUTE + 1, 7), 7);
    assert_false(stream_times_is_in_use(&times, 11 * MINUTE + 1));
    uint64_t sets = STREAM_TIMES_MAX / STREAM_TIMES_WAYS; /* too many of one set: the oldest goes */
    for (uint64_t i = 0; i <= STREAM_TIMES_WAYS; i++)
        stream_times_take(&times, 5 + i * sets, MINUTE, MINUTE, 20 * MINUTE + (int64_t)i);
    assert_int_equal(stream_times_safe_from(&times, 5, 21 * MINUTE, 7), 7);
    assert_int_equal(stream_times_safe_from(&times, 5 + STREAM_TIMES_WAYS * sets, 21 * MINUTE, 7), MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stream_times_know_nothing_at_first, reset),
        cmocka_unit_test_setup(test_stream_times_are_safe_from_what_was_taken, reset),
        cmocka_unit_test_setup(test_stream_times_go_with_what_is_posted, reset),
        cmocka_unit_test_setup(test_stream_times_are_forgotten, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
