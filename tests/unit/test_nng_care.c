/* The reaper thread of nng is held up on purpose: the watch must find it out, and leaving must not wait. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include "base/clock.h"
#include "proto/nng_care.h"

static void ignore(void *ctx)
{
    (void)ctx;
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void on_tick(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

struct world {
    struct loop loop;
    uv_timer_t timer;
    int ticks;
};

static void world_init(struct world *w)
{
    *w = (struct world){0};
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){ignore, ignore, NULL}), 0);
    uv_timer_init(&w->loop.uv, &w->timer);
    w->timer.data = &w->ticks;
    uv_timer_start(&w->timer, on_tick, 10, 10);
}

static void world_fini(struct world *w)
{
    uv_close((uv_handle_t *)&w->timer, NULL);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
}

/* ---- a pipe whose removal waits for us */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int waiting;

static void wait_at_gate(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe, (void)event, (void)arg;
    atomic_store(&waiting, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    atomic_store(&waiting, 2);
}

static void hold_reaper(nng_socket pair[2])
{
    nng_dialer dialer;
    atomic_store(&waiting, 0);
    assert_int_equal(nng_pair0_open(&pair[0]), 0);
    assert_int_equal(nng_pair0_open(&pair[1]), 0);
    assert_int_equal(nng_pipe_notify(pair[1], NNG_PIPE_EV_REM_POST, wait_at_gate, NULL), 0);
    assert_int_equal(nng_listen(pair[0], "inproc://gate", NULL, 0), 0);
    assert_int_equal(nng_dial(pair[1], "inproc://gate", &dialer, 0), 0);
    pthread_mutex_lock(&gate);
    assert_int_equal(nng_dialer_close(dialer), 0);
    while (atomic_load(&waiting) != 1)
        uv_sleep(1);
}

static void let_reaper_go(const nng_socket pair[2])
{
    pthread_mutex_unlock(&gate);
    while (atomic_load(&waiting) != 2)
        uv_sleep(1);
    assert_int_equal(nng_leave(pair[1], 5000), 0);
    assert_int_equal(nng_leave(pair[0], 5000), 0);
}

static void test_a_reaper_that_works_raises_no_alarm(void **state)
{
    (void)state;
    struct world w;
    struct nng_watch *watch;
    int calls = 0;
    world_init(&w);
    assert_int_equal(nng_watch_new(&w.loop, 10, 5000, count_call, &calls, &watch), 0);
    while (w.ticks < 50)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_int_equal(calls, 0);
    nng_watch_close(watch);
    world_fini(&w);
}

static void test_a_reaper_that_waits_for_ever_is_found_out_once_and_left_behind(void **state)
{
    (void)state;
    struct world w;
    struct nng_watch *watch;
    nng_socket pair[2], other;
    int calls = 0;
    world_init(&w);
    assert_int_equal(nng_watch_new(&w.loop, 10, 100, count_call, &calls, &watch), 0);
    hold_reaper(pair);
    int64_t end_ns = clock_mono_ns() + INT64_C(30000000000);
    while (!calls && clock_mono_ns() < end_ns)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_int_equal(calls, 1);
    w.ticks = 0;
    while (w.ticks < 30)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_int_equal(calls, 1);
    assert_int_equal(nng_leave(pair[1], 50), -ETIMEDOUT);
    assert_int_equal(nng_pair0_open(&other), 0);
    assert_int_equal(nng_leave(other, 5000), 0); /* one without connections can still be left */
    pthread_mutex_unlock(&gate);
    while (atomic_load(&waiting) != 2)
        uv_sleep(1);
    assert_int_equal(nng_leave(pair[0], 5000), 0);
    nng_watch_close(watch);
    world_fini(&w);
}

static void test_leaving_waits_for_a_reaper_that_is_only_late(void **state)
{
    (void)state;
    nng_socket pair[2];
    hold_reaper(pair);
    let_reaper_go(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reaper_that_works_raises_no_alarm),
        cmocka_unit_test(test_a_reaper_that_waits_for_ever_is_found_out_once_and_left_behind),
        cmocka_unit_test(test_leaving_waits_for_a_reaper_that_is_only_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
