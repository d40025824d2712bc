/* Which rows are of agents that have been at this gateway since. */
#include "gateway/fanout/homes.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static struct buffer_row row(const char *origin, int64_t committed_at_ns)
{
    struct buffer_row row = {.committed_at_ns = committed_at_ns};
    snprintf(row.origin, sizeof row.origin, "%s", origin);
    return row;
}

static bool have(struct homes *homes, const char *origin, int64_t committed_at_ns)
{
    const struct buffer_row asked = row(origin, committed_at_ns);
    return homes_have(homes, &asked);
}

static void set(struct homes *homes, const struct home *items, size_t count)
{
    struct home *copy = calloc(count + 1, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, items, count * sizeof *copy);
    homes_set(homes, copy, count);
}

static void test_homes_have_what_an_agent_sent_since_it_came(void **state)
{
    (void)state;
    struct homes homes;
    homes_init(&homes);
    assert_false(have(&homes, "node-a", 100));
    set(&homes, (const struct home[]){{"node-c", 50}, {"node-a", 100}, {"node-b", 0}}, 3);
    assert_false(have(&homes, "node-a", 99));
    assert_true(have(&homes, "node-a", 100));
    assert_true(have(&homes, "node-b", 1)); /* it knows of no other gateway */
    assert_true(have(&homes, "node-c", 50));
    assert_false(have(&homes, "node-d", 1000));
    set(&homes, (const struct home[]){{"node-d", 1}}, 1);
    assert_false(have(&homes, "node-a", 100));
    assert_true(have(&homes, "node-d", 1000));
    homes_set(&homes, NULL, 0);
    assert_false(have(&homes, "node-d", 1000));
    homes_fini(&homes);
}

static void test_homes_know_an_agents_loud_logs_and_not_what_was_handed_over(void **state)
{
    (void)state;
    struct homes homes;
    char bulk[BATCH_MAX_ORIGIN + 1];
    homes_init(&homes);
    set(&homes, (const struct home[]){{"node-a", 100}}, 1);
    batch_name_bulk("node-a", bulk);
    assert_true(have(&homes, bulk, 100));
    assert_false(have(&homes, bulk, 99));
    struct buffer_row handed_over = row("node-a", 100);
    handed_over.handed_over = true;
    assert_false(homes_have(&homes, &handed_over));
    homes_fini(&homes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_homes_have_what_an_agent_sent_since_it_came),
        cmocka_unit_test(test_homes_know_an_agents_loud_logs_and_not_what_was_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
