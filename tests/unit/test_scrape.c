/* Targets scraped over HTTP on a loop, from a page server of our own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/http/http_server.h"
#include "base/snap.h"
#include "node-agent/metrics.h"
#include "node-agent/scrape/scrape.h"
#include "tests/unit/remote_write.h"

enum { DEADLINE_MS = 20000, INTERVAL_MS = 200 };

static struct loop loop;
static struct agent_config config;
static struct agent_scrape_config job;
static struct agent_static_config group;
static const char *addresses[2];
static struct stats *stats;
static struct series_queue *queue;
static struct scrape *scrape;
static struct http_server *server;
static uv_timer_t deadline;

static const char *body = "a 1\n";
static int status = 200;
static bool silent; /* the server takes requests and does not answer */
static char seen_accept[128], seen_timeout[32];

static struct buf text;         /* all samples that came, decoded */
static bool (*is_enough)(void); /* ends the loop's turn */

static void serve(struct http_request *request, void *ctx)
{
    (void)ctx;
    const char *accept = http_request_header(request, "accept");
    const char *timeout = http_request_header(request, "x-prometheus-scrape-timeout-seconds");
    snprintf(seen_accept, sizeof seen_accept, "%s", accept ? accept : "");
    snprintf(seen_timeout, sizeof seen_timeout, "%s", timeout ? timeout : "");
    if (!silent)
        http_answer(request, status, NULL, "text/plain; version=0.0.4", bytes_of_string(body));
}

static const struct http_route routes[] = {{"GET", "/page", serve}, {NULL, NULL, NULL}};

static void wake(void *ctx)
{
    (void)ctx;
    struct ship_source source = series_queue_source(queue);
    struct buf raw;
    buf_init(&raw, 64 << 20);
    for (struct batch *batch; source.seal(source.ctx, &batch) == 0; batch_free(batch))
        assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    char *shown = remote_write_show(buf_bytes(&raw));
    buf_append_string(&text, shown);
    free(shown);
    buf_fini(&raw);
    if (is_enough())
        uv_stop(&loop.uv);
}

static bool came(const char *line)
{
    buf_reserve(&text, 1);
    text.ptr[text.len] = '\0';
    return strstr((const char *)text.ptr, line);
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    buf_append(&text, "", 1);
    fail_msg("nothing more came; so far:\n%s", (const char *)text.ptr);
}

static void run_until(bool (*condition)(void))
{
    is_enough = condition;
    if (condition())
        return;
    uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    uv_timer_stop(&deadline);
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static int setup(void **state)
{
    (void)state;
    static char address[64];
    static struct conf_pair label = {"zone", "z1"};
    body = "a 1\n";
    status = 200;
    silent = false;
    buf_init(&text, 64 << 20);
    assert_int_equal(loop_init(&loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&loop.uv, &deadline);
    assert_int_equal(http_server_new(&loop.uv, "127.0.0.1:0", routes, NULL, NULL, &server), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", http_server_port(server));
    addresses[0] = address;
    group = (struct agent_static_config){{addresses, 1}, {&label, 1}};
    job = (struct agent_scrape_config){
        .job_name = "j", .metrics_path = "/page", .honor_timestamps = true, .static_configs = {&group, 1}};
    memset(&config, 0, sizeof config);
    config.node = "n";
    config.queue.metrics_bytes = 64 << 20;
    config.scrape_interval_ms = config.scrape_timeout_ms = INTERVAL_MS;
    config.scrape_configs = (struct conf_list){&job, 1};
    stats = agent_metrics_new();
    return series_queue_new(&config, stats, &queue);
}

static void start(void)
{
    struct buf errors;
    buf_init(&errors, 4096);
    assert_int_equal(scrape_new(&loop, &config, stats, queue, wake, NULL, &errors, &scrape), 0);
    buf_fini(&errors);
}

static int teardown(void **state)
{
    (void)state;
    scrape_close(scrape);
    scrape = NULL;
    http_server_close(server);
    uv_close((uv_handle_t *)&deadline, NULL);
    loop_end(&loop);
    loop_run(&loop);
    loop_fini(&loop);
    series_queue_free(queue);
    stats_free(stats);
    buf_fini(&text);
    return 0;
}

static int64_t scrapes(const char *result)
{
    return stats_get(stats_cell(stats, AGENT_SCRAPES, "j", result));
}

static bool has_scraped(void)
{
    return came("__name__=a instance=") && came("__name__=scrape_series_added instance=");
}

static void test_scrape_labels_samples_and_reports_itself(void **state)
{
    (void)state;
    char want[128];
    start();
    run_until(has_scraped);
    snprintf(want, sizeof want, "__name__=a instance=%s job=j zone=z1 1@", addresses[0]);
    assert_true(came(want));
    snprintf(want, sizeof want, "__name__=up instance=%s job=j zone=z1 1@", addresses[0]);
    assert_true(came(want));
    snprintf(want, sizeof want, "__name__=scrape_samples_scraped instance=%s job=j zone=z1 1@", addresses[0]);
    assert_true(came(want));
    snprintf(want, sizeof want, "__name__=scrape_series_added instance=%s job=j zone=z1 1@", addresses[0]);
    assert_true(came(want));
    assert_true(came("__name__=scrape_duration_seconds "));
    assert_string_equal(seen_accept, "text/plain;version=0.0.4;q=1,*/*;q=0.1");
    assert_string_equal(seen_timeout, "0.2");
    assert_true(scrapes("ok") > 0);
}

static bool has_failed(void)
{
    return came("zone=z1 stale@") && came("zone=z1 0@");
}

/* The page is fine once, then it is not. */
static void fails_after(const char *new_body, int new_status, bool new_silent, const char *result)
{
    start();
    run_until(has_scraped);
    assert_false(came("stale@"));
    body = new_body;
    status = new_status;
    silent = new_silent;
    run_until(has_failed);
    assert_true(came("__name__=a instance="));
    assert_true(scrapes(result) > 0);
}

static void test_scrape_of_a_failing_target_is_down_and_stale(void **state)
{
    (void)state;
    fails_after("", 503, false, "status");
}

static void test_scrape_of_a_silent_target_times_out(void **state)
{
    (void)state;
    fails_after("", 200, true, "timeout");
}

static void test_scrape_of_an_unreadable_page_is_down(void **state)
{
    (void)state;
    fails_after("a 1\nb 2", 200, false, "unreadable");
}

static void test_scrape_stops_at_its_body_limit(void **state)
{
    (void)state;
    job.body_size_limit = 10;
    fails_after("a 1\nb 2\nc 3\n", 200, false, "body_limit");
}

static bool is_down(void)
{
    return came("zone=z1 0@");
}

static void test_scrape_of_a_closed_port_is_down(void **state)
{
    (void)state;
    addresses[0] = "127.0.0.1:1";
    start();
    run_until(is_down);
    assert_true(came("__name__=up instance=127.0.0.1:1 job=j zone=z1 0@"));
    assert_false(came("stale@"));
    assert_true(scrapes("unreachable") > 0);
}

static void test_scrape_refuses_addresses_that_cannot_be_used(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           ":80",     "host:", "host:0",
                                      "host:65536", "host:1x", "[::1",  "[::1]x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf errors;
        buf_init(&errors, 4096);
        addresses[0] = bad[i];
        assert_int_equal(scrape_new(&loop, &config, stats, queue, wake, NULL, &errors, &scrape), -22);
        assert_true(errors.len > 0);
        scrape = NULL;
        buf_fini(&errors);
    }
}

/* ---- assigned targets ---- */

static char assigned_job[] = "k", assigned_path[] = "/page", scheme[] = "http", pod[] = "pod",
            pod_name[] = "p1";

static bool has_assigned(void)
{
    return came("job=k pod=p1 1@");
}

static bool has_gone(void)
{
    return came("job=k pod=p1 stale@");
}

static bool never(void)
{
    return false;
}

static void test_scrape_takes_assigned_targets_and_leaves_them(void **state)
{
    (void)state;
    struct assignment_label label = {pod, pod_name};
    char *address = strdup(addresses[0]);
    struct assignment_target targets[] = {
        {.job = assigned_job,
         .scheme = scheme,
         .address = address,
         .path = assigned_path,
         .labels = &label,
         .label_count = 1},
        {.job = assigned_job,
         .scheme = scheme,
         .address = address,
         .path = assigned_path,
         .labels = &label,
         .label_count = 1},
    };
    struct assignment assignment = {.targets = targets, .target_count = 2};
    config.scrape_configs.count = 0;
    start();
    scrape_set_targets(scrape, &assignment);
    assert_int_equal(scrape_count(scrape), 1); /* the second is the same one */
    run_until(has_assigned);
    scrape_set_targets(scrape, &assignment);
    assert_int_equal(scrape_count(scrape), 1);
    assert_false(came("stale@"));
    scrape_set_targets(scrape, &(struct assignment){.unchanged = true});
    assert_int_equal(scrape_count(scrape), 1);
    is_enough = never; /* the loop does not run now */
    scrape_set_targets(scrape, &(struct assignment){.target_count = 0});
    assert_int_equal(scrape_count(scrape), 0);
    assert_true(came("__name__=a instance=") && has_gone());
    char want[128];
    snprintf(want, sizeof want, "__name__=up instance=%s job=k pod=p1 stale@", address);
    assert_true(came(want));
    free(address);
}

static void test_scrape_takes_a_target_once_that_is_configured_and_assigned(void **state)
{
    (void)state;
    char *address = strdup(addresses[0]);
    struct assignment_target target = {
        .job = assigned_job, .scheme = scheme, .address = address, .path = assigned_path};
    start();
    scrape_set_targets(scrape, &(struct assignment){.targets = &target, .target_count = 1});
    assert_int_equal(scrape_count(scrape), 1);
    scrape_set_targets(scrape, &(struct assignment){.target_count = 0});
    assert_int_equal(scrape_count(scrape), 1);
    free(address);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_scrape_labels_samples_and_reports_itself),
        CASE(test_scrape_of_a_failing_target_is_down_and_stale),
        CASE(test_scrape_of_a_silent_target_times_out),
        CASE(test_scrape_of_an_unreadable_page_is_down),
        CASE(test_scrape_stops_at_its_body_limit),
        CASE(test_scrape_of_a_closed_port_is_down),
        CASE(test_scrape_refuses_addresses_that_cannot_be_used),
        CASE(test_scrape_takes_assigned_targets_and_leaves_them),
        CASE(test_scrape_takes_a_target_once_that_is_configured_and_assigned),
    };
    return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
