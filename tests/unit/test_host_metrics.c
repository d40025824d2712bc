/* Runs of the collectors on a loop: labels, one time, the queue. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/snap.h"
#include "node-agent/host/host_metrics.h"
#include "node-agent/metrics.h"
#include "tests/unit/remote_write.h"

enum { DEADLINE_MS = 20000 };

static struct loop loop;
static struct agent_config config;
static struct stats *stats;
static struct series_queue *queue;
static struct host_metrics *host_metrics;
static uv_timer_t deadline;
static int wakes, wakes_wanted;

static void ignore(void *ctx)
{
    (void)ctx;
}

static void wake(void *ctx)
{
    (void)ctx;
    if (++wakes == wakes_wanted)
        uv_stop(&loop.uv);
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("no run came to its end");
}

static int setup(void **state)
{
    (void)state;
    static struct conf_pair label = {"cluster", "c1"};
    memset(&config, 0, sizeof config);
    config.node = "n1";
    config.labels = (struct conf_map){&label, 1};
    config.queue.metrics_bytes = 64 << 20;
    config.host_metrics.interval_ms = 50;
    config.host_metrics.mount_timeout_ms = 5000;
    config.host_metrics.job = "integrations/unix";
    config.host_metrics.instance = "n1";
    config.host_metrics.path_procfs = TEST_DATA "/host/proc";
    config.host_metrics.path_sysfs = TEST_DATA "/host/sys";
    config.host_metrics.path_rootfs = TEST_DATA "/host/root";
    config.host_metrics.path_udev_data = "";
    wakes = 0;
    assert_int_equal(loop_init(&loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&loop.uv, &deadline);
    stats = agent_metrics_new();
    return series_queue_new(&config, stats, &queue);
}

static int teardown(void **state)
{
    (void)state;
    host_metrics_close(host_metrics);
    host_metrics = NULL;
    uv_close((uv_handle_t *)&deadline, NULL);
    loop_end(&loop);
    loop_run(&loop);
    loop_fini(&loop);
    series_queue_free(queue);
    stats_free(stats);
    return 0;
}

static void start(void)
{
    struct buf errors;
    buf_init(&errors, 4096);
    assert_int_equal(host_metrics_new(&loop, &config, stats, queue, wake, NULL, &errors, &host_metrics), 0);
    buf_fini(&errors);
}

static void run(int runs)
{
    wakes_wanted = runs;
    uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    uv_timer_stop(&deadline);
    assert_int_equal(wakes, runs);
}

/* All that is queued, as text, and how many times it has. The caller frees. */
static char *drain(size_t *ret_times)
{
    struct ship_source source = series_queue_source(queue);
    struct buf raw;
    buf_init(&raw, 64 << 20);
    for (struct batch *batch; source.seal(source.ctx, &batch) == 0; batch_free(batch))
        assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    char *text = remote_write_show(buf_bytes(&raw));
    buf_fini(&raw);
    const char *last = "";
    *ret_times = 0;
    for (const char *end = strchr(text, '\n'); end; end = strchr(end + 1, '\n')) {
        const char *time = end - 14; /* @ and 13 digits */
        assert_true(time > text && *time == '@');
        *ret_times += strncmp(time, last, 14) != 0;
        last = time;
    }
    return text;
}

static void test_host_metrics_come_at_once_with_one_time(void **state)
{
    (void)state;
    size_t times;
    start();
    run(1);
    char *text = drain(&times);
    assert_int_equal(times, 1);
    static const char *const want[] = {
        "__name__=node_load1 cluster=c1 instance=n1 job=integrations/unix 12.21@",
        "__name__=up cluster=c1 instance=n1 job=integrations/unix 1@",
        "__name__=node_cpu_seconds_total cluster=c1 cpu=0 instance=n1 job=integrations/unix mode=user 444.9@",
        "__name__=node_filesystem_readonly cluster=c1 device=/dev/sda1 fstype=vfat instance=n1 "
        "job=integrations/unix mountpoint=/boot 1@",
        "__name__=node_scrape_collector_success cluster=c1 collector=filesystem instance=n1 "
        "job=integrations/unix 1@",
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(text, want[i]))
            fail_msg("missing: %s", want[i]);
    free(text);
}

static void test_host_metrics_come_every_interval(void **state)
{
    (void)state;
    size_t times;
    start();
    run(3);
    free(drain(&times));
    assert_int_equal(times, 3);
}

/* A host whose disks can be taken away. */
static void write_diskstats(const char *folder, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/diskstats", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_host_metrics_mark_what_is_gone_and_send_no_series_twice(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_host_metrics.XXXXXX", path[128];
    const char *names[] = {"diskstats"};
    size_t times;
    assert_non_null(mkdtemp(folder));
    config.host_metrics.path_procfs = folder;
    config.host_metrics.collectors = (struct conf_strings){names, 1};
    write_diskstats(folder, "8 0 sda 1 0 0 0 0 0 0 0 0 0 0\n8 0 sda 2 0 0 0 0 0 0 0 0 0 0\n");
    start();
    run(1);
    char *text = drain(&times);
    char *first = strstr(text, "__name__=node_disk_reads_completed_total");
    assert_non_null(first);
    assert_non_null(strstr(first, "job=integrations/unix 1@"));
    assert_null(strstr(first + 1, "__name__=node_disk_reads_completed_total"));
    assert_null(strstr(text, "stale@"));
    free(text);
    assert_true(stats_get(stats_cell(stats, AGENT_DROPPED_RECORDS, "metrics", "repeated_sample")) > 0);
    write_diskstats(folder, "");
    wakes = 0;
    run(2); /* the first of them may have read the file before */
    text = drain(&times);
    first = strstr(text, "__name__=node_disk_reads_completed_total cluster=c1 device=sda instance=n1 "
                         "job=integrations/unix stale@");
    assert_non_null(first);
    assert_null(strstr(first + 1, "__name__=node_disk_reads_completed_total"));
    free(text);
    snprintf(path, sizeof path, "%s/diskstats", folder);
    unlink(path);
    rmdir(folder);
}

static bool says(const char *text, const char *collector, int success)
{
    char want[160];
    snprintf(want, sizeof want,
             "__name__=node_scrape_collector_success cluster=c1 collector=%s instance=n1 "
             "job=integrations/unix %d@",
             collector, success);
    return strstr(text, want);
}

/* Runs until the collector has said this of itself. */
static void run_until(const char *collector, int success)
{
    for (bool said = false; !said;) {
        size_t times;
        wakes = 0;
        run(1);
        char *text = drain(&times);
        said = says(text, collector, success);
        assert_true(strstr(text, "__name__=node_load1 ") || said);
        free(text);
    }
}

static void test_host_metrics_go_on_while_a_collector_blocks(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_host_metrics.XXXXXX", path[128], hidden[128];
    const char *names[] = {"filesystem", "loadavg"};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/1", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/loadavg", folder);
    assert_int_equal(symlink(TEST_DATA "/host/proc/loadavg", path), 0);
    snprintf(path, sizeof path, "%s/1/mountinfo", folder); /* to open it waits for a writer */
    snprintf(hidden, sizeof hidden, "%s/1/hidden", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    config.host_metrics.path_procfs = folder;
    config.host_metrics.collectors = (struct conf_strings){names, 2};
    start();
    run_until("filesystem", 0);
    assert_int_equal(rename(path, hidden), 0);
    assert_int_equal(symlink(TEST_DATA "/host/proc/1/mountinfo", path), 0);
    close(open(hidden, O_WRONLY)); /* and so it comes back */
    run_until("filesystem", 1);
    unlink(path);
    unlink(hidden);
    snprintf(path, sizeof path, "%s/loadavg", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/1", folder);
    rmdir(path);
    rmdir(folder);
}

static void test_host_metrics_without_a_blocking_collector(void **state)
{
    (void)state;
    const char *names[] = {"loadavg"};
    size_t times;
    config.host_metrics.collectors = (struct conf_strings){names, 1};
    start();
    run(2);
    char *text = drain(&times);
    assert_int_equal(times, 2);
    assert_null(strstr(text, "collector=filesystem"));
    free(text);
}

static void test_host_metrics_can_be_closed_during_a_run(void **state)
{
    (void)state;
    start();
    uv_run(&loop.uv, UV_RUN_NOWAIT); /* the first run begins; whether its thread is done is chance */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_host_metrics_come_at_once_with_one_time),
        CASE(test_host_metrics_come_every_interval),
        CASE(test_host_metrics_mark_what_is_gone_and_send_no_series_twice),
        CASE(test_host_metrics_go_on_while_a_collector_blocks),
        CASE(test_host_metrics_without_a_blocking_collector),
        CASE(test_host_metrics_can_be_closed_during_a_run),
    };
    return cmocka_run_group_tests_name("host_metrics", tests, NULL, NULL);
}
