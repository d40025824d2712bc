#include "node-agent/logs/log_bulk.h"

#include "tests/unit/unit.h"

#define SECOND INT64_C(1000000000)
enum { LOUD = 1000 };

static void test_log_bulk_leaves_quiet_logs_together(void **state)
{
    struct log_bulks all = {.bytes = LOUD};
    struct log_bulk log = {0};
    (void)state;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD - 1, SECOND), LOG_BULK_READ);
    assert_false(log.is_bulk);
    all.bytes = 0;
    assert_int_equal(log_bulk_turn(&all, &log, UINT64_MAX, SECOND), LOG_BULK_READ);
    assert_false(log.is_bulk);
}

static void test_log_bulk_changes_only_when_everything_is_delivered(void **state)
{
    struct log_bulks all = {.bytes = LOUD};
    struct log_bulk log = {.is_in_flight = true};
    (void)state;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_WAIT);
    log_bulk_committed(&log, 7);
    all.delivered[true] = 7; /* the other origin's numbers say nothing */
    all.delivered[false] = 6;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_WAIT);
    all.delivered[false] = 7;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_READ);
    assert_true(log.is_bulk);
}

static void test_log_bulk_does_not_wait_for_ever(void **state)
{
    struct log_bulks all = {.bytes = LOUD};
    struct log_bulk log = {.last_seq = 1};
    (void)state;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_WAIT);
    int64_t end = SECOND + LOG_BULK_WAIT_NS;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, end), LOG_BULK_READ);
    assert_false(log.is_bulk);
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, end + LOG_BULK_REST_NS - 1), LOG_BULK_READ);
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, end + LOG_BULK_REST_NS), LOG_BULK_WAIT);
}

static void test_log_bulk_comes_back_when_it_has_been_calm(void **state)
{
    struct log_bulks all = {.bytes = LOUD};
    struct log_bulk log = {0};
    int64_t now = SECOND;
    (void)state;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, now), LOG_BULK_READ);
    assert_true(log.is_bulk);
    log_bulk_committed(&(struct log_bulk){0}, 1); /* not its batch */
    log.is_in_flight = true;
    log_bulk_committed(&log, 3);
    all.delivered[true] = 3;
    now += LOG_BULK_CALM_NS - 1;
    assert_int_equal(log_bulk_turn(&all, &log, 1, now), LOG_BULK_READ);
    assert_true(log.is_bulk);
    assert_int_equal(log_bulk_turn(&all, &log, LOUD / 4, now), LOG_BULK_READ); /* loud enough to stay */
    now += LOG_BULK_CALM_NS;
    assert_int_equal(log_bulk_turn(&all, &log, 1, now), LOG_BULK_READ);
    assert_false(log.is_bulk);
}

/* What an earlier boot left in the buffer may be of this log. */
static void test_log_bulk_waits_for_what_was_held_before(void **state)
{
    struct log_bulks all = {.bytes = LOUD, .held_before = {true, false}};
    struct log_bulk log = {.last_seq = 9, .is_clear = true};
    (void)state;
    log_bulk_forget(&log, false);
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_WAIT);
    all.held_before[false] = false;
    assert_int_equal(log_bulk_turn(&all, &log, LOUD, SECOND), LOG_BULK_READ);
    assert_true(log.is_bulk);
}

static void test_log_bulk_follows_the_container_before_it(void **state)
{
    struct log_bulks all = {.bytes = LOUD, .delivered = {0, 4}};
    struct log_bulk former = {.is_bulk = true, .last_seq = 5}, log = {0};
    (void)state;
    log_bulk_follow(&log, &former);
    assert_true(log.is_bulk);
    assert_int_equal(log_bulk_turn(&all, &log, 1, LOG_BULK_CALM_NS), LOG_BULK_WAIT);
    all.delivered[true] = 5;
    assert_int_equal(log_bulk_turn(&all, &log, 1, LOG_BULK_CALM_NS), LOG_BULK_READ);
    assert_false(log.is_bulk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_bulk_leaves_quiet_logs_together),
        cmocka_unit_test(test_log_bulk_changes_only_when_everything_is_delivered),
        cmocka_unit_test(test_log_bulk_does_not_wait_for_ever),
        cmocka_unit_test(test_log_bulk_comes_back_when_it_has_been_calm),
        cmocka_unit_test(test_log_bulk_waits_for_what_was_held_before),
        cmocka_unit_test(test_log_bulk_follows_the_container_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
