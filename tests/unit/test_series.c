/* Series as remote write bytes, and the queue that seals them. Decoded here by walking the wire format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/snap.h"
#include "base/utf8.h"
#include "node-agent/metrics.h"
#include "node-agent/scrape/series.h"
#include "tests/unit/remote_write.h"
#include "tests/unit/unit.h"

static struct series_label label(const char *name, const char *value)
{
    return (struct series_label){bytes_of_string(name), bytes_of_string(value)};
}

static void expect(struct bytes request, const char *want)
{
    char *got = remote_write_show(request);
    assert_string_equal(got, want);
    free(got);
}

static struct series_context *context_of(const char *job)
{
    static struct conf_pair pairs[] = {{"cluster", "c1"}, {"job", "external"}};
    static const struct conf_map external = {pairs, 2};
    struct series_label target[] = {label("job", job), label("instance", "n1")};
    struct series_context *context;
    assert_int_equal(series_context_new(target, 2, &external, &context), 0);
    return context;
}

static void test_series_sorts_labels_by_name(void **state)
{
    (void)state;
    struct series_context *context = context_of("unix");
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    struct series_label labels[] = {label("mode", "idle"), label("Big", "1"), label("cpu", "0"),
                                    label("none", "")};
    assert_int_equal(series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("up"), labels, 4, 1.5, 1700),
                     0);
    expect(series_chunk_bytes(chunk),
           "Big=1 __name__=up cluster=c1 cpu=0 instance=n1 job=unix mode=idle 1.5@1700\n");
    assert_int_equal(series_chunk_samples(chunk), 1);
    series_chunk_free(chunk);
    series_context_free(context);
}

static void test_series_label_of_the_sample_wins_over_an_external_one(void **state)
{
    (void)state;
    struct series_context *context = context_of("unix");
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    struct series_label own = label("cluster", "mine"), empty = label("cluster", "");
    series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("a"), &own, 1, 1, 1);
    series_add(chunk, context, SERIES_HONOR, bytes_of_string("b"), &empty, 1, 1, 1);
    expect(series_chunk_bytes(chunk), "__name__=a cluster=mine instance=n1 job=unix 1@1\n"
                                      "__name__=b cluster=c1 instance=n1 job=unix 1@1\n");
    series_chunk_free(chunk);
    series_context_free(context);
}

static void test_series_renames_or_honors_clashing_labels(void **state)
{
    (void)state;
    struct series_context *context = context_of("unix");
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    struct series_label labels[] = {label("job", "theirs"), label("exported_job", "older"),
                                    label("instance", "")};
    series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("a"), labels, 3, 1, 1);
    series_add(chunk, context, SERIES_HONOR, bytes_of_string("b"), labels, 3, 1, 1);
    expect(series_chunk_bytes(chunk),
           "__name__=a cluster=c1 exported_exported_job=theirs exported_job=older instance=n1 job=unix 1@1\n"
           "__name__=b cluster=c1 exported_job=older job=theirs 1@1\n");
    series_chunk_free(chunk);
    series_context_free(context);
}

static struct stats *stats;
static struct series_queue *queue;
static struct agent_config config;

static int setup(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    config.node = "n1";
    config.queue.metrics_bytes = 16 << 20;
    stats = agent_metrics_new();
    return series_queue_new(&config, stats, &queue);
}

static int teardown(void **state)
{
    (void)state;
    series_queue_free(queue);
    stats_free(stats);
    return 0;
}

static int64_t dropped(const char *cause)
{
    return stats_get(stats_cell(stats, AGENT_DROPPED_RECORDS, "metrics", cause));
}

static void test_series_counts_what_prometheus_would_drop(void **state)
{
    (void)state;
    struct series_context *context = context_of("unix");
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    struct series_label twice[] = {label("a", "1"), label("b", "2"), label("a", "3")};
    struct series_label bad = label("a", "\xc3\x28"), name = label("__name__", "other");
    struct series_label many[SERIES_MAX_LABELS + 1];
    for (int i = 0; i <= SERIES_MAX_LABELS; i++)
        many[i] = label("a", "1");
    assert_int_equal(series_add(chunk, context, SERIES_EXPORTED, (struct bytes){0}, NULL, 0, 1, 1), -EINVAL);
    assert_int_equal(series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("m"), twice, 3, 1, 1),
                     -EINVAL);
    assert_int_equal(series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("m"), &name, 1, 1, 1),
                     -EINVAL);
    assert_int_equal(series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("m"), &bad, 1, 1, 1),
                     -EINVAL);
    assert_int_equal(
        series_add(chunk, context, SERIES_EXPORTED, bytes_of_string("m"), many, SERIES_MAX_LABELS + 1, 1, 1),
        -EINVAL);
    assert_int_equal(series_chunk_bytes(chunk).len, 0);
    series_queue_take(queue, &chunk);
    assert_null(chunk);
    assert_int_equal(dropped("no_name"), 1);
    assert_int_equal(dropped("duplicate_label"), 2);
    assert_int_equal(dropped("invalid_utf8"), 1);
    assert_int_equal(dropped("too_many_labels"), 1);
    series_context_free(context);
}

static void test_series_knows_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii text of some length",
                                       "\xc2\x80",
                                       "\xed\x9f\xbf",
                                       "\xef\xbf\xbf",
                                       "12345678\xf4\x8f\xbf\xbf",
                                       "\xe2\x82\xac"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "12345678\xe2\x82",
                                      "\xc2",
                                      "\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_is_valid(bytes_of_string(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_is_valid(bytes_of_string(bad[i])));
}

/* ---- the queue ---- */

/* Puts a chunk with one series NAME at each of the times into the queue. */
static void put(const char *name, const int64_t *times, size_t count)
{
    struct series_context *context;
    assert_int_equal(series_context_new(NULL, 0, NULL, &context), 0);
    struct series_chunk *chunk = series_chunk_new(SERIES_CHUNK_BYTES);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            series_add(chunk, context, SERIES_EXPORTED, bytes_of_string(name), NULL, 0, 1, times[i]), 0);
    series_queue_take(queue, &chunk);
    series_context_free(context);
}
#define PUT(name, ...) put(name, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static struct batch *seal(void)
{
    struct ship_source source = series_queue_source(queue);
    struct batch *batch = NULL;
    int err = source.seal(source.ctx, &batch);
    assert_true(err == 0 || err == -EAGAIN);
    return batch;
}

static void expect_sealed(const char *want, int64_t earliest_ms, int64_t latest_ms)
{
    struct batch *batch = seal();
    assert_non_null(batch);
    struct buf raw;
    buf_init(&raw, 64 << 20);
    assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    assert_int_equal(raw.len, batch->raw_bytes);
    expect(buf_bytes(&raw), want);
    assert_int_equal(batch->earliest_ns, earliest_ms * 1000000);
    assert_int_equal(batch->latest_ns, latest_ms * 1000000);
    assert_int_equal(batch->format, FORMAT_REMOTE_WRITE_1);
    size_t samples = 0;
    for (const char *c = want; *c; c++)
        samples += *c == '\n';
    assert_int_equal(batch->records, samples);
    buf_fini(&raw);
    batch_free(batch);
}

static void test_series_queue_joins_chunks_in_time_order(void **state)
{
    (void)state;
    assert_null(seal());
    PUT("slow", 100);
    PUT("host", 90);
    PUT("later", 100);
    PUT("mixed", 95, 120, 95);
    expect_sealed("__name__=host 1@90\n__name__=mixed 1@95\n__name__=mixed 1@95\n__name__=slow 1@100\n"
                  "__name__=later 1@100\n__name__=mixed 1@120\n",
                  90, 120);
    assert_null(seal());
}

static void test_series_queue_seals_what_goes_back_apart_and_first(void **state)
{
    (void)state;
    PUT("a", 100);
    expect_sealed("__name__=a 1@100\n", 100, 100);
    PUT("b", 110, 80);
    PUT("c", 100, 99);
    expect_sealed("__name__=b 1@80\n__name__=c 1@99\n", 80, 99);
    PUT("d", 120);
    expect_sealed("__name__=c 1@100\n__name__=b 1@110\n", 100, 110);
    expect_sealed("__name__=d 1@120\n", 120, 120);
    assert_null(seal());
    PUT("e", 5);
    expect_sealed("__name__=e 1@5\n", 5, 5);
    PUT("f", 119);
    expect_sealed("__name__=f 1@119\n", 119, 119);
    assert_int_equal(stats_get(stats_cell(stats, AGENT_QUEUE_BYTES, "metrics")), 0);
}

static void test_series_queue_drops_the_oldest_when_full(void **state)
{
    (void)state;
    config.queue.metrics_bytes = 2000;
    for (int64_t i = 1; i <= 200; i++)
        PUT("m", i, i);
    int64_t gone = dropped("queue_full");
    assert_true(gone > 0 && gone % 2 == 0);
    assert_true(stats_get(stats_cell(stats, AGENT_QUEUE_BYTES, "metrics")) <= 2000);
    struct batch *batch = seal();
    assert_int_equal(batch->records + (uint64_t)gone, 400);
    assert_int_equal(batch->latest_ns, 200 * 1000000);
    batch_free(batch);
    assert_null(seal());
}

static void test_series_queue_batches_stay_within_4_mib(void **state)
{
    (void)state;
    char name[1001];
    memset(name, 'n', 1000);
    name[1000] = '\0';
    int64_t times[1000];
    for (int i = 0; i < 1000; i++)
        times[i] = 7;
    for (int i = 0; i < 10; i++)
        put(name, times, 1000);
    size_t batches = 0, records = 0;
    for (struct batch *batch; (batch = seal()); batches++) {
        assert_true(batch->raw_bytes <= 4 << 20);
        records += batch->records;
        batch_free(batch);
    }
    assert_int_equal(records, 10000);
    assert_int_equal(batches, 3);
}

static void test_series_chunk_says_when_it_is_full(void **state)
{
    (void)state;
    struct series_chunk *chunk = series_chunk_new(100);
    struct bytes labels = bytes_of_string("\x0a\x06\x0a\x01"
                                          "a\x12\x01"
                                          "b");
    int added = 0;
    while (series_add_encoded(chunk, labels, 2, 3) == 0)
        added++;
    assert_int_equal(series_add_encoded(chunk, labels, 2, 3), -EMSGSIZE);
    assert_int_equal(added, 4);
    assert_int_equal(series_chunk_samples(chunk), 4);
    expect(series_chunk_bytes(chunk), "a=b 2@3\na=b 2@3\na=b 2@3\na=b 2@3\n");
    series_chunk_free(chunk);
}

static void test_series_staleness_marker_has_prometheus_bits(void **state)
{
    (void)state;
    uint64_t bits;
    double value = series_stale_value();
    memcpy(&bits, &value, sizeof bits);
    assert_true(bits == UINT64_C(0x7ff0000000000002));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series_sorts_labels_by_name),
        cmocka_unit_test(test_series_label_of_the_sample_wins_over_an_external_one),
        cmocka_unit_test(test_series_renames_or_honors_clashing_labels),
        cmocka_unit_test_setup_teardown(test_series_counts_what_prometheus_would_drop, setup, teardown),
        cmocka_unit_test(test_series_knows_utf8),
        cmocka_unit_test_setup_teardown(test_series_queue_joins_chunks_in_time_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_series_queue_seals_what_goes_back_apart_and_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_series_queue_drops_the_oldest_when_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_series_queue_batches_stay_within_4_mib, setup, teardown),
        cmocka_unit_test(test_series_chunk_says_when_it_is_full),
        cmocka_unit_test(test_series_staleness_marker_has_prometheus_bits),
    };
    return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
