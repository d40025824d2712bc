/* What an agent refuses: it waits bounded, travels with a batch, and is kept once in the gateway's buffer. */
#include "tests/unit/buffer_fixture.h"

#include <stdlib.h>

#include "base/buffer/buffer_schema.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/refusals.h"
#include "proto/wire.h"

static void refuse(struct refusals *r, const char *words)
{
    const struct refusal one = {words, "pod shop/cart/app file /0.log offset 7", FORMAT_LOKI_PUSH,
                                bytes_of_string("payload")};
    refusals_add(r, TELEMETRY_LOGS, &one);
}

static struct refusals *some_refusals(struct stats **ret_stats)
{
    struct refusals *r;
    *ret_stats = agent_metrics_new();
    assert_int_equal(refusals_new(*ret_stats, &r), 0);
    return r;
}

static void test_what_is_past_the_bounds_is_told_as_a_number(void **state)
{
    (void)state;
    struct stats *stats;
    struct refusals *r = some_refusals(&stats);
    uint64_t told = 0, summed = 0;
    for (int i = 0; i < 5000; i++)
        refuse(r, "bad");
    while (refusals_waiting(r, TELEMETRY_LOGS)) {
        struct batch *report = refusals_report(r, "node-a", TELEMETRY_LOGS);
        assert_true(report && batch_is_report(report) && report->refusal_count <= BATCH_MAX_REFUSALS);
        for (size_t i = 0; i < report->refusal_count; i++) {
            told += report->refusals[i].records == 1;
            summed += report->refusals[i].records > 1 ? report->refusals[i].records : 0;
        }
        batch_free(report);
    }
    assert_true(told == REFUSALS_WAITING && told + summed == 5000);
    assert_int_equal(stats_get(stats_cell(stats, AGENT_REFUSALS_IN_SUM, "logs")), (int64_t)summed);
    assert_null(refusals_report(r, "node-a", TELEMETRY_LOGS));
    refusals_free(r);
    stats_free(stats);
}

static void test_words_become_printable_and_what_is_taken_back_goes_first(void **state)
{
    (void)state;
    struct stats *stats;
    struct refusals *r = some_refusals(&stats);
    refuse(r, "a\nb\x7f");
    refuse(r, "not \xff UTF-8 \xc3\xa4");
    struct batch *batch = batch_new("node-a");
    batch->signal = TELEMETRY_LOGS;
    refusals_attach(r, batch);
    assert_int_equal(batch->refusal_count, 2);
    assert_string_equal(batch->refusals[0].words, "a?b?");
    assert_string_equal(batch->refusals[1].words, "not ? UTF-8 ??");
    refuse(r, "later");
    refusals_take_back(r, batch);
    assert_int_equal(batch->refusal_count, 0);
    refusals_attach(r, batch);
    assert_string_equal(batch->refusals[0].words, "a?b?");
    assert_string_equal(batch->refusals[2].words, "later");
    batch_free(batch);
    refuse(r, "never told");
    refusals_free(r);
    stats_free(stats);
}

/* Over the wire and back. */
static struct batch *send_over(struct batch *in, struct buf *frame)
{
    struct batch *out;
    buf_init(frame, 1 << 20);
    assert_int_equal(wire_encode_batch_head(in, frame), 0);
    assert_int_equal(buf_append(frame, in->payload.ptr, in->payload.len), 0);
    assert_int_equal(wire_decode_batch(buf_bytes(frame), &out), 0);
    return out;
}

static uint64_t count_kept(struct fixture *f, const char *backend, struct buffer_refusal *last)
{
    struct buffer_reader *reader;
    const struct buffer_refusal_filter filter = {.backend = backend, .cause = -1};
    uint64_t count = 0;
    assert_int_equal(buffer_reader_open(f->buffer, NULL, &reader), 0);
    while (buffer_reader_refusal(reader, &filter, count ? last->id : 0, last) == 0)
        count++;
    buffer_reader_close(reader);
    return count;
}

static void test_a_report_is_kept_once_and_makes_no_row(void **state)
{
    (void)state;
    struct fixture f;
    struct stats *stats;
    struct refusals *r = some_refusals(&stats);
    fixture_setup(&f, 1);
    refuse(r, "too old");
    struct batch *report = refusals_report(r, "node-a", TELEMETRY_LOGS);
    report->boot = (struct boot){.id = 1, .started_ns = 1000};
    report->seq = 1;
    for (int i = 0; i < 2; i++) { /* the answer was lost */
        struct buf frame;
        struct buffer_append a = fixture_append_batch(&f, send_over(report, &frame));
        assert_int_equal(a.outcome, i ? BUFFER_REPEATED : BUFFER_COMMITTED);
        buf_fini(&frame);
    }
    struct buffer_refusal kept = {0};
    assert_int_equal(count_kept(&f, "agent", &kept), 1);
    assert_string_equal(kept.words, "too old");
    assert_string_equal(kept.source, "pod shop/cart/app file /0.log offset 7");
    assert_string_equal(kept.origin, "node-a");
    assert_true(kept.records == 1 && kept.cause == BUFFER_REFUSED && kept.row_id == 0);
    assert_int_equal(count_kept(&f, "one", &kept), 0);
    assert_int_equal(fixture_owed(&f, "one", "node-a"), 0);
    struct buffer_ledger ledger = fixture_ledger(&f, "one");
    assert_true(ledger.accepted == 0 && fixture_imbalance(&ledger) == 0);
    batch_free(report);
    refusals_free(r);
    stats_free(stats);
    fixture_fini(&f);
}

/* A file of this version that was made before there were sources. */
static void test_an_older_file_gets_the_columns(void **state)
{
    (void)state;
    struct fixture f;
    sqlite3 *db;
    fixture_setup(&f, 1);
    fixture_close(&f);
    assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP VIEW refused; ALTER TABLE refusal DROP COLUMN source;"
                                  "ALTER TABLE batch DROP COLUMN sources;"
                                  "CREATE VIEW refused AS SELECT id FROM refusal;",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    fixture_reopen(&f);
    assert_int_equal(f.errors.len, 0);
    struct batch *batch = fixture_batch("node-a", 1, 1, 100);
    assert_int_equal(batch_add_source(batch, "shop_cart_1/app/0:1:2:3:4", 10, 20), 0);
    struct buffer_append a = fixture_append_batch(&f, batch);
    assert_int_equal(a.outcome, BUFFER_COMMITTED);
    struct buffer_reader *reader;
    struct buf sources;
    buf_init(&sources, 4096);
    assert_int_equal(buffer_reader_open(f.buffer, NULL, &reader), 0);
    assert_int_equal(buffer_reader_sources(reader, a.row_id, &sources), 0);
    assert_true(bytes_equal(buf_bytes(&sources), bytes_of_string("shop_cart_1/app/0:1:2:3:4 10 20\n")));
    buf_fini(&sources);
    buffer_reader_close(reader);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_past_the_bounds_is_told_as_a_number),
        cmocka_unit_test(test_words_become_printable_and_what_is_taken_back_goes_first),
        cmocka_unit_test(test_a_report_is_kept_once_and_makes_no_row),
        cmocka_unit_test(test_an_older_file_gets_the_columns),
    };
    return cmocka_run_group_tests_name("agent_refusals", tests, NULL, NULL);
}
