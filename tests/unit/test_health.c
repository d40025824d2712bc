/* A backend's health, and the origins that are isolated. */
#include <string.h>

#include "gateway/fanout/health.h"
#include "gateway/fanout/isolation.h"
#include "tests/unit/unit.h"

#define SECOND INT64_C(1000000000)

static void test_health_probes_ever_more_slowly_while_away(void **state)
{
    (void)state;
    struct health health;
    struct health_view view;
    health_init(&health, 7);
    assert_true(health_set_away(&health, "refused", 0, HEALTH_MOST_WAIT_MS, 0));
    assert_in_range(health.probe_ns, SECOND / 4, SECOND / 2);
    int64_t probe = health.probe_ns, wait = 0;
    assert_false(health_set_away(&health, "another of that time", 0, HEALTH_MOST_WAIT_MS, probe - 1));
    assert_int_equal(health.probe_ns, probe); /* one outage, one wait */
    for (int i = 0; i < 12; i++) {
        int64_t now = health.probe_ns;
        assert_false(health_set_away(&health, "still", 0, HEALTH_MOST_WAIT_MS, now));
        wait = health.probe_ns - now;
        assert_true(wait <= 30 * SECOND);
    }
    assert_true(wait >= 15 * SECOND);
    health_view(&health, &view);
    assert_true(view.away);
    assert_string_equal(view.last_error, "still");
    assert_true(health_set_answered(&health));
    assert_false(health_set_answered(&health));
    health_set_away(&health, "again", 0, HEALTH_MOST_WAIT_MS, 0);
    assert_true(health.probe_ns <= SECOND / 2); /* from the beginning */
    health_set_answered(&health);
    health_set_away(&health, "told", 5000, HEALTH_MOST_WAIT_MS, 0);
    assert_int_equal(health.probe_ns, 5 * SECOND);
    health_fini(&health);
}

static void test_health_shows_an_error_until_the_next_delivery(void **state)
{
    (void)state;
    struct health health;
    struct health_view view;
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    health_init(&health, 1);
    health_set_error(&health, longer);
    health_view(&health, &view);
    assert_int_equal(strlen(view.last_error), HEALTH_MAX_ERROR - 1);
    assert_int_equal(view.last_delivered_ns, 0);
    health_set_delivered(&health, 5, 77);
    health_view(&health, &view);
    assert_string_equal(view.last_error, "");
    assert_int_equal(view.last_delivered_ns, 77);
    health_fini(&health);
}

static void test_isolation_ends_after_its_time(void **state)
{
    (void)state;
    static struct isolation isolation;
    isolation_add(&isolation, 1, 0);
    isolation_add(&isolation, 2, 10 * SECOND);
    assert_true(isolation_has(&isolation, 1, 59 * SECOND));
    isolation_add(&isolation, 1, 59 * SECOND); /* refused again */
    assert_true(isolation_has(&isolation, 1, 100 * SECOND));
    assert_false(isolation_has(&isolation, 2, 70 * SECOND));
    assert_false(isolation_has(&isolation, 3, 0));
    assert_int_equal(isolation.count, 1);
}

static void test_isolation_rests_only_who_is_isolated(void **state)
{
    (void)state;
    static struct isolation isolation;
    isolation_add(&isolation, 1, 0);
    isolation_rest(&isolation, 1, 5 * SECOND);
    isolation_rest(&isolation, 2, 5 * SECOND);
    assert_int_equal(isolation_rests_until(&isolation, 1, SECOND), 5 * SECOND);
    assert_int_equal(isolation_rests_until(&isolation, 1, 5 * SECOND), 0);
    assert_int_equal(isolation_rests_until(&isolation, 2, SECOND), 0);
}

static void test_isolation_absolves_suspects_and_nobody_else(void **state)
{
    (void)state;
    static struct isolation isolation;
    isolation_suspect(&isolation, 1, 0);
    isolation_add(&isolation, 2, 0);
    isolation_suspect(&isolation, 2, 0);
    isolation_suspect(&isolation, 3, 0);
    isolation_add(&isolation, 3, 0); /* then it was refused */
    for (uint64_t origin = 1; origin <= 4; origin++)
        isolation_absolve(&isolation, origin);
    assert_false(isolation_has(&isolation, 1, SECOND));
    assert_true(isolation_has(&isolation, 2, SECOND));
    assert_true(isolation_has(&isolation, 3, SECOND));
}

static void test_isolation_holds_the_latest_of_too_many(void **state)
{
    (void)state;
    static struct isolation isolation;
    for (uint64_t origin = 1; origin <= ISOLATION_MAX + 10; origin++)
        isolation_add(&isolation, origin, (int64_t)origin);
    assert_int_equal(isolation.count, ISOLATION_MAX);
    assert_false(isolation_has(&isolation, 10, 0));
    assert_true(isolation_has(&isolation, 11, 0));
    assert_true(isolation_has(&isolation, ISOLATION_MAX + 10, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_probes_ever_more_slowly_while_away),
        cmocka_unit_test(test_health_shows_an_error_until_the_next_delivery),
        cmocka_unit_test(test_isolation_ends_after_its_time),
        cmocka_unit_test(test_isolation_rests_only_who_is_isolated),
        cmocka_unit_test(test_isolation_absolves_suspects_and_nobody_else),
        cmocka_unit_test(test_isolation_holds_the_latest_of_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
