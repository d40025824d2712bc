/* The buffer's promises to receive and fan-out, one test a claim. */
#include "tests/unit/buffer_fixture.h"

static void test_buffer_recognises_repeats_and_fills_gaps(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    assert_int_equal(fixture_append(&f, "node", 1, 1).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_append(&f, "node", 1, 2).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_append(&f, "node", 1, 5).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_append(&f, "node", 1, 2).outcome, BUFFER_REPEATED);
    assert_int_equal(fixture_append(&f, "node", 1, 4).outcome,
                     BUFFER_COMMITTED); /* a gap is never a repeat */
    assert_int_equal(fixture_append(&f, "node", 1, 3).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM number"), 1);
    assert_int_equal(fixture_append(&f, "node", 2, 1).outcome, BUFFER_COMMITTED); /* another boot */
    assert_int_equal(fixture_append(&f, "peer", 1, 1).outcome, BUFFER_COMMITTED); /* another origin */
    fixture_close(&f);
    fixture_reopen(&f);
    for (uint64_t seq = 1; seq <= 5; seq++)
        assert_int_equal(fixture_append(&f, "node", 1, seq).outcome, BUFFER_REPEATED);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM pending"), 7);
    fixture_fini(&f);
}

static struct buffer_append append_in_order(struct fixture *f, uint64_t boot, uint64_t seq)
{
    struct fixture_append a = {.append = {.letter.open = fixture_on_append,
                                          .reply_to = &f->box,
                                          .batch = fixture_batch("node", boot, seq, 1000),
                                          .is_in_order = true}};
    buffer_append(f->buffer, &a.append);
    fixture_wait(f, &a.is_done);
    batch_free(a.append.batch);
    return a.append;
}

static void test_buffer_leaves_out_what_comes_after_its_successors(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    assert_int_equal(append_in_order(&f, 1, 4).outcome, BUFFER_COMMITTED);
    assert_int_equal(append_in_order(&f, 1, 9).outcome, BUFFER_COMMITTED);
    assert_int_equal(append_in_order(&f, 1, 9).outcome, BUFFER_REPEATED);
    assert_int_equal(append_in_order(&f, 1, 5).outcome, BUFFER_LATE); /* 5 to 8 went to another gateway */
    assert_int_equal(fixture_append(&f, "node", 1, 6).outcome, BUFFER_COMMITTED); /* handed over by it */
    assert_int_equal(append_in_order(&f, 2, 1).outcome, BUFFER_COMMITTED);        /* another boot */
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(append_in_order(&f, 1, 8).outcome, BUFFER_LATE);
    assert_int_equal(append_in_order(&f, 1, 10).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM pending"), 5);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_int_equal(ledger.accepted, 50);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_fini(&f);
}

static void test_buffer_keeps_the_numbers_of_the_newest_eight_boots(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 0);
    for (uint64_t boot = 1; boot <= 9; boot++)
        fixture_append(&f, "node", boot, 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM boot"), 8);
    assert_int_equal(fixture_append(&f, "node", 2, 1).outcome, BUFFER_REPEATED);
    assert_int_equal(fixture_append(&f, "node", 1, 1).outcome,
                     BUFFER_COMMITTED); /* forgotten, and older than all */
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM boot"), 8);
    fixture_fini(&f);
}

static void test_buffer_returns_what_was_put_in(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    static const size_t sizes[] = {0, 1, 1000, 16384, 200000, 3000000};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(fixture_append_batch(&f, fixture_batch("node", 1, i + 1, sizes[i])).outcome,
                         BUFFER_COMMITTED);
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buf payload;
    buf_init(&payload, 8 << 20);
    assert_int_equal(buffer_reader_open(f.buffer, "one", &reader), 0);
    for (size_t i = 0; i < 6; i++) {
        struct batch *expected = fixture_batch("node", 1, i + 1, sizes[i]);
        assert_int_equal(buffer_reader_next(reader, buffer_slot("node"), row.id, &row), 0);
        assert_string_equal(row.origin, "node");
        assert_int_equal(row.seq, i + 1);
        assert_int_equal(row.boot.id, 1);
        assert_int_equal(row.boot.started_ns, 1000);
        assert_int_equal(row.records, 10);
        assert_int_equal(row.raw_bytes, sizes[i] * 3);
        assert_int_equal(row.payload_bytes, sizes[i]);
        assert_int_equal(row.crc, expected->crc);
        assert_int_equal(row.format, FORMAT_LOKI_PUSH);
        buf_clear(&payload);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), 0);
        assert_true(bytes_equal(buf_bytes(&payload), expected->payload));
        batch_free(expected);
    }
    assert_int_equal(buffer_reader_next(reader, -1, row.id, &row), -ENOENT);
    assert_int_equal(buffer_newest(f.buffer, buffer_slot("node")), row.id);
    assert_int_equal(buffer_reader_payload(reader, 999, &payload), -ENOENT);
    buffer_reader_close(reader);
    buf_fini(&payload);
    fixture_fini(&f);
}

static void test_buffer_resumes_from_committed_ends(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    struct batch *batch = fixture_batch("node", 1, 1, 100);
    assert_int_equal(batch_add_source(batch, "a", 0, 500), 0);
    assert_int_equal(batch_add_source(batch, "b", 0, 70), 0);
    fixture_append_batch(&f, batch);
    batch = fixture_batch("node", 1, 2, 100);
    batch_add_source(batch, "a", 500, 900);
    fixture_append_batch(&f, batch);
    batch = fixture_batch("node", 1, 3, 100);
    batch_add_source(batch, "b", 20, 60); /* an end never goes back */
    fixture_append_batch(&f, batch);
    batch = fixture_batch("node", 1, 9, 100);
    batch->handed_over = true;
    batch_add_source(batch, "c", 0, 5); /* of a hand-over: not kept */
    fixture_append_batch(&f, batch);
    fixture_close(&f);
    fixture_reopen(&f);
    struct buffer_resume resume = fixture_resume(&f, "node", 2, NULL);
    assert_int_equal(resume.error, 0);
    assert_int_equal(resume.end_count, 2);
    assert_int_equal(fixture_end_of(&resume, "a"), 900);
    assert_int_equal(fixture_end_of(&resume, "b"), 70);
    fixture_free_ends(&resume);
    resume = fixture_resume(&f, "stranger", 1, NULL);
    assert_int_equal(resume.end_count, 0);
    fixture_free_ends(&resume);
    fixture_fini(&f);
}

static uint64_t delivered(struct fixture *f, const char *origin, uint64_t boot)
{
    struct buffer_resume resume = fixture_resume(f, origin, boot, NULL);
    fixture_free_ends(&resume);
    return resume.standing.delivered_seq;
}

static void test_buffer_delivered_seq_waits_for_every_backend(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 2);
    int slot = buffer_slot("node");
    int64_t rows[4];
    for (int i = 0; i < 4; i++)
        rows[i] = fixture_append(&f, "node", 1, (uint64_t)i + 1).row_id;
    assert_int_equal(delivered(&f, "node", 1), 0);
    fixture_deliver(&f, "one", slot, rows[2], 30);
    assert_int_equal(delivered(&f, "node", 1), 0);
    fixture_deliver(&f, "two", slot, rows[1], 20);
    assert_int_equal(delivered(&f, "node", 1), 2);
    struct buffer_append repeat = fixture_append(&f, "node", 1, 4);
    assert_int_equal(repeat.outcome, BUFFER_REPEATED);
    assert_int_equal(repeat.standing.delivered_seq, 2);
    assert_true(repeat.standing.holds_undelivered);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(delivered(&f, "node", 1), 2);
    fixture_deliver(&f, "two", slot, rows[3], 20);
    fixture_deliver(&f, "one", slot, rows[3], 10);
    assert_int_equal(delivered(&f, "node", 1), 4);
    struct buffer_append last = fixture_append(&f, "node", 1, 5);
    assert_false(last.standing.holds_undelivered); /* nothing besides itself */
    assert_int_equal(last.standing.delivered_seq, 4);
    fixture_fini(&f);
}

static void test_buffer_delivered_seq_outlives_the_rows(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.retention_ms = 0;
    fixture_reopen(&f);
    int64_t row = 0;
    for (uint64_t seq = 1; seq <= 3; seq++)
        row = fixture_append(&f, "node", 7, seq).row_id;
    fixture_deliver(&f, "one", buffer_slot("node"), row, 30);
    struct buffer_state s;
    do
        buffer_get_state(f.buffer, &s);
    while (s.rows > 0 && usleep(10000) == 0);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM batch"), 0);
    assert_int_equal(delivered(&f, "node", 7), 3);
    assert_int_equal(fixture_append(&f, "node", 7, 2).outcome, BUFFER_REPEATED);
    assert_true(fixture_append(&f, "node", 7, 4).row_id > row); /* a row id is never used again */
    fixture_fini(&f);
}

static void test_buffer_without_backends_counts_committed_as_delivered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 0);
    struct buffer_append a = fixture_append(&f, "node", 1, 1);
    assert_int_equal(a.standing.delivered_seq, 1);
    assert_false(a.standing.holds_undelivered);
    fixture_fini(&f);
}

static void test_buffer_slots_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    assert_int_not_equal(buffer_slot("node"), buffer_slot("peer"));
    fixture_append(&f, "node", 1, 1);
    int64_t row = fixture_append(&f, "peer", 1, 1).row_id;
    fixture_deliver(&f, "one", buffer_slot("peer"), row, 10);
    assert_int_equal(delivered(&f, "peer", 1), 1);
    assert_int_equal(delivered(&f, "node", 1), 0);
    assert_int_equal(fixture_owed(&f, "one", "peer"), 0);
    assert_int_equal(fixture_owed(&f, "one", "node"), 1);
    fixture_fini(&f);
}

static void test_buffer_new_backend_starts_at_the_oldest_only_when_it_is_the_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 0);
    fixture_append(&f, "node", 1, 1);
    fixture_append(&f, "node", 1, 2);
    fixture_close(&f);
    f.options.backend_count = 1;
    fixture_reopen(&f);
    assert_int_equal(fixture_owed(&f, "one", "node"), 2);
    assert_int_equal(fixture_ledger(&f, "one").accepted, 20);
    struct buffer_resume resume = fixture_resume(&f, "node", 1, NULL);
    fixture_free_ends(&resume);
    assert_true(resume.standing.holds_undelivered);
    fixture_close(&f);
    f.options.backend_count = 2;
    fixture_reopen(&f);
    assert_int_equal(fixture_owed(&f, "two", "node"), 0);
    fixture_append(&f, "node", 1, 3);
    assert_int_equal(fixture_owed(&f, "one", "node"), 3);
    assert_int_equal(fixture_owed(&f, "two", "node"), 1);
    struct buffer_ledger ledger = fixture_ledger(&f, "two");
    assert_int_equal(ledger.accepted, 10);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_fini(&f);
}

static void test_buffer_backend_that_was_away_goes_on_at_its_cursor(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 2);
    int64_t row = fixture_append(&f, "node", 1, 1).row_id;
    fixture_append(&f, "node", 1, 2);
    fixture_deliver(&f, "two", buffer_slot("node"), row, 10);
    fixture_close(&f);
    f.options.backend_count = 1;
    fixture_reopen(&f);
    assert_int_equal(delivered(&f, "node", 1), 0);
    fixture_append(&f, "node", 1, 3);
    fixture_deliver(&f, "one", buffer_slot("node"), row + 2, 30);
    assert_int_equal(delivered(&f, "node", 1), 3); /* who is not configured is not waited for */
    fixture_close(&f);
    f.options.backend_count = 2;
    fixture_reopen(&f);
    assert_int_equal(fixture_owed(&f, "two", "node"), 2);
    struct buffer_ledger ledger = fixture_ledger(&f, "two");
    assert_int_equal(ledger.accepted, 30);
    assert_int_equal(fixture_imbalance(&ledger), 0);
    fixture_fini(&f);
}

static void test_buffer_hand_over_settles_but_does_not_deliver(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 2);
    int slot = buffer_slot("node");
    int64_t first = fixture_append(&f, "node", 1, 1).row_id;
    int64_t second = fixture_append(&f, "node", 1, 2).row_id;
    fixture_deliver(&f, "one", slot, first, 10);
    fixture_deliver(&f, "two", slot, first, 10);
    fixture_deliver(&f, "one", slot, second, 10);
    assert_int_equal(fixture_hand_over(&f, second), 0);
    assert_int_equal(fixture_hand_over(&f, 12345), -ENOENT);
    assert_int_equal(fixture_owed(&f, "two", "node"), 0);
    assert_int_equal(delivered(&f, "node", 1), 1);
    struct buffer_ledger one = fixture_ledger(&f, "one"), two = fixture_ledger(&f, "two");
    assert_int_equal(one.by_cause[BUFFER_HANDED_OVER], 0); /* it was owed to two only */
    assert_int_equal(two.by_cause[BUFFER_HANDED_OVER], 10);
    assert_int_equal(fixture_imbalance(&one), 0);
    assert_int_equal(fixture_imbalance(&two), 0);
    int64_t third = fixture_append(&f, "node", 1, 3).row_id;
    fixture_deliver(&f, "one", slot, third, 10);
    fixture_deliver(&f, "two", slot, third, 10);
    assert_int_equal(delivered(&f, "node", 1), 1);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(delivered(&f, "node", 1), 1);
    /* it comes back having read again what was not delivered: nothing is held any more */
    struct buffer_resume resume = fixture_resume(&f, "node", 1, "another buffer");
    fixture_free_ends(&resume);
    int64_t fourth = fixture_append(&f, "node", 1, 4).row_id;
    fixture_deliver(&f, "one", slot, fourth, 10);
    fixture_deliver(&f, "two", slot, fourth, 10);
    assert_int_equal(delivered(&f, "node", 1), 4);
    fixture_fini(&f);
}

static void test_buffer_row_handed_over_and_returned_is_owed_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    int64_t row = fixture_append(&f, "node", 1, 1).row_id;
    assert_int_equal(fixture_hand_over(&f, row), 0);
    struct batch *batch = fixture_batch("node", 1, 1, 1000);
    batch->handed_over = true;
    batch_add_owed(batch, "one");
    assert_int_equal(fixture_append_batch(&f, batch).outcome, BUFFER_COMMITTED);
    assert_int_equal(fixture_owed(&f, "one", "node"), 1);
    fixture_fini(&f);
}

static void test_buffer_handed_over_row_is_owed_to_the_named_backends_only(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 3);
    struct batch *batch = fixture_batch("node", 1, 1, 100);
    batch->handed_over = true;
    batch_add_owed(batch, "two");
    batch_add_owed(batch, "nobody here");
    int64_t row = fixture_append_batch(&f, batch).row_id;
    assert_int_equal(fixture_owed(&f, "one", "node"), 0);
    assert_int_equal(fixture_owed(&f, "two", "node"), 1);
    assert_int_equal(fixture_owed(&f, "three", "node"), 0);
    assert_int_equal(fixture_ledger(&f, "one").accepted, 0);
    assert_int_equal(fixture_ledger(&f, "two").accepted, 10);
    assert_int_equal(delivered(&f, "node", 1), 0);
    fixture_deliver(&f, "two", buffer_slot("node"), row, 10);
    assert_int_equal(delivered(&f, "node", 1), 1); /* the others owe it nothing */
    fixture_fini(&f);
}

static void test_buffer_knows_rows_that_go_back_in_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    static const int64_t times[][2] = {{100, 200}, {200, 300}, {299, 310}, {310, 320}};
    static const bool expected[] = {false, false, true, false};
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    for (size_t i = 0; i < 4; i++) {
        struct batch *batch = fixture_batch("node", 1, i + 1, 10);
        batch->earliest_ns = times[i][0];
        batch->latest_ns = times[i][1];
        fixture_append_batch(&f, batch);
        if (i == 1) {
            fixture_close(&f);
            fixture_reopen(&f);
        }
    }
    assert_int_equal(buffer_reader_open(f.buffer, "one", &reader), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(buffer_reader_next(reader, -1, row.id, &row), 0);
        assert_int_equal(row.goes_back, expected[i]);
    }
    buffer_reader_close(reader);
    fixture_fini(&f);
}

static void test_buffer_keeps_postings_beside_the_cursor(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    struct buffer_settlement s = {.backend = "one", .posting_key = 4, .posting = bytes_of_string("note")};
    assert_int_equal(fixture_settle(&f, s), 0);
    s.posting = bytes_of_string("another");
    assert_int_equal(fixture_settle(&f, s), 0);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM posting WHERE note = CAST('another' AS BLOB)"),
                     1);
    s.posting = (struct bytes){0};
    assert_int_equal(fixture_settle(&f, s), 0);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM posting"), 0);
    s.backend = "nobody here";
    assert_int_equal(fixture_settle(&f, s), -ENOENT);
    struct buffer_moved wrong = {BUFFER_SLOTS, 1}, ahead = {0, 1};
    s = (struct buffer_settlement){.backend = "one", .moved = &wrong, .moved_count = 1};
    assert_int_equal(fixture_settle(&f, s), -EINVAL);
    s.moved = &ahead; /* a row that was never committed would swallow one that comes later */
    assert_int_equal(fixture_settle(&f, s), -EINVAL);
    fixture_fini(&f);
}

static void collect_note(void *ctx, int64_t key, struct bytes note)
{
    int64_t *sum = ctx;
    *sum += key * (int64_t)note.len;
}

static void test_buffer_postings_survive_a_restart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 2);
    struct buffer_settlement s = {.backend = "one", .posting_key = 5, .posting = bytes_of_string("12")};
    fixture_settle(&f, s);
    s.posting_key = 100;
    s.posting = bytes_of_string("123");
    fixture_settle(&f, s);
    s.backend = "two";
    fixture_settle(&f, s);
    fixture_close(&f);
    fixture_reopen(&f);
    struct buffer_reader *reader;
    int64_t sum = 0;
    assert_int_equal(buffer_reader_open(f.buffer, "one", &reader), 0);
    assert_int_equal(buffer_reader_postings(reader, collect_note, &sum), 0);
    assert_int_equal(sum, 310);
    buffer_reader_close(reader);
    fixture_fini(&f);
}

static void test_buffer_keeps_refused_records_within_bounds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.quota_bytes = 32 << 20; /* 2 MiB of it for refused records */
    fixture_reopen(&f);
    static uint8_t payload[300000];
    struct buffer_refused refused = {.row_id = 1,
                                     .origin = "node",
                                     .cause = BUFFER_REFUSED,
                                     .status = 400,
                                     .words = "out of order sample",
                                     .format = FORMAT_REMOTE_WRITE_1,
                                     .records = 1,
                                     .payload = {payload, sizeof payload}};
    struct buffer_settlement s = {.backend = "one", .refused = &refused, .refused_count = 1};
    for (int i = 0; i < 10; i++)
        assert_int_equal(fixture_settle(&f, s), 0);
    struct buffer_state st;
    buffer_get_state(f.buffer, &st);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM refused WHERE words = 'out of order sample'"),
                     6);
    assert_int_equal(fixture_query(&f, "SELECT min(id) FROM refused"), 5);
    assert_int_equal(st.refused_forgotten, 4);
    assert_true(st.refused_bytes <= 2 << 20);
    fixture_close(&f);
    fixture_reopen(&f);
    assert_int_equal(fixture_settle(&f, s), 0);
    buffer_get_state(f.buffer, &st);
    assert_int_equal(st.refused_forgotten, 5);
    fixture_fini(&f);
}

static void test_buffer_names_what_a_damaged_wal_lost(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 1);
    fixture_append(&f, "node", 1, 1);
    struct buffer_resume resume = fixture_resume(&f, "node", 1, buffer_id(f.buffer));
    fixture_free_ends(&resume);
    struct batch *batch = fixture_batch("node", 1, 5, 10);
    batch->acknowledged_seq = 4; /* by this buffer, it says: 2, 3 and 4 are gone */
    assert_int_equal(fixture_append_batch(&f, batch).standing.missing_seqs, 3);
    batch = fixture_batch("node", 1, 6, 10);
    batch->acknowledged_seq = 5;
    assert_int_equal(fixture_append_batch(&f, batch).standing.missing_seqs, 0);
    resume = fixture_resume(&f, "node", 1, "another buffer");
    fixture_free_ends(&resume);
    batch = fixture_batch("node", 1, 20, 10);
    batch->acknowledged_seq = 19; /* by the other one */
    assert_int_equal(fixture_append_batch(&f, batch).standing.missing_seqs, 0);
    fixture_fini(&f);
}

static void test_buffer_views_are_readable_while_it_runs(void **state)
{
    (void)state;
    struct fixture f;
    fixture_setup(&f, 2);
    int64_t row = fixture_append(&f, "node", 1, 1).row_id;
    fixture_append(&f, "node", 1, 2);
    fixture_deliver(&f, "one", buffer_slot("node"), row, 10);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM pending WHERE backend = 'one' AND seq = 2"), 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM pending WHERE backend = 'two'"), 2);
    assert_int_equal(
        fixture_query(&f, "SELECT count(*) FROM delivered WHERE backend = 'one' AND origin = 'node'"), 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM cursors"), 2 * BUFFER_SLOTS);
    assert_int_equal(fixture_query(&f, "SELECT max(row_id) FROM cursors WHERE backend = 'one'"), row);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM origins WHERE committed_seqs = '1-2'"), 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM refused"), 0);
    fixture_fini(&f);
}

static void wait_for_rows(struct fixture *f, int64_t count)
{
    struct buffer_state s;
    do
        buffer_get_state(f->buffer, &s);
    while (s.rows != count && usleep(10000) == 0);
}

static void test_buffer_keeps_delivered_rows_for_the_retention(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.retention_ms = 2000;
    fixture_reopen(&f);
    int64_t row = fixture_append(&f, "node", 1, 1).row_id;
    fixture_append(&f, "node", 1, 2);
    fixture_append(&f, "peer", 1, 1);
    int64_t delivered_at = clock_mono_ns();
    fixture_deliver(&f, "one", buffer_slot("node"), row, 10);
    wait_for_rows(&f, 2);
    assert_true(clock_mono_ns() - delivered_at >= INT64_C(2000000000));
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM batch WHERE seq = 1 AND origin = 'node'"), 0);
    assert_int_equal(fixture_owed(&f, "one", "node"), 1); /* what is owed stays, however old */
    fixture_fini(&f);
}

static void test_buffer_keeps_a_bounded_number_of_ends(void **state)
{
    (void)state;
    enum { BATCHES = 17 };
    struct fixture f;
    char name[32];
    fixture_setup(&f, 1);
    for (int i = 0; i < BATCHES; i++) {
        struct batch *batch = fixture_batch("node", 1, (uint64_t)i + 1, 10);
        for (int k = 0; k < BATCH_MAX_SOURCES; k++) {
            snprintf(name, sizeof name, "file-%d-%d", i, k);
            assert_int_equal(batch_add_source(batch, name, 0, 7), 0);
        }
        assert_int_equal(fixture_append_batch(&f, batch).outcome, BUFFER_COMMITTED);
    }
    struct buffer_resume resume = fixture_resume(&f, "node", 1, NULL);
    assert_true(resume.end_count <= 65536);
    assert_true(resume.end_count > 60000);
    fixture_free_ends(&resume);
    fixture_fini(&f);
}

static void test_buffer_forgets_ends_and_origins_of_last_month(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.retention_ms = 0;
    fixture_reopen(&f);
    static const char *const names[] = {"gone", "here"};
    for (int i = 0; i < 2; i++) {
        struct batch *batch = fixture_batch(names[i], 1, 1, 10);
        batch_add_source(batch, "old file", 0, 7);
        batch_add_source(batch, "new file", 0, 7);
        int64_t row = fixture_append_batch(&f, batch).row_id;
        fixture_deliver(&f, "one", buffer_slot(names[i]), row, 10);
    }
    wait_for_rows(&f, 0);
    fixture_close(&f);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "UPDATE file_end SET touched = touched - 31 * 86400 * 1000000000 WHERE file = 'old "
                     "file'; UPDATE origin SET seen = seen - 31 * 86400 * 1000000000 WHERE name = 'gone'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    fixture_reopen(&f);
    while (fixture_query(&f, "SELECT count(*) FROM file_end") != 1)
        usleep(10000);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM origin WHERE name = 'here'"), 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM origin"), 1);
    assert_int_equal(fixture_query(&f, "SELECT count(*) FROM number"), 1);
    assert_int_equal(fixture_append(&f, "here", 1, 1).outcome, BUFFER_REPEATED);
    assert_int_equal(fixture_append(&f, "gone", 1, 1).outcome, BUFFER_COMMITTED);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_recognises_repeats_and_fills_gaps),
        cmocka_unit_test(test_buffer_leaves_out_what_comes_after_its_successors),
        cmocka_unit_test(test_buffer_keeps_the_numbers_of_the_newest_eight_boots),
        cmocka_unit_test(test_buffer_returns_what_was_put_in),
        cmocka_unit_test(test_buffer_resumes_from_committed_ends),
        cmocka_unit_test(test_buffer_delivered_seq_waits_for_every_backend),
        cmocka_unit_test(test_buffer_delivered_seq_outlives_the_rows),
        cmocka_unit_test(test_buffer_without_backends_counts_committed_as_delivered),
        cmocka_unit_test(test_buffer_slots_do_not_wait_for_each_other),
        cmocka_unit_test(test_buffer_new_backend_starts_at_the_oldest_only_when_it_is_the_first),
        cmocka_unit_test(test_buffer_backend_that_was_away_goes_on_at_its_cursor),
        cmocka_unit_test(test_buffer_hand_over_settles_but_does_not_deliver),
        cmocka_unit_test(test_buffer_row_handed_over_and_returned_is_owed_again),
        cmocka_unit_test(test_buffer_handed_over_row_is_owed_to_the_named_backends_only),
        cmocka_unit_test(test_buffer_knows_rows_that_go_back_in_time),
        cmocka_unit_test(test_buffer_keeps_postings_beside_the_cursor),
        cmocka_unit_test(test_buffer_postings_survive_a_restart),
        cmocka_unit_test(test_buffer_keeps_refused_records_within_bounds),
        cmocka_unit_test(test_buffer_names_what_a_damaged_wal_lost),
        cmocka_unit_test(test_buffer_keeps_delivered_rows_for_the_retention),
        cmocka_unit_test(test_buffer_keeps_a_bounded_number_of_ends),
        cmocka_unit_test(test_buffer_forgets_ends_and_origins_of_last_month),
        cmocka_unit_test(test_buffer_views_are_readable_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
