/* The configuration file as a ConfigMap has it: a link to a folder that is swapped; and as an editor writes
 * it. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf/config_watch.h"
#include "tests/unit/unit.h"

struct world {
    uv_loop_t loop;
    uv_timer_t limit;
    char folder[64], path[128];
    int changes, ticks;
    bool is_in_force;
    struct config_watch *watch;
};

static void write_file(const struct world *w, const char *name, const char *content)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A new folder with the content, and ..data led to it in one step, as the kubelet does it. */
static void swap(const struct world *w, const char *version, const char *content)
{
    char path[192], data[192], name[96];
    snprintf(path, sizeof path, "%s/%s", w->folder, version);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(name, sizeof name, "%s/agent.yaml", version);
    write_file(w, name, content);
    snprintf(path, sizeof path, "%s/..data_tmp", w->folder);
    snprintf(data, sizeof data, "%s/..data", w->folder);
    assert_int_equal(symlink(version, path), 0);
    assert_int_equal(rename(path, data), 0);
}

static void on_changed(void *ctx, bool is_in_force)
{
    struct world *w = ctx;
    w->changes++;
    w->is_in_force = is_in_force;
}

static void on_limit(uv_timer_t *timer)
{
    struct world *w = timer->data;
    w->ticks++;
}

static void open_world(struct world *w)
{
    *w = (struct world){.folder = "/tmp/test_config_watch.XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/agent.yaml", w->folder);
    assert_int_equal(symlink("..data/agent.yaml", w->path), 0);
    swap(w, "..1", "a: 1\n");
    assert_int_equal(uv_loop_init(&w->loop), 0);
    uv_timer_init(&w->loop, &w->limit);
    w->limit.data = w;
    uv_timer_start(&w->limit, on_limit, CONFIG_WATCH_MS, CONFIG_WATCH_MS);
    assert_int_equal(config_watch_new(&w->loop, w->path, config_mark_read(w->path), on_changed, w, &w->watch),
                     0);
}

static void close_world(struct world *w)
{
    char command[128];
    config_watch_close(w->watch);
    uv_close((uv_handle_t *)&w->limit, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
}

/* Until there were so many changes, or the watch has looked so often. */
static void run(struct world *w, int changes, int ticks)
{
    w->ticks = 0;
    while (w->changes < changes && w->ticks < ticks)
        uv_run(&w->loop, UV_RUN_ONCE);
}

static void test_a_swapped_link_with_another_content_is_a_change(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    swap(&w, "..2", "a: 2\n");
    run(&w, 1, 60);
    assert_int_equal(w.changes, 1);
    assert_false(w.is_in_force);
    swap(&w, "..3", "a: 1\n");
    run(&w, 2, 60);
    assert_int_equal(w.changes, 2);
    assert_true(w.is_in_force);
    close_world(&w);
}

static void test_the_same_content_or_none_is_no_change(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    run(&w, 1, 3); /* it has seen the first one */
    swap(&w, "..2", "a: 1\n");
    run(&w, 1, 3);
    assert_int_equal(w.changes, 0);
    assert_int_equal(unlink(w.path), 0);
    run(&w, 1, 3);
    assert_int_equal(w.changes, 0);
    write_file(&w, "agent.yaml", "a: 3\n");
    run(&w, 1, 60);
    assert_int_equal(w.changes, 1);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_swapped_link_with_another_content_is_a_change),
        cmocka_unit_test(test_the_same_content_or_none_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
