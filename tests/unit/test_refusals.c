/* What an operator does about kept refused records, and what the ledger says of it. */
#include "tests/unit/buffer_fixture.h"

struct changed {
    struct buffer_refusal_change change;
    bool is_done;
};

static void on_changed(struct letter *letter)
{
    ((struct changed *)letter)->is_done = true;
}

static int change(struct fixture *f, struct buffer_refusal_change wanted)
{
    struct changed c = {.change = wanted};
    c.change.letter.open = on_changed;
    c.change.reply_to = &f->box;
    buffer_change_refusal(f->buffer, &c.change);
    fixture_wait(f, &c.is_done);
    return c.change.error;
}

/* Two backends; the first refuses two records of ten of each of two origins. */
static void setup(struct fixture *f)
{
    static const char *const origins[] = {"node-a", "node-b"};
    fixture_setup(f, 2);
    for (size_t i = 0; i < 2; i++) {
        struct buffer_append a = fixture_append(f, origins[i], 1, 1);
        struct buffer_refused refused = {.row_id = a.row_id,
                                         .origin = origins[i],
                                         .cause = i ? BUFFER_OVERTAKEN : BUFFER_REFUSED,
                                         .status = 400,
                                         .words = "no",
                                         .format = FORMAT_LOKI_PUSH,
                                         .records = 2,
                                         .payload = bytes_of_string("two records")};
        struct buffer_moved moved = {buffer_slot(origins[i]), a.row_id};
        struct buffer_settlement s = {
            .backend = "one", .moved = &moved, .moved_count = 1, .refused = &refused, .refused_count = 1};
        s.counts[BUFFER_DELIVERED] = 8;
        s.counts[refused.cause] = 2;
        assert_int_equal(fixture_settle(f, s), 0);
    }
}

static size_t count(struct fixture *f, struct buffer_refusal_filter filter, struct buffer_refusal *last)
{
    struct buffer_reader *reader;
    size_t found = 0;
    assert_int_equal(buffer_reader_open(f->buffer, NULL, &reader), 0);
    for (int64_t after = 0; buffer_reader_refusal(reader, &filter, after, last) == 0; after = last->id)
        found++;
    buffer_reader_close(reader);
    return found;
}

static void test_refusals_are_found_by_every_filter(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_refusal last;
    setup(&f);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = -1}, &last), 2);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = -1, .backend = "one"}, &last), 2);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = -1, .backend = "two"}, &last), 0);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = BUFFER_OVERTAKEN}, &last), 1);
    assert_string_equal(last.origin, "node-b");
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = -1, .origin = "node-a"}, &last), 1);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = -1, .id = last.id}, &last), 1);
    assert_true(last.records == 2 && last.status == 400 && last.cause == BUFFER_REFUSED);
    assert_string_equal(last.words, "no");
    assert_string_equal(last.backend, "one");
    fixture_fini(&f);
}

static void test_refusal_that_is_taken_later_counts_as_delivered(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_refusal last;
    setup(&f);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = BUFFER_REFUSED}, &last), 1);
    struct buffer_refusal_change part = {.id = last.id,
                                         .delivered = 1,
                                         .left_records = 1,
                                         .left = bytes_of_string("one"),
                                         .status = 422,
                                         .words = "still no"};
    assert_int_equal(change(&f, part), 0);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 17);
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 1);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(count(&f, (struct buffer_refusal_filter){.cause = BUFFER_REFUSED}, &last), 1);
    assert_true(last.records == 1 && last.status == 422);
    assert_int_equal(fixture_query(&f, "SELECT length(payload) FROM refusal WHERE cause = 2"), 3);
    assert_int_equal(change(&f, (struct buffer_refusal_change){.id = last.id, .delivered = 1}), 0);
    ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 0);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    assert_int_equal(change(&f, (struct buffer_refusal_change){.id = last.id, .delivered = 1}), -ENOENT);
    fixture_close(&f);
    fixture_reopen(&f);
    ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.by_cause[BUFFER_DELIVERED], 18);
    fixture_fini(&f);
}

static void test_refusal_that_is_dropped_stays_counted(void **state)
{
    (void)state;
    struct fixture f;
    struct buffer_refusal last;
    struct buffer_state now;
    setup(&f);
    while (count(&f, (struct buffer_refusal_filter){.cause = -1}, &last) > 0)
        assert_int_equal(change(&f, (struct buffer_refusal_change){.id = last.id}), 0);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.by_cause[BUFFER_REFUSED], 2);
    assert_int_equal(ledger.by_cause[BUFFER_OVERTAKEN], 2);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    buffer_get_state(f.buffer, &now);
    assert_int_equal(now.refused_bytes, 0);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_are_found_by_every_filter),
        cmocka_unit_test(test_refusal_that_is_taken_later_counts_as_delivered),
        cmocka_unit_test(test_refusal_that_is_dropped_stays_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
