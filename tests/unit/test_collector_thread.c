/* A collector on a thread of its own: its samples come as they were put, and one that does not come back
 * stalls nobody. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node-agent/host/collector_set.h"
#include "node-agent/scrape/exposition_write.h"
#include "tests/unit/unit.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;          /* updates wait at the gate while it is */
    int entered, stopped; /* updates that came to the gate; states that were stopped */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_gate(bool closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.closed = closed;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_for(const int *count, int least)
{
    pthread_mutex_lock(&gate.lock);
    while (*count < least)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static int start(const struct agent_config *config, void **ret_state)
{
    (void)config;
    *ret_state = &gate;
    return 0;
}

static void count(int *what)
{
    pthread_mutex_lock(&gate.lock);
    ++*what;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void stop(void *state)
{
    assert_ptr_equal(state, &gate);
    count(&gate.stopped);
}

static int update(void *state, struct metric_sink *sink)
{
    (void)state;
    count(&gate.entered);
    pthread_mutex_lock(&gate.lock);
    while (gate.closed)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    char name[8] = "made_up"; /* gone when the samples are put */
    COLLECTOR_SAMPLE(sink, name, METRIC_COUNTER, "help", 1.5, "b", "x", "a", name);
    collector_emit(sink, "plain", METRIC_GAUGE, "more help", 2);
    return 0;
}

static const struct collector patient = {
    .name = "patient", .start = start, .update = update, .stop = stop, .asks = true};

static void expect_on_page(struct collector_set *set, const char *text, bool wanted)
{
    struct exposition_writer *writer = exposition_writer_new();
    struct buf page;
    buf_init(&page, 1 << 20);
    collector_set_run(set, exposition_writer_sink(writer));
    assert_int_equal(exposition_writer_finish(writer, &page), 0);
    assert_int_equal(buf_append(&page, "", 1), 0);
    if (wanted != (strstr((char *)page.ptr, text) != NULL))
        fail_msg("\"%s\" should %sbe in\n%s", text, wanted ? "" : "not ", (char *)page.ptr);
    buf_fini(&page);
    exposition_writer_free(writer);
}

static void test_samples_come_as_they_were_put(void **state)
{
    (void)state;
    static const struct agent_config config;
    struct collector_set *set = calloc(1, sizeof *set);
    assert_int_equal(collector_set_add(set, &patient, &config), 0);
    for (int i = 0; i < 3; i++) {
        expect_on_page(
            set, "# HELP made_up help\n# TYPE made_up counter\nmade_up{a=\"made_up\",b=\"x\"} 1.5\n", true);
        expect_on_page(set, "plain 2\n", true);
        expect_on_page(set, "node_scrape_collector_success{collector=\"patient\"} 1\n", true);
    }
    collector_set_stop(set);
    free(set);
    assert_int_equal(gate.stopped, 1);
}

static void test_one_that_does_not_come_back_stalls_nobody(void **state)
{
    (void)state;
    static const struct agent_config config;
    struct collector_set *set = calloc(1, sizeof *set);
    struct exposition_writer *writer = exposition_writer_new();
    gate.entered = gate.stopped = 0;
    set_gate(true);
    assert_int_equal(collector_set_add(set, &patient, &config), 0);
    expect_on_page(set, "node_scrape_collector_success{collector=\"patient\"} 0\n", true);
    int64_t begin_ns = clock_mono_ns();
    for (int i = 0; i < 20; i++) /* it is still under way: nobody waits for it again */
        expect_on_page(set, "made_up", false);
    assert_true(clock_mono_ns() - begin_ns < INT64_C(20) * 1000000000);
    assert_int_equal(gate.entered, 1);
    set_gate(false);
    for (bool answered = false; !answered;) { /* what came too late is not shown; the next one is */
        struct buf page;
        buf_init(&page, 1 << 20);
        collector_set_run(set, exposition_writer_sink(writer));
        assert_int_equal(exposition_writer_finish(writer, &page), 0);
        assert_int_equal(buf_append(&page, "", 1), 0);
        answered = strstr((char *)page.ptr, "made_up{") != NULL;
        if (answered)
            assert_true(gate.entered >= 2);
        buf_fini(&page);
    }
    set_gate(true);
    int before = gate.entered;
    collector_thread_begin(set->items[0].thread);
    wait_for(&gate.entered, before + 1);
    collector_set_stop(set); /* at once, with an update under way */
    assert_int_equal(gate.stopped, 0);
    set_gate(false);
    wait_for(&gate.stopped, 1);
    exposition_writer_free(writer);
    free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_come_as_they_were_put),
        cmocka_unit_test(test_one_that_does_not_come_back_stalls_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
