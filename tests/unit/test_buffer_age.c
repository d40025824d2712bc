/* The quota of age: what waits for its backends for too long is dropped and counted, or makes the agents
 * wait. */
#include "tests/unit/buffer_fixture.h"

static bool is_age_settled(struct fixture *f, uint64_t dropped)
{
    struct buffer_ledger ledger = fixture_ledger(f, "one");
    return ledger.by_cause[BUFFER_DROPPED] == dropped;
}

static void test_batch_that_waits_too_long_is_dropped_and_counted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    struct buffer_append kept = fixture_append(&f, "node-a", 1, 1);
    fixture_deliver(&f, "one", buffer_slot("node-a"), kept.row_id, 10);
    fixture_close(&f);
    f.options.quota_age_ms = 300;
    f.options.when_full = BUFFER_DROP_OLDEST;
    fixture_reopen(&f);
    assert_int_equal(fixture_append(&f, "node-a", 1, 2).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_append(&f, "node-b", 1, 1).outcome, BUFFER_COMMITTED);
    for (int i = 0; i < 600 && !is_age_settled(&f, 20); i++)
        (void)poll(NULL, 0, 50);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_true(ledger.by_cause[BUFFER_DROPPED] == 20 && ledger.by_cause[BUFFER_DELIVERED] == 10);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(fixture_append(&f, "node-a", 1, 3).outcome, BUFFER_COMMITTED);
    fixture_fini(&f);
}

static void test_batch_that_waits_too_long_pushes_back_until_it_is_delivered(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t seq = 1;
    enum buffer_outcome outcome = BUFFER_COMMITTED;
    fixture_init(&f, 1);
    f.options.quota_age_ms = 300;
    f.options.when_full = BUFFER_PUSH_BACK;
    fixture_reopen(&f);
    struct buffer_append first = fixture_append(&f, "node-a", 1, seq++), last = first;
    for (int i = 0; i < 600 && outcome == BUFFER_COMMITTED; i++) {
        (void)poll(NULL, 0, 50);
        struct buffer_append a = fixture_append(&f, "node-a", 1, seq);
        outcome = a.outcome;
        last = outcome == BUFFER_COMMITTED ? a : last;
        seq += outcome == BUFFER_COMMITTED;
    }
    assert_int_equal(outcome, BUFFER_FULL);
    fixture_deliver(&f, "one", buffer_slot("node-a"), last.row_id, 10 * (seq - 1));
    for (int i = 0; i < 600 && outcome != BUFFER_COMMITTED; i++) {
        (void)poll(NULL, 0, 50);
        outcome = fixture_append(&f, "node-a", 1, seq).outcome;
    }
    assert_int_equal(outcome, BUFFER_COMMITTED);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.by_cause[BUFFER_DROPPED], 0);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_that_waits_too_long_is_dropped_and_counted),
        cmocka_unit_test(test_batch_that_waits_too_long_pushes_back_until_it_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
