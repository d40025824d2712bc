/* ship and receive together, over nng on loopback. */
#include "tests/unit/transport.h"

static void assert_numbers(const struct buffer *buffer, uint64_t count)
{
    assert_int_equal(buffer->count, count);
    for (size_t i = 0; i < buffer->count; i++)
        assert_true(buffer->rows[i].value == i && buffer->rows[i].seq == i + 1);
}

static bool has_all(const struct agent_side *a, uint64_t count)
{
    bool all = true;
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        all &= !a->feeds[i].total || a->feeds[i].committed + a->feeds[i].refused == count;
    return all;
}

static void end(struct world *w, struct agent_side *a, struct gateway_side *gateways, size_t count)
{
    agent_close(a);
    for (size_t i = 0; i < count; i++)
        gateway_close(&gateways[i]);
    world_fini(w);
    for (size_t i = 0; i < count; i++)
        gateway_free(&gateways[i]);
    stats_free(a->stats);
}

static void test_a_thousand_batches_of_each_signal_arrive_once_and_in_order(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 1000}, {.total = 1000}, {.total = 1000}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, has_all(&a, 1000));
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        assert_numbers(g.buffers[i], 1000);
        assert_false(a.feeds[i].out_of_order);
        assert_int_equal(g.buffers[i]->repeats, 0);
        assert_int_equal(a.feeds[i].resumed, 1);
    }
    end(&w, &a, &g, 1);
}

static void test_a_gateway_that_never_answers_is_left_after_the_deadline(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g[2] = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 400, .feeds = {{.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g[0], "tcp://127.0.0.1:0");
    gateway_open(&w, &g[1], "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g[0].url, g[1].url}, 2);
    UNTIL(&w, has_all(&a, 1));
    int first = !strcmp(a.feeds[0].buffer_id, g[1].buffers[0]->id);
    g[first].buffers[0]->is_stuck = true;
    int64_t begin = clock_mono_ns();
    more(&a, TELEMETRY_METRICS, 1);
    UNTIL(&w, has_all(&a, 2));
    int64_t took_ms = (clock_mono_ns() - begin) / 1000000;
    assert_in_range(took_ms, 350, 15000);
    assert_string_equal(a.feeds[0].buffer_id, g[!first].buffers[0]->id);
    assert_int_equal(g[!first].buffers[0]->rows[0].seq, 2); /* the same number at the next one */
    assert_string_equal(ship_gateway(a.ship), g[!first].url);
    end(&w, &a, g, 2);
}

static void test_an_only_gateway_that_hung_gets_the_batch_again_under_its_number(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 400, .feeds = {{0}, {.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, has_all(&a, 1));
    g.buffers[TELEMETRY_LOGS]->is_stuck = true;
    more(&a, TELEMETRY_LOGS, 1);
    UNTIL(&w, g.buffers[TELEMETRY_LOGS]->resumes > 1); /* it left, came back, and asks first */
    let_go(g.buffers[TELEMETRY_LOGS]);
    UNTIL(&w, has_all(&a, 2));
    assert_int_equal(g.buffers[TELEMETRY_LOGS]->repeats, 1);
    assert_int_equal(a.feeds[TELEMETRY_LOGS].repeated, 1);
    assert_numbers(g.buffers[TELEMETRY_LOGS], 2);
    assert_true(a.feeds[TELEMETRY_LOGS].end == 2); /* the resume told what it holds */
    end(&w, &a, &g, 1);
}

static void test_two_origins_of_a_lane_are_resumed_together_and_numbered_apart(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 400,
                           .feeds = {{0}, {.total = 20, .uses_bulk = true}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    struct buffer *buffer = g.buffers[TELEMETRY_LOGS];
    UNTIL(&w, has_all(&a, 20));
    assert_int_equal(buffer->resumes, 2);
    buffer->is_stuck = true;
    more(&a, TELEMETRY_LOGS, 2);
    UNTIL(&w, buffer->resumes > 2); /* it left, came back, and asks first: for both */
    let_go(buffer);
    UNTIL(&w, has_all(&a, 22));
    ship_ask(a.ship, TELEMETRY_LOGS);
    uint64_t heard = a.feeds[TELEMETRY_LOGS].heard_of_bulk;
    UNTIL(&w, a.feeds[TELEMETRY_LOGS].heard_of_bulk > heard);
    assert_true(a.feeds[TELEMETRY_LOGS].heard_of_bulk == a.feeds[TELEMETRY_LOGS].resumed);
    assert_false(a.feeds[TELEMETRY_LOGS].out_of_order);
    assert_int_equal(buffer->count, 22);
    assert_int_equal(buffer->repeats, 1);
    for (size_t i = 0; i < buffer->count; i++) {
        assert_string_equal(buffer->rows[i].origin, i % 2 ? "node-a/bulk" : "node-a");
        assert_int_equal(buffer->rows[i].seq, i / 2 + 1);
    }
    end(&w, &a, &g, 1);
}

static void test_a_batch_dropped_at_a_resume_does_not_give_its_number_away(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 400, .feeds = {{0}, {.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, has_all(&a, 1));
    g.buffers[TELEMETRY_LOGS]->is_full = true; /* nothing is kept */
    g.buffers[TELEMETRY_LOGS]->is_stuck = true;
    a.feeds[TELEMETRY_LOGS].drops_in_flight = true;
    more(&a, TELEMETRY_LOGS, 1);
    UNTIL(&w, g.buffers[TELEMETRY_LOGS]->resumes > 1);
    g.buffers[TELEMETRY_LOGS]->is_full = false;
    let_go(g.buffers[TELEMETRY_LOGS]);
    UNTIL(&w, has_all(&a, 2));
    assert_int_equal(g.buffers[TELEMETRY_LOGS]->count, 2);
    assert_int_equal(g.buffers[TELEMETRY_LOGS]->rows[1].seq, 3);
    assert_int_equal(g.buffers[TELEMETRY_LOGS]->rows[1].value, 1);
    end(&w, &a, &g, 1);
}

static void test_a_gateway_that_went_and_came_back_is_resumed_also_when_idle(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 3}, {.total = 3}, {.total = 3}}};
    char url[64];
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    snprintf(url, sizeof url, "%s", g.url);
    agent_open(&w, &a, (const char *[]){url}, 1);
    UNTIL(&w, has_all(&a, 3));
    gateway_close(&g);
    UNTIL(&w, !ship_gateway(a.ship)[0]);
    assert_false(ship_is_idle(a.ship, TELEMETRY_METRICS));
    gateway_open(&w, &g, url);
    UNTIL(&w, ship_is_idle(a.ship, TELEMETRY_METRICS) && ship_is_idle(a.ship, TELEMETRY_LOGS) &&
                  ship_is_idle(a.ship, TELEMETRY_TRACES));
    for (int i = 0; i < TELEMETRY_COUNT; i++) {
        assert_int_equal(a.feeds[i].resumed, 2);
        more(&a, (enum telemetry)i, 2);
    }
    UNTIL(&w, has_all(&a, 5));
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        assert_numbers(g.buffers[i], 5);
    end(&w, &a, &g, 1);
}

static void test_of_two_agents_of_one_origin_the_older_one_is_told_to_resume(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side old = {.feeds = {{.total = 1}}}, new = {.feeds = {{.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &old, (const char *[]){g.url}, 1);
    UNTIL(&w, has_all(&old, 1));
    agent_open(&w, &new, (const char *[]){g.url}, 1);
    UNTIL(&w, has_all(&new, 1));
    assert_int_equal(old.feeds[0].resumed, 1);
    more(&old, TELEMETRY_METRICS, 1);
    UNTIL(&w, has_all(&old, 2));
    assert_int_equal(old.feeds[0].resumed, 2); /* it had to ask again before it could commit */
    assert_int_equal(stats_get(stats_cell(g.stats, GATEWAY_RECEIVED_BATCHES, "metrics", "resume_first")), 1);
    agent_close(&old);
    agent_close(&new);
    gateway_close(&g);
    world_fini(&w);
    gateway_free(&g);
    stats_free(old.stats);
    stats_free(new.stats);
}

static void test_a_full_buffer_makes_the_agent_wait_with_the_same_batch(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{0}, {0}, {.total = 2}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    g.buffers[TELEMETRY_TRACES]->is_full = true;
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, ship_state(a.ship, TELEMETRY_TRACES) == SHIP_BACKOFF);
    assert_int_equal(a.feeds[TELEMETRY_TRACES].next, 1); /* nothing else is sealed meanwhile */
    g.buffers[TELEMETRY_TRACES]->is_full = false;
    UNTIL(&w, has_all(&a, 2));
    assert_numbers(g.buffers[TELEMETRY_TRACES], 2);
    end(&w, &a, &g, 1);
}

static void test_a_gateway_whose_disk_fails_is_left_for_another(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g[2] = {0};
    struct agent_side a = {.feeds = {{.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g[0], "tcp://127.0.0.1:0");
    gateway_open(&w, &g[1], "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g[0].url, g[1].url}, 2);
    UNTIL(&w, has_all(&a, 1));
    int first = !strcmp(a.feeds[0].buffer_id, g[1].buffers[0]->id);
    g[first].buffers[0]->is_failing = true;
    more(&a, TELEMETRY_METRICS, 1);
    UNTIL(&w, has_all(&a, 2));
    assert_string_equal(ship_gateway(a.ship), g[!first].url);
    assert_int_equal(g[!first].buffers[0]->rows[0].seq, 2);
    assert_int_equal(stats_get(stats_cell(a.stats, AGENT_FAILOVERS, "disk")), 1);
    g[!first].buffers[0]->is_failing =
        true; /* both: it goes on trying, and the first one that works has it */
    more(&a, TELEMETRY_METRICS, 1);
    UNTIL(&w, strcmp(ship_gateway(a.ship), g[!first].url) != 0);
    g[first].buffers[0]->is_failing = false;
    UNTIL(&w, has_all(&a, 3));
    end(&w, &a, g, 2);
}

static void test_an_only_gateway_whose_disk_fails_is_tried_again(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    g.buffers[0]->is_failing = true;
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, g.buffers[0]->resumes >= 3);
    assert_string_equal(ship_gateway(a.ship), g.url);
    g.buffers[0]->is_failing = false;
    UNTIL(&w, has_all(&a, 1));
    assert_int_equal(stats_get(stats_cell(a.stats, AGENT_FAILOVERS, "disk")), 0);
    end(&w, &a, &g, 1);
}

static void test_a_batch_that_was_not_sent_can_be_withdrawn_and_a_sent_one_cannot(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{0}, {0}, {.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    g.buffers[TELEMETRY_TRACES]->is_stuck = true;
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, g.buffers[TELEMETRY_TRACES]->resumes == 1);
    let_go(g.buffers[TELEMETRY_TRACES]);
    g.buffers[TELEMETRY_TRACES]->is_stuck = true;
    UNTIL(&w, ship_state(a.ship, TELEMETRY_TRACES) == SHIP_WAIT_ACK);
    assert_false(ship_withdraw(a.ship, TELEMETRY_TRACES, a.feeds[TELEMETRY_TRACES].last));
    assert_false(ship_withdraw(a.ship, TELEMETRY_TRACES, NULL));
    let_go(g.buffers[TELEMETRY_TRACES]);
    UNTIL(&w, has_all(&a, 1));
    end(&w, &a, &g, 1);
}

static void set(void *ctx)
{
    *(bool *)ctx = true;
}

static void test_drain_sends_what_is_left_and_ends(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 1}, {.total = 200}, {.total = 1}}};
    bool is_done = false;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    ship_drain(a.ship, 20000, set, &is_done);
    UNTIL(&w, is_done);
    assert_int_equal(a.feeds[TELEMETRY_LOGS].committed, 200);
    assert_int_equal(ship_state(a.ship, TELEMETRY_LOGS), SHIP_DRAINED);
    end(&w, &a, &g, 1);
}

static void test_drain_gives_up_at_its_timeout_without_a_gateway(void **state)
{
    (void)state;
    struct world w;
    struct agent_side a = {.feeds = {{.total = 1}}};
    bool is_done = false;
    world_init(&w);
    agent_open(&w, &a, (const char *[]){"tcp://127.0.0.1:1"}, 1);
    ship_drain(a.ship, 50, set, &is_done);
    UNTIL(&w, is_done);
    assert_int_equal(a.feeds[0].committed, 0);
    agent_close(&a);
    world_fini(&w);
    stats_free(a.stats);
}

static void test_it_goes_back_to_its_first_choice_only_when_nothing_is_held(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g[2] = {0};
    struct agent_side a = {.config.gateway.balance_interval_ms = 100, .feeds = {{.total = 1}, {.total = 1}}};
    world_init(&w);
    gateway_open(&w, &g[0], "tcp://127.0.0.1:0");
    gateway_open(&w, &g[1], "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g[0].url, g[1].url}, 2);
    UNTIL(&w, has_all(&a, 1));
    int first = !strcmp(ship_gateway(a.ship), g[1].url);
    char url[64];
    snprintf(url, sizeof url, "%s", g[first].url);
    g[!first].buffers[TELEMETRY_LOGS]->holds = true;
    gateway_close(&g[first]);
    UNTIL(&w, !strcmp(ship_gateway(a.ship), g[!first].url));
    gateway_open(&w, &g[first], url);
    uint64_t asked = g[!first].buffers[TELEMETRY_LOGS]->resumes;
    for (int i = 0; i < 3; i++) { /* asked again and again, and each time something is held */
        UNTIL(&w, g[!first].buffers[TELEMETRY_LOGS]->resumes > asked + (uint64_t)i);
        more(&a, TELEMETRY_LOGS, 1);
        UNTIL(&w, a.feeds[TELEMETRY_LOGS].committed == a.feeds[TELEMETRY_LOGS].total);
        assert_string_equal(ship_gateway(a.ship), g[!first].url);
    }
    g[!first].buffers[TELEMETRY_LOGS]->holds = false;
    UNTIL(&w, !strcmp(ship_gateway(a.ship), url));
    more(&a, TELEMETRY_METRICS, 1);
    UNTIL(&w, a.feeds[TELEMETRY_METRICS].committed == 2);
    assert_string_equal(a.feeds[TELEMETRY_METRICS].buffer_id, g[first].buffers[0]->id);
    end(&w, &a, g, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_batches_of_each_signal_arrive_once_and_in_order),
        cmocka_unit_test(test_a_gateway_that_never_answers_is_left_after_the_deadline),
        cmocka_unit_test(test_an_only_gateway_that_hung_gets_the_batch_again_under_its_number),
        cmocka_unit_test(test_two_origins_of_a_lane_are_resumed_together_and_numbered_apart),
        cmocka_unit_test(test_a_batch_dropped_at_a_resume_does_not_give_its_number_away),
        cmocka_unit_test(test_a_gateway_that_went_and_came_back_is_resumed_also_when_idle),
        cmocka_unit_test(test_of_two_agents_of_one_origin_the_older_one_is_told_to_resume),
        cmocka_unit_test(test_a_full_buffer_makes_the_agent_wait_with_the_same_batch),
        cmocka_unit_test(test_a_gateway_whose_disk_fails_is_left_for_another),
        cmocka_unit_test(test_an_only_gateway_whose_disk_fails_is_tried_again),
        cmocka_unit_test(test_a_batch_that_was_not_sent_can_be_withdrawn_and_a_sent_one_cannot),
        cmocka_unit_test(test_drain_sends_what_is_left_and_ends),
        cmocka_unit_test(test_it_goes_back_to_its_first_choice_only_when_nothing_is_held),
        cmocka_unit_test(test_drain_gives_up_at_its_timeout_without_a_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
