/* Pages of the text exposition: that a writer which remembers its last page writes what a new one would. */
#include <stdio.h>
#include <string.h>

#include "node-agent/scrape/exposition_write.h"
#include "tests/unit/unit.h"

static void put(struct exposition_writer *writer, const char *name, const char *help, const char *device)
{
    COLLECTOR_SAMPLE(exposition_writer_sink(writer), name, METRIC_GAUGE, help, 1, "device", device);
}

static void expect_page(struct exposition_writer *writer, const char *want)
{
    struct buf page;
    buf_init(&page, 1 << 20);
    assert_int_equal(exposition_writer_finish(writer, &page), 0);
    assert_int_equal(buf_append(&page, "", 1), 0);
    assert_string_equal((char *)page.ptr, want);
    buf_fini(&page);
}

static void test_a_writer_keeps_nothing_of_its_last_page(void **state)
{
    (void)state;
    struct exposition_writer *writer = exposition_writer_new();
    put(writer, "b", "old", "y");
    put(writer, "b", "ignored", "x\"");
    put(writer, "a", "text\n", "z");
    expect_page(writer, "# HELP a text\\n\n# TYPE a gauge\na{device=\"z\"} 1\n"
                        "# HELP b old\n# TYPE b gauge\nb{device=\"x\\\"\"} 1\nb{device=\"y\"} 1\n");
    put(writer, "b", "new", "y");
    expect_page(writer, "# HELP b new\n# TYPE b gauge\nb{device=\"y\"} 1\n");
    expect_page(writer, "");
    for (int i = 0; i < 1000; i++) {
        char name[16], want[128];
        snprintf(name, sizeof name, "m%d", i);
        snprintf(want, sizeof want, "# HELP %s h\n# TYPE %s gauge\n%s{device=\"d\"} 1\n", name, name, name);
        put(writer, name, "h", "d");
        expect_page(writer, want);
    }
    exposition_writer_free(writer);
}

/* ---- one writer for many pages against a writer for each ---- */

enum { NAMES = 7, DEVICES = 9, PAGES = 3000 };

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void put_random(struct metric_sink *sink, uint64_t dice)
{
    static const char *const helps[] = {"one", "two\\"};
    char name[32], device[32];
    enum metric_type type = dice % NAMES == 0 ? METRIC_SUMMARY : METRIC_GAUGE;
    snprintf(name, sizeof name, "m%u%s", (unsigned)(dice % NAMES), dice % NAMES == 0 ? "_sum" : "");
    snprintf(device, sizeof device, "d\"%u", (unsigned)(dice / 64 % DEVICES));
    const char *const labels[] = {"device", device, "quantile", "0.5", NULL};
    const char *const *given = dice % 5 == 0 ? NULL : labels;
    sink->sample(sink, name, type, helps[dice / 4096 % 64 == 0], given, (double)(dice / 1024 % 3));
}

static void test_a_page_does_not_depend_on_those_before_it(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u, dice[64];
    struct exposition_writer *old = exposition_writer_new();
    for (size_t i = 0; i < 64; i++)
        dice[i] = next_random(&seed);
    for (int page = 0; page < PAGES; page++) {
        struct exposition_writer *fresh = exposition_writer_new();
        size_t from = next_random(&seed) % 8, to = 64 - next_random(&seed) % 40,
               gap = next_random(&seed) % 64;
        struct buf want;
        if (page % 3 == 0)
            dice[next_random(&seed) % 64] = next_random(&seed);
        for (size_t i = from; i < to; i++) {
            uint64_t of_now = dice[i] ^ (i % 4 == 0 ? (uint64_t)page << 10 : 0); /* another value */
            if (i == gap || i == gap + 1)
                continue;
            put_random(exposition_writer_sink(old), of_now);
            put_random(exposition_writer_sink(fresh), of_now);
        }
        buf_init(&want, 1 << 20);
        assert_int_equal(exposition_writer_finish(fresh, &want), 0);
        assert_int_equal(buf_append(&want, "", 1), 0);
        expect_page(old, (char *)want.ptr);
        buf_fini(&want);
        exposition_writer_free(fresh);
    }
    exposition_writer_free(old);
}

static void test_a_page_that_is_too_long_is_refused_and_the_next_is_not(void **state)
{
    (void)state;
    struct exposition_writer *writer = exposition_writer_new();
    struct buf page;
    buf_init(&page, 64);
    put(writer, "a", "h", "first");
    put(writer, "a", "h", "second");
    put(writer, "a", "h", "third");
    assert_int_not_equal(exposition_writer_finish(writer, &page), 0);
    expect_page(writer, "");
    put(writer, "a", "h", "third");
    expect_page(writer, "# HELP a h\n# TYPE a gauge\na{device=\"third\"} 1\n");
    buf_fini(&page);
    exposition_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_writer_keeps_nothing_of_its_last_page),
        cmocka_unit_test(test_a_page_does_not_depend_on_those_before_it),
        cmocka_unit_test(test_a_page_that_is_too_long_is_refused_and_the_next_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
