/* A gateway that drains hands its rows to another one; its agent follows them. Real buffers, real nng. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "gateway/intake/handover.h"
#include "gateway/metrics.h"
#include "node-agent/metrics.h"
#include "node-agent/ship/ship.h"

struct side {
    struct gateway_config config;
    struct gateway_backend_config backends[2];
    const char *listen[1];
    char folder[32], url[64];
    struct buffer *buffers[TELEMETRY_COUNT];
    struct stats *stats;
    struct receive *receive;
};

struct world {
    struct loop loop;
    uv_timer_t nudge;
};

static void ignore(void *ctx)
{
    (void)ctx;
}

static void on_nudge(uv_timer_t *timer)
{
    (void)timer;
}

static void world_init(struct world *w)
{
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&w->loop.uv, &w->nudge);
    uv_timer_start(&w->nudge, on_nudge, 20, 20);
}

#define UNTIL(w, condition)                                                                                  \
    do {                                                                                                     \
        int64_t end_ns = clock_mono_ns() + INT64_C(30000000000);                                             \
        while (!(condition)) {                                                                               \
            uv_run(&(w)->loop.uv, UV_RUN_ONCE);                                                              \
            if (clock_mono_ns() > end_ns)                                                                    \
                fail_msg("not within 30 s: %s", #condition);                                                 \
        }                                                                                                    \
    } while (0)

static void world_fini(struct world *w)
{
    uv_close((uv_handle_t *)&w->nudge, NULL);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
}

static void side_open(struct world *w, struct side *s)
{
    static const char *names[] = {"one", "two"};
    struct buf errors;
    buf_init(&errors, 4096);
    strcpy(s->folder, "/tmp/handover.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    for (int i = 0; i < 2; i++)
        s->backends[i].name = names[i];
    s->config.name = "gateway";
    s->config.metrics.backends = s->config.logs.backends = s->config.traces.backends =
        (struct conf_list){s->backends, 2};
    s->config.agents.max_message_bytes = 8 << 20;
    s->config.agents.tls.ca_file = s->config.agents.tls.cert_file = s->config.agents.tls.key_file = "";
    s->listen[0] = "tcp://127.0.0.1:0";
    s->config.agents.listen = (struct conf_strings){s->listen, 1};
    s->stats = gateway_metrics_new();
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        struct buffer_options options = {.folder = s->folder,
                                         .signal = (enum telemetry)i,
                                         .quota_bytes = 64 << 20,
                                         .retention_ms = 3600000,
                                         .backends = names,
                                         .backend_count = 2};
        assert_int_equal(buffer_open(&options, &s->buffers[i], &errors), 0);
    }
    assert_int_equal(receive_new(&w->loop, &s->config, s->buffers, s->stats, (struct receive_assignments){0},
                                 &s->receive, &errors),
                     0);
    snprintf(s->url, sizeof s->url, "tcp://127.0.0.1:%d", receive_port(s->receive, 0));
    buf_fini(&errors);
}

static void side_free(struct side *s)
{
    char command[64];
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        buffer_close(s->buffers[i]);
    stats_free(s->stats);
    snprintf(command, sizeof command, "rm -r %s", s->folder);
    assert_int_equal(system(command), 0);
}

/* ---- rows */

static struct batch *make_batch(const char *origin, uint64_t value)
{
    struct buf block;
    size_t len;
    buf_init(&block, 4096);
    assert_int_equal(snap_compress((struct bytes){(const uint8_t *)&value, sizeof value}, &block), 0);
    struct batch *batch = batch_new(origin);
    batch->signal = TELEMETRY_LOGS;
    batch->format = FORMAT_LOKI_PUSH;
    batch->boot = (struct boot){7, 7};
    batch->seq = value + 1;
    batch->records = 1;
    batch->raw_bytes = sizeof value;
    batch->earliest_ns = batch->latest_ns = (int64_t)value;
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    return batch;
}

struct put {
    struct buffer_append append;
    bool is_done;
};

static void on_put(struct letter *letter)
{
    struct put *put = (struct put *)letter;
    put->is_done = true;
    batch_free(put->append.batch);
}

static int64_t put_row(struct world *w, struct side *s, const char *origin, uint64_t value)
{
    struct put put = {
        .append = {.letter.open = on_put, .reply_to = &w->loop.mailbox, .batch = make_batch(origin, value)}};
    buffer_append(s->buffers[TELEMETRY_LOGS], &put.append);
    UNTIL(w, put.is_done);
    assert_int_equal(put.append.outcome, BUFFER_COMMITTED);
    return put.append.row_id;
}

struct settled {
    struct buffer_settlement settlement;
    bool is_done;
};

static void on_settled(struct letter *letter)
{
    ((struct settled *)letter)->is_done = true;
}

static void deliver(struct world *w, struct side *s, const char *backend, const char *origin, int64_t row_id,
                    uint64_t count)
{
    struct buffer_moved moved = {buffer_slot(origin), row_id};
    struct settled settled = {.settlement = {.letter.open = on_settled,
                                             .reply_to = &w->loop.mailbox,
                                             .backend = backend,
                                             .moved = &moved,
                                             .moved_count = 1,
                                             .counts = {count}}};
    buffer_settle(s->buffers[TELEMETRY_LOGS], &settled.settlement);
    UNTIL(w, settled.is_done);
    assert_int_equal(settled.settlement.error, 0);
}

/* How many rows are owed to the backend; their values summed. */
static int owed(struct side *s, const char *backend, uint64_t *ret_sum)
{
    struct buffer_reader *reader;
    struct buffer_row row = {0};
    struct buf block, raw;
    int64_t cursors[BUFFER_SLOTS];
    int count = 0;
    *ret_sum = 0;
    buf_init(&block, 4096);
    buf_init(&raw, 4096);
    assert_int_equal(buffer_reader_open(s->buffers[TELEMETRY_LOGS], backend, &reader), 0);
    assert_int_equal(buffer_reader_cursors(reader, cursors), 0);
    while (buffer_reader_next(reader, -1, row.id, &row) == 0) {
        if (row.id <= cursors[row.slot])
            continue;
        uint64_t value;
        buf_clear(&block);
        buf_clear(&raw);
        assert_int_equal(buffer_reader_payload(reader, row.id, &block), 0);
        assert_int_equal(snap_uncompress(buf_bytes(&block), &raw), 0);
        memcpy(&value, raw.ptr, sizeof value);
        *ret_sum += value;
        count++;
    }
    buffer_reader_close(reader);
    buf_fini(&block);
    buf_fini(&raw);
    return count;
}

struct outcome {
    int calls;
    uint64_t left;
};

static void on_done(void *ctx, uint64_t rows_left)
{
    struct outcome *outcome = ctx;
    outcome->calls++;
    outcome->left = rows_left;
}

static struct handover *start_handover(struct world *w, struct side *from, const char *const *peers,
                                       size_t count, int64_t timeout_ms, struct outcome *outcome)
{
    struct handover *handover;
    struct buf errors;
    buf_init(&errors, 4096);
    from->config.peers = (struct conf_strings){(const char **)peers, count};
    assert_int_equal(handover_new(&w->loop, &from->config, from->buffers, from->receive, timeout_ms, on_done,
                                  outcome, &handover, &errors),
                     0);
    buf_fini(&errors);
    return handover;
}

static void test_rows_go_over_with_the_backends_they_are_owed_to(void **state)
{
    (void)state;
    enum { ROWS = 30 };
    struct world w;
    struct side from = {0}, to = {0};
    struct outcome outcome = {0};
    uint64_t sum;
    int64_t tenth = 0;
    world_init(&w);
    side_open(&w, &from);
    side_open(&w, &to);
    for (uint64_t i = 0; i < ROWS; i++) {
        int64_t id = put_row(&w, &from, "node-a", i);
        tenth = i == 9 ? id : tenth;
    }
    deliver(&w, &from, "one", "node-a", tenth, 10);
    struct handover *handover =
        start_handover(&w, &from, (const char *[]){from.url, to.url}, 2, 20000, &outcome);
    UNTIL(&w, outcome.calls == 1);
    assert_int_equal(outcome.left, 0);
    assert_int_equal(handover_rows(handover), ROWS);
    assert_string_equal(handover_went(handover, "node-a", TELEMETRY_LOGS),
                        buffer_id(to.buffers[TELEMETRY_LOGS]));
    assert_string_equal(handover_went(handover, "node-b", TELEMETRY_LOGS), "");
    assert_int_equal(owed(&from, "one", &sum), 0);
    assert_int_equal(owed(&from, "two", &sum), 0);
    assert_int_equal(owed(&to, "one", &sum), 20);
    assert_true(sum == (10 + 29) * 20 / 2);
    assert_int_equal(owed(&to, "two", &sum), ROWS);
    assert_true(sum == 29 * 30 / 2);
    handover_close(handover);
    receive_close(from.receive);
    receive_close(to.receive);
    world_fini(&w);
    side_free(&from);
    side_free(&to);
}

static void test_without_another_gateway_the_rows_stay_and_are_counted(void **state)
{
    (void)state;
    struct world w;
    struct side from = {0};
    struct outcome outcome = {0};
    uint64_t sum;
    world_init(&w);
    side_open(&w, &from);
    for (uint64_t i = 0; i < 5; i++)
        put_row(&w, &from, "node-a", i);
    struct handover *handover = start_handover(&w, &from, (const char *[]){from.url}, 1, 200, &outcome);
    UNTIL(&w, outcome.calls == 1);
    assert_int_equal(outcome.left, 5);
    assert_int_equal(owed(&from, "one", &sum), 5);
    handover_close(handover);
    receive_close(from.receive);
    world_fini(&w);
    side_free(&from);
}

/* ---- an agent that follows */

struct feed {
    uint64_t next, total, committed;
    int resumed, handed_over;
    char buffer_id[64];
};

static int feed_seal(void *ctx, struct batch **ret_batch)
{
    struct feed *feed = ctx;
    if (feed->next == feed->total)
        return -EAGAIN;
    *ret_batch = make_batch("node-a", feed->next++);
    return 0;
}

static void feed_committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct feed *feed = ctx;
    (void)batch;
    feed->committed++;
    snprintf(feed->buffer_id, sizeof feed->buffer_id, "%s", reply->buffer_id);
}

static bool feed_resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                         const struct batch *in_flight)
{
    struct feed *feed = ctx;
    (void)reply, (void)in_flight;
    feed->resumed++;
    feed->handed_over += handed_over;
    return false;
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void test_the_agent_follows_its_rows_and_is_told_that_they_are_there(void **state)
{
    (void)state;
    struct world w;
    struct side s[2] = {0};
    struct agent_config config = {.node = "node-a"};
    struct feed logs = {.total = 20}, idle = {0};
    const struct ship_source sources[TELEMETRY_COUNT] = {
        [TELEMETRY_LOGS] = {&logs, feed_seal, feed_committed, NULL, feed_resumed},
        [TELEMETRY_TRACES] = {&idle, feed_seal, feed_committed, NULL, feed_resumed}};
    struct ship *ship;
    struct stats *stats = agent_metrics_new();
    struct outcome outcome = {0};
    uint64_t sum;
    int drained = 0;
    world_init(&w);
    side_open(&w, &s[0]);
    side_open(&w, &s[1]);
    const char *urls[] = {s[0].url, s[1].url};
    config.gateway.addresses = (struct conf_strings){urls, 2};
    config.gateway.tls = (struct agent_tls){"", "", "", ""};
    config.gateway.ack_deadline_ms = 3000;
    config.gateway.balance_interval_ms = 60000;
    assert_int_equal(ship_new(&w.loop, &config, stats, sources, SHIP_OF_NODE, &ship), 0);
    UNTIL(&w, logs.committed == 20 && idle.resumed == 1);
    int first = !strcmp(ship_gateway(ship), s[1].url);
    receive_drain(s[first].receive, count_call, &drained);
    UNTIL(&w, drained == 1);
    logs.total = 30; /* while it drains, the agent is put off */
    ship_wake(ship, TELEMETRY_LOGS);
    UNTIL(&w, ship_state(ship, TELEMETRY_LOGS) == SHIP_BACKOFF);
    struct handover *handover = start_handover(&w, &s[first], urls, 2, 20000, &outcome);
    UNTIL(&w, outcome.calls == 1);
    receive_set_handed(s[first].receive, handover_went, handover);
    UNTIL(&w, logs.committed == 30);
    assert_string_equal(ship_gateway(ship), s[!first].url);
    assert_string_equal(logs.buffer_id, buffer_id(s[!first].buffers[TELEMETRY_LOGS]));
    assert_int_equal(logs.handed_over, 1);
    UNTIL(&w, idle.resumed == 2);
    assert_int_equal(idle.handed_over, 1); /* nothing of it was left there: nothing is to be read again */
    assert_int_equal(owed(&s[!first], "one", &sum), 30);
    assert_true(sum == 29 * 30 / 2);
    assert_int_equal(stats_get(stats_cell(stats, AGENT_FAILOVERS, "draining")), 1);
    ship_close(ship);
    handover_close(handover);
    receive_close(s[0].receive);
    receive_close(s[1].receive);
    world_fini(&w);
    side_free(&s[0]);
    side_free(&s[1]);
    stats_free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_go_over_with_the_backends_they_are_owed_to),
        cmocka_unit_test(test_without_another_gateway_the_rows_stay_and_are_counted),
        cmocka_unit_test(test_the_agent_follows_its_rows_and_is_told_that_they_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
