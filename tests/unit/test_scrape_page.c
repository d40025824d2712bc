/* What a scrape becomes: samples, staleness markers, the scrape's own series, limits. */
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "node-agent/metrics.h"
#include "node-agent/scrape/scrape_page.h"
#include "tests/unit/remote_write.h"

static struct agent_config config;
static struct stats *stats;
static struct series_queue *queue;
static struct series_context *context;
static struct scrape_cache *cache;
static struct scrape_page_options options;

static int setup(void **state)
{
    (void)state;
    const struct series_label target[] = {{bytes_of_string("job"), bytes_of_string("j")}};
    memset(&config, 0, sizeof config);
    config.node = "n";
    config.queue.metrics_bytes = 64 << 20;
    stats = agent_metrics_new();
    cache = scrape_cache_new(1 << 20);
    series_queue_new(&config, stats, &queue);
    series_context_new(target, 1, NULL, &context);
    options = (struct scrape_page_options){.context = context, .honor_timestamps = true};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    series_queue_free(queue);
    stats_free(stats);
    scrape_cache_free(cache);
    series_context_free(context);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that the queue holds, its lines sorted. The caller frees. */
static char *drain(void)
{
    struct ship_source source = series_queue_source(queue);
    struct batch *batch;
    struct buf raw, out;
    char *lines[256], *text, *rest, *line;
    size_t count = 0;
    buf_init(&raw, 64 << 20);
    buf_init(&out, 64 << 20);
    while (source.seal(source.ctx, &batch) == 0) {
        assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
        batch_free(batch);
    }
    text = rest = remote_write_show(buf_bytes(&raw));
    while ((line = strsep(&rest, "\n")))
        if (*line && count < 256)
            lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s\n", lines[i]);
    buf_append(&out, "", 1);
    free(text);
    buf_fini(&raw);
    return (char *)out.ptr;
}

static void expect_drained(const char *want)
{
    char *got = drain();
    assert_string_equal(got, want);
    free(got);
}

/* One scrape of text at time_ms (NULL: the target is away) without its reports. */
static enum scrape_result scrape(const char *text, int64_t time_ms)
{
    struct scrape_page page;
    enum scrape_result result = SCRAPE_UNREACHABLE;
    scrape_page_init(&page, &options, cache, time_ms);
    if (text)
        result = scrape_page_read(&page, bytes_of_string(text));
    else
        scrape_page_fail(&page);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    return result;
}

static int64_t dropped(const char *cause)
{
    return stats_get(stats_cell(stats, AGENT_DROPPED_RECORDS, "metrics", cause));
}

static void test_scrape_marks_series_that_vanish_once(void **state)
{
    (void)state;
    assert_int_equal(scrape("a 1\nb{x=\"1\"} 2\n", 10), SCRAPE_OK);
    expect_drained("__name__=a job=j 1@10\n__name__=b job=j x=1 2@10\n");
    assert_int_equal(scrape("a 3\n", 20), SCRAPE_OK);
    expect_drained("__name__=a job=j 3@20\n__name__=b job=j x=1 stale@20\n");
    assert_int_equal(scrape("a 3\n", 30), SCRAPE_OK);
    expect_drained("__name__=a job=j 3@30\n");
}

static void test_scrape_marks_all_series_of_a_target_that_went_away(void **state)
{
    (void)state;
    scrape("a 1\nb 2\ntimed 3 5\n", 10);
    free(drain());
    assert_int_equal(scrape(NULL, 20), SCRAPE_UNREACHABLE);
    expect_drained("__name__=a job=j stale@20\n__name__=b job=j stale@20\n");
    scrape(NULL, 30);
    expect_drained("");
    scrape("a 1\n", 40);
    expect_drained("__name__=a job=j 1@40\n");
}

static void test_scrape_takes_a_page_whole_or_not_at_all(void **state)
{
    (void)state;
    scrape("a 1\n", 10);
    free(drain());
    struct scrape_page page;
    scrape_page_init(&page, &options, cache, 20);
    assert_int_equal(scrape_page_read(&page, bytes_of_string("a 2\nnew 3\nbroken\n")), SCRAPE_UNREADABLE);
    assert_int_equal(page.line, 3);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    expect_drained("__name__=a job=j stale@20\n"); /* and none for new, which was never sent */
}

static void test_scrape_over_its_sample_limit_counts_but_sends_nothing(void **state)
{
    (void)state;
    options.sample_limit = 2;
    assert_int_equal(scrape("a 1\nb 2\n", 10), SCRAPE_OK);
    free(drain());
    struct scrape_page page;
    scrape_page_init(&page, &options, cache, 20);
    assert_int_equal(scrape_page_read(&page, bytes_of_string("a 1\nb 2\nc 3\nd 4\n")), SCRAPE_SAMPLE_LIMIT);
    scrape_page_report(&page, false, 0.25);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    expect_drained("__name__=a job=j stale@20\n__name__=b job=j stale@20\n"
                   "__name__=scrape_duration_seconds job=j 0.25@20\n"
                   "__name__=scrape_samples_post_metric_relabeling job=j 4@20\n"
                   "__name__=scrape_samples_scraped job=j 4@20\n"
                   "__name__=scrape_series_added job=j 0@20\n__name__=up job=j 0@20\n");
}

static void test_scrape_reports_itself(void **state)
{
    (void)state;
    struct scrape_page page;
    scrape("a 1\n", 10);
    free(drain());
    scrape_page_init(&page, &options, cache, 20);
    assert_int_equal(scrape_page_read(&page, bytes_of_string("a 1\nb 1\nup 7\nup{job=\"k\"} 8\n")),
                     SCRAPE_OK);
    scrape_page_report(&page, true, 0.5);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    expect_drained("__name__=a job=j 1@20\n__name__=b job=j 1@20\n"
                   "__name__=scrape_duration_seconds job=j 0.5@20\n"
                   "__name__=scrape_samples_post_metric_relabeling job=j 4@20\n"
                   "__name__=scrape_samples_scraped job=j 4@20\n"
                   "__name__=scrape_series_added job=j 2@20\n"
                   "__name__=up exported_job=k job=j 8@20\n__name__=up job=j 1@20\n");
    assert_int_equal(dropped("repeated_sample"), 1);
}

static void test_scrape_sends_one_sample_of_a_series_and_time(void **state)
{
    (void)state;
    scrape("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\",z=\"\"} 3\nb 1 5\nb 2 5\nb 3 6\n",
           10);
    expect_drained("__name__=a job=j x=1 y=2 1@10\n__name__=b job=j 1@5\n__name__=b job=j 3@6\n");
    assert_int_equal(dropped("repeated_sample"), 3);
}

static void test_scrape_honors_timestamps_or_not(void **state)
{
    (void)state;
    scrape("a 1 5\nb 2\n", 10);
    expect_drained("__name__=a job=j 1@5\n__name__=b job=j 2@10\n");
    scrape("a 1 5\nb 2\n", 20); /* the same sample again is not sent again */
    expect_drained("__name__=b job=j 2@20\n");
    scrape("b 2\n", 30); /* no marker for a series with times of its own */
    expect_drained("__name__=b job=j 2@30\n");
    options.honor_timestamps = false;
    scrape("a 1 5\n", 40);
    expect_drained("__name__=a job=j 1@40\n__name__=b job=j stale@40\n");
    assert_int_equal(dropped("repeated_sample"), 0);
}

static void test_scrape_drops_times_far_ahead(void **state)
{
    (void)state;
    scrape("a 1 600010\nb 1 600011\nc 1 9223372036854775807\n", 10);
    expect_drained("__name__=a job=j 1@600010\n");
    assert_int_equal(dropped("out_of_bounds"), 2);
}

static void test_scrape_honors_labels_or_renames_them(void **state)
{
    (void)state;
    scrape("a{job=\"theirs\"} 1\n", 10);
    expect_drained("__name__=a exported_job=theirs job=j 1@10\n");
    options.honor_labels = true;
    scrape("a{job=\"theirs\"} 1\n", 20);
    expect_drained("__name__=a exported_job=theirs job=j stale@20\n__name__=a job=theirs 1@20\n");
}

static void test_scrape_counts_series_that_prometheus_would_drop(void **state)
{
    (void)state;
    assert_int_equal(scrape("a{x=\"1\",x=\"2\"} 1\nb 1\n", 10), SCRAPE_OK);
    expect_drained("__name__=b job=j 1@10\n");
    assert_int_equal(dropped("duplicate_label"), 1);
}

static void test_scrape_sends_what_the_cache_has_no_room_for(void **state)
{
    (void)state;
    scrape_cache_free(cache);
    cache = scrape_cache_new(0);
    scrape("a 1\n", 10);
    expect_drained("__name__=a job=j 1@10\n");
    scrape(NULL, 20);
    expect_drained("");
}

static void test_scrape_of_a_large_page_becomes_several_chunks(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 64 << 20);
    scrape_cache_free(cache);
    cache = scrape_cache_new(64 << 20);
    for (int i = 0; i < 100000; i++)
        buf_printf(&text, "some_metric_with_a_name{number=\"%d\"} %d\n", i, i);
    struct scrape_page page;
    scrape_page_init(&page, &options, cache, 10);
    assert_int_equal(scrape_page_read(&page, buf_bytes(&text)), SCRAPE_OK);
    assert_true(page.chunk_count > 1);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    uint64_t records = 0;
    struct ship_source source = series_queue_source(queue);
    for (struct batch *batch; source.seal(source.ctx, &batch) == 0; batch_free(batch))
        records += batch->records;
    assert_int_equal(records, 100000);
    scrape_page_init(&page, &options, cache, 20);
    scrape_page_fail(&page);
    scrape_page_give(&page, queue);
    scrape_page_fini(&page);
    records = 0;
    for (struct batch *batch; source.seal(source.ctx, &batch) == 0; batch_free(batch))
        records += batch->records;
    assert_int_equal(records, 100000);
    buf_fini(&text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_scrape_marks_series_that_vanish_once),
        CASE(test_scrape_marks_all_series_of_a_target_that_went_away),
        CASE(test_scrape_takes_a_page_whole_or_not_at_all),
        CASE(test_scrape_over_its_sample_limit_counts_but_sends_nothing),
        CASE(test_scrape_reports_itself),
        CASE(test_scrape_sends_one_sample_of_a_series_and_time),
        CASE(test_scrape_honors_timestamps_or_not),
        CASE(test_scrape_drops_times_far_ahead),
        CASE(test_scrape_honors_labels_or_renames_them),
        CASE(test_scrape_counts_series_that_prometheus_would_drop),
        CASE(test_scrape_sends_what_the_cache_has_no_room_for),
        CASE(test_scrape_of_a_large_page_becomes_several_chunks),
    };
    return cmocka_run_group_tests_name("scrape_page", tests, NULL, NULL);
}
