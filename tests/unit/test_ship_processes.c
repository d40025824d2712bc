/* ship against gateways in processes of their own, with the real buffer on disk: killed, restarted, stopped.
 *
 * This program is also the gateway: it starts itself with the arguments "gateway FOLDER URL".
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "gateway/intake/receive.h"
#include "gateway/metrics.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship.h"

/* ---- the gateway's process */

static struct buffer *open_buffer(const char *folder, enum telemetry signal)
{
    struct buffer_options options = {
        .folder = folder, .signal = signal, .quota_bytes = 256 << 20, .retention_ms = 3600000};
    struct buffer *buffer;
    struct buf errors;
    buf_init(&errors, 4096);
    if (buffer_open(&options, &buffer, &errors) < 0) {
        fprintf(stderr, "%.*s\n", (int)errors.len, (char *)errors.ptr);
        exit(1);
    }
    buf_fini(&errors);
    return buffer;
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static int run_gateway(const char *folder, const char *url)
{
    struct loop loop;
    struct gateway_config config = {.agents.max_message_bytes = 8 << 20};
    struct buffer *buffers[TELEMETRY_COUNT];
    struct receive *receive;
    struct buf errors;
    buf_init(&errors, 4096);
    config.agents.listen = (struct conf_strings){&url, 1};
    log_set_level(LOG_LEVEL_ERROR);
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        buffers[i] = open_buffer(folder, (enum telemetry)i);
    if (loop_init(&loop, (struct loop_callbacks){ignore, ignore, NULL}) < 0 ||
        receive_new(&loop, &config, buffers, gateway_metrics_new(), (struct receive_assignments){0}, &receive,
                    &errors) < 0) {
        fprintf(stderr, "%.*s\n", (int)errors.len, (char *)errors.ptr);
        return 1;
    }
    printf("%d\n", receive_port(receive, 0));
    fflush(stdout);
    loop_run(&loop); /* until it is killed */
    return 0;
}

/* ---- the test's side of it */

struct gateway {
    char folder[32], url[64];
    pid_t pid;
};

static void gateway_start(struct gateway *g)
{
    int out[2];
    char line[16] = "";
    assert_int_equal(pipe(out), 0);
    g->pid = fork();
    if (g->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/proc/self/exe", "test_ship_processes", "gateway", g->folder, g->url, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    snprintf(g->url, sizeof g->url, "tcp://127.0.0.1:%d", atoi(line));
}

static void gateway_make(struct gateway *g)
{
    strcpy(g->folder, "/tmp/ship.XXXXXX");
    assert_non_null(mkdtemp(g->folder));
    strcpy(g->url, "tcp://127.0.0.1:0");
    gateway_start(g);
}

static void gateway_kill(struct gateway *g)
{
    kill(g->pid, SIGKILL);
    assert_int_equal(waitpid(g->pid, NULL, 0), g->pid);
}

static void gateway_remove(const struct gateway *g)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", g->folder);
    assert_int_equal(system(command), 0);
}

/* ---- a source of numbered batches */

struct feed {
    uint64_t next, total, committed, repeated, resumed, file_end;
    char buffer_id[64];
    bool out_of_order;
};

static uint64_t value_of(struct bytes payload)
{
    struct buf raw;
    uint64_t value = 0;
    buf_init(&raw, 1 << 20);
    assert_int_equal(snap_uncompress(payload, &raw), 0);
    assert_int_equal(raw.len, sizeof value);
    memcpy(&value, raw.ptr, sizeof value);
    buf_fini(&raw);
    return value;
}

static int feed_seal(void *ctx, struct batch **ret_batch)
{
    struct feed *feed = ctx;
    struct buf block;
    size_t len;
    if (feed->next == feed->total)
        return -EAGAIN;
    buf_init(&block, 4096);
    assert_int_equal(snap_compress((struct bytes){(const uint8_t *)&feed->next, sizeof feed->next}, &block),
                     0);
    struct batch *batch = batch_new("node-a");
    batch->format = FORMAT_LOKI_PUSH;
    batch->records = 1;
    batch->raw_bytes = sizeof feed->next;
    assert_int_equal(batch_add_source(batch, "file", feed->next, feed->next + 1), 0);
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    feed->next++;
    *ret_batch = batch;
    return 0;
}

static void feed_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct feed *feed = ctx;
    feed->out_of_order |= value_of(batch->payload) != feed->committed;
    feed->committed++;
    feed->repeated += reply->repeated;
    snprintf(feed->buffer_id, sizeof feed->buffer_id, "%s", reply->buffer_id);
}

static bool feed_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                         const struct batch *in_flight)
{
    struct feed *feed = ctx;
    (void)handed_over, (void)in_flight;
    feed->resumed++;
    feed->file_end = reply->end_count ? reply->ends[0].end : 0;
    return false;
}

/* ---- the world */

struct world {
    struct loop loop;
    uv_timer_t nudge;
    struct agent_config config;
    const char *addresses[2];
    struct stats *stats;
    struct feed feed;
    struct ship *ship;
};

static void on_nudge(uv_timer_t *timer)
{
    (void)timer;
}

static void world_init(struct world *w, const struct gateway *gateways, size_t count, int64_t deadline_ms)
{
    struct ship_source sources[TELEMETRY_COUNT] = {
        [TELEMETRY_LOGS] = {&w->feed, feed_seal, feed_committed, NULL, feed_resumed}};
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&w->loop.uv, &w->nudge);
    uv_timer_start(&w->nudge, on_nudge, 20, 20);
    for (size_t i = 0; i < count; i++)
        w->addresses[i] = gateways[i].url;
    w->config.node = "node-a";
    w->config.gateway.addresses = (struct conf_strings){w->addresses, count};
    w->config.gateway.tls = (struct agent_tls){"", "", "", ""};
    w->config.gateway.ack_deadline_ms = deadline_ms;
    w->stats = agent_metrics_new();
    assert_int_equal(ship_new(&w->loop, &w->config, w->stats, sources, SHIP_OF_NODE, &w->ship), 0);
}

static void world_fini(struct world *w)
{
    ship_close(w->ship);
    uv_close((uv_handle_t *)&w->nudge, NULL);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
    stats_free(w->stats);
}

static void run_until_committed(struct world *w, uint64_t count)
{
    int64_t end_ns = clock_mono_ns() + INT64_C(60000000000);
    while (w->feed.committed < count) {
        uv_run(&w->loop.uv, UV_RUN_ONCE);
        if (clock_mono_ns() > end_ns)
            fail_msg("%d of %d committed after 60 s", (int)w->feed.committed, (int)count);
    }
}

static void feed_more(struct world *w, uint64_t count)
{
    w->feed.total += count;
    ship_wake(w->ship, TELEMETRY_LOGS);
}

/* The values of all rows of the folder, in commit order; returns how many. The gateway must not run. */
static size_t read_rows(const struct gateway *g, uint64_t *values, size_t most)
{
    struct buffer *buffer = open_buffer(g->folder, TELEMETRY_LOGS);
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buf payload;
    size_t count = 0;
    buf_init(&payload, 1 << 20);
    assert_int_equal(buffer_reader_open(buffer, NULL, &reader), 0);
    while (buffer_reader_next(reader, -1, row.id, &row) == 0 && count < most) {
        buf_clear(&payload);
        assert_int_equal(buffer_reader_payload(reader, row.id, &payload), 0);
        values[count++] = value_of(buf_bytes(&payload));
    }
    buffer_reader_close(reader);
    buffer_close(buffer);
    buf_fini(&payload);
    return count;
}

static void test_a_gateway_killed_again_and_again_holds_every_batch_once_and_in_order(void **state)
{
    (void)state;
    enum { KILLS = 12, BATCHES = 1500 };
    static uint64_t values[BATCHES + 1];
    struct world w = {0};
    struct gateway g;
    uint64_t random = 2463534242u;
    gateway_make(&g);
    world_init(&w, &g, 1, 3000);
    feed_more(&w, BATCHES);
    for (int i = 0; i < KILLS; i++) {
        random = (random * 6364136223846793005u + 1442695040888963407u);
        run_until_committed(&w, w.feed.committed + 20 + (random >> 33) % 60);
        gateway_kill(&g); /* whatever was under way: not there, there, or there and not answered */
        gateway_start(&g);
    }
    run_until_committed(&w, BATCHES);
    assert_false(w.feed.out_of_order);
    assert_true(w.feed.resumed >= KILLS);
    world_fini(&w);
    gateway_kill(&g);
    assert_int_equal(read_rows(&g, values, BATCHES + 1), BATCHES);
    for (uint64_t i = 0; i < BATCHES; i++)
        assert_int_equal(values[i], i);
    printf("          %d kills, %d resumes, %d batches recognised as repeated\n", KILLS, (int)w.feed.resumed,
           (int)w.feed.repeated);
    gateway_remove(&g);
}

static void test_a_stopped_gateway_is_left_for_the_next_one_after_the_deadline(void **state)
{
    (void)state;
    static uint64_t values[2][100];
    struct world w = {0};
    struct gateway g[2];
    gateway_make(&g[0]);
    gateway_make(&g[1]);
    world_init(&w, g, 2, 500);
    feed_more(&w, 10);
    run_until_committed(&w, 10);
    int used = !strcmp(ship_gateway(w.ship), g[1].url);
    kill(g[used].pid, SIGSTOP);
    int64_t begin = clock_mono_ns();
    feed_more(&w, 10);
    run_until_committed(&w, 11);
    int64_t took_ms = (clock_mono_ns() - begin) / 1000000;
    assert_in_range(took_ms, 450, 10000);
    assert_string_equal(ship_gateway(w.ship), g[!used].url);
    run_until_committed(&w, 20);
    kill(g[used].pid, SIGCONT);
    world_fini(&w);
    gateway_kill(&g[0]);
    gateway_kill(&g[1]);
    size_t there = read_rows(&g[used], values[0], 100), here = read_rows(&g[!used], values[1], 100);
    assert_in_range(there, 10, 11); /* the one that hung may have taken the batch after all */
    assert_int_equal(here, 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(values[0][i] == i && values[1][i] == 10 + i);
    printf("          moved after %d ms\n", (int)took_ms);
    gateway_remove(&g[0]);
    gateway_remove(&g[1]);
}

static void test_an_only_gateway_that_was_stopped_gets_each_batch_once(void **state)
{
    (void)state;
    static uint64_t values[100];
    struct world w = {0};
    struct gateway g;
    gateway_make(&g);
    world_init(&w, &g, 1, 300);
    feed_more(&w, 10);
    run_until_committed(&w, 10);
    kill(g.pid, SIGSTOP);
    feed_more(&w, 10);
    int64_t end_ns = clock_mono_ns() + INT64_C(30000000000);
    while (ship_gateway(w.ship)[0] && clock_mono_ns() < end_ns)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_string_equal(ship_gateway(w.ship), "");
    kill(g.pid, SIGCONT);
    run_until_committed(&w, 20);
    assert_false(w.feed.out_of_order);
    assert_true(w.feed.resumed > 1);
    world_fini(&w);
    gateway_kill(&g);
    assert_int_equal(read_rows(&g, values, 100), 20);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(values[i], i);
    gateway_remove(&g);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "gateway"))
        return run_gateway(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gateway_killed_again_and_again_holds_every_batch_once_and_in_order),
        cmocka_unit_test(test_a_stopped_gateway_is_left_for_the_next_one_after_the_deadline),
        cmocka_unit_test(test_an_only_gateway_that_was_stopped_gets_each_batch_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
