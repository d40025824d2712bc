/* Host files: which are found, what rotations do, and where a log begins that was there before the agent. */
#include "tests/unit/logs_fixture.h"

#include <utime.h>

#include "node-agent/logs/tail_host.h"
#include "node-agent/logs/tail_start.h"

static struct agent_log_files files;
static const char *paths[1];
static char pattern[256];
static struct conf_pair static_labels[] = {{"job", "varlogs"}, {"app", "x"}};

/* Host files are in the folder "host" beside the pods. */
static void use_files(struct fixture *f, const char *glob)
{
    snprintf(pattern, sizeof pattern, "%s/host/%s", f->root, glob);
    paths[0] = pattern;
    files = (struct agent_log_files){.paths = {paths, 1}, .labels = {static_labels, 2}};
    f->config.logs.files = (struct conf_list){&files, 1};
}

static void host_path(const struct fixture *f, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/host/%s", f->root, name);
}

static void put_host(const struct fixture *f, const char *name, const char *text)
{
    char below[PATH_MAX];
    snprintf(below, sizeof below, "../host/%s", name);
    put_bytes(f, below, text, strlen(text));
}

static void rename_host(const struct fixture *f, const char *from, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];
    host_path(f, from, old);
    host_path(f, to, new);
    assert_int_equal(rename(old, new), 0);
}

static void set_age(const struct fixture *f, const char *name, int seconds)
{
    char path[PATH_MAX];
    struct utimbuf times = {time(NULL) - seconds, time(NULL) - seconds};
    host_path(f, name, path);
    assert_int_equal(utime(path, &times), 0);
}

static void test_host_tells_what_a_rotation_adds_to_a_name(void **state)
{
    static const struct {
        const char *name;
        size_t len;
    } rows[] = {{"syslog", 0},
                {"syslog.1", 2},
                {"syslog.12.gz", 6},
                {"a.log-20251122", 9},
                {"a.log-20251122.gz", 12},
                {"a.log.2025-11-22", 11},
                {"a.log", 0},
                {"1", 0},
                {".1", 0},
                {"-1", 0},
                {"a-", 0},
                {"", 0},
                {"a.gz", 0},
                {"a2", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tail_host_rotation_len(rows[i].name) != rows[i].len)
            fail_msg("%s: %zu", rows[i].name, tail_host_rotation_len(rows[i].name));
}

static void test_host_reads_files_by_glob_with_static_labels(void **state)
{
    struct fixture *f = *state;
    use_files(f, "*.log");
    put_host(f, "a.log", "one\n\xff two\n{\"log\":\"x\"}\n2026-11-22T10:00:00Z stdout F cri\nno newline");
    put_host(f, "other.txt", "not this\n");
    start(f);
    expect(f,
           "file|one\nfile|\xef\xbf\xbd two\nfile|{\"log\":\"x\"}\nfile|2026-11-22T10:00:00Z stdout F cri\n");
    assert_string_equal(f->labels, "{app=\"x\", job=\"varlogs\"}");
    for (int i = 1; i < f->count; i++)
        assert_true(f->times[i] > f->times[i - 1]);
    assert_int_equal(stats_get(stats_cell(f->stats, AGENT_LOG_UNPARSED)), 0);
}

static void test_host_gives_equal_lines_of_two_files_two_times(void **state)
{
    struct fixture *f = *state;
    use_files(f, "*.log");
    put_host(f, "a.log", "same\nsame\n");
    put_host(f, "b.log", "same\nsame\n");
    start(f);
    take_all(f);
    assert_int_equal(f->count, 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(f->times[i] != f->times[k]);
}

static void test_host_follows_a_rotation_and_reads_nothing_twice(void **state)
{
    struct fixture *f = *state;
    use_files(f, "sys*");
    put_host(f, "syslog", "one\n");
    start(f);
    expect(f, "file|one\n");
    put_host(f, "syslog", "two\n");
    rename_host(f, "syslog", "syslog.1");
    put_host(f, "syslog", "three\n");
    expect(f, "file|one\nfile|two\nfile|three\n");
    rename_host(f, "syslog.1", "syslog.2");
    rename_host(f, "syslog", "syslog.1");
    put_host(f, "syslog", "four\n");
    expect(f, "file|one\nfile|two\nfile|three\nfile|four\n");
}

static void test_host_reads_what_was_rotated_while_the_agent_was_away(void **state)
{
    struct fixture *f = *state;
    use_files(f, "*.log");
    put_host(f, "a.log.7", "long ago\n");
    set_age(f, "a.log.7", 700);
    put_host(f, "a.log", "one\n");
    start(f);
    expect(f, "file|one\n");
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put_host(f, "a.log", "two\n");
    rename_host(f, "a.log", "a.log.2");
    set_age(f, "a.log.2", 100);
    put_host(f, "a.log.1", "three\n");
    set_age(f, "a.log.1", 50);
    put_host(f, "a.log", "four\n");
    start(f);
    expect(f, "file|one\nfile|two\nfile|three\nfile|four\n");
}

static void test_host_leaves_out_what_is_excluded(void **state)
{
    struct fixture *f = *state;
    static char excluded[256];
    static const char *exclude[] = {excluded};
    use_files(f, "*.log");
    snprintf(excluded, sizeof excluded, "%s/host/b*", f->root);
    files.exclude = (struct conf_strings){exclude, 1};
    put_host(f, "a.log", "one\n");
    put_host(f, "b.log", "two\n");
    start(f);
    expect(f, "file|one\n");
}

static void test_start_end_skips_what_was_there_before_the_agent_only(void **state)
{
    struct fixture *f = *state;
    use_files(f, "*.log");
    f->config.logs.read_from = "end";
    put_host(f, "a.log", "old\nold, no newline");
    put(f, POD "/0.log.20260101-000000", "stdout F old");
    put(f, POD "/0.log", "stdout F old");
    start(f);
    expect(f, "");
    put_host(f, "a.log", " yet\nnew\n");
    put(f, POD "/0.log", "stdout F new");
    put(f, "demo_later_uid-9/web/0.log", "stdout F its first");
    take_all(f);
    assert_null(strstr(f->got, "|old\n"));
    assert_non_null(strstr(f->got, "file|old, no newline yet\nfile|new\n"));
    assert_non_null(strstr(f->got, "stdout|new\n"));
    assert_non_null(strstr(f->got, "stdout|its first\n"));
    assert_int_equal(logs_save(f->logs), 0);
    stop(f);
    put(f, POD "/0.log.20260102-000000", "stdout F rotated while away"); /* of a log that is known */
    start(f);
    take_all(f);
    assert_non_null(strstr(f->got, "stdout|rotated while away\n"));
}

static void test_start_duration_begins_at_the_first_line_of_that_time(void **state)
{
    struct fixture *f = *state;
    char line[64], expected[64];
    f->config.logs.read_from = "1h";
    for (int i = 0; i < 20000; i++) { /* 20000 s to 1 s old, about 1 MB */
        snprintf(line, sizeof line, "stdout F line %d", i);
        put_aged(f, POD "/0.log", line, 20000 - i);
    }
    start(f);
    take_all(f);
    int first = 0;
    assert_int_equal(sscanf(f->got, "stdout|line %d\n", &first), 1);
    assert_in_range(first, 20000 - 3600, 20000 - 3590); /* writing took a moment */
    assert_int_equal(f->count, 20000 - first);
    snprintf(expected, sizeof expected, "stdout|line %d\n", 19999);
    assert_non_null(strstr(f->got, expected));
}

static void test_start_reads_its_option(void **state)
{
    int64_t from_ns;
    (void)state;
    assert_int_equal(tail_start_parse("beginning", 5, &from_ns), 0);
    assert_true(from_ns == TAIL_START_ALL);
    assert_int_equal(tail_start_parse("end", 5, &from_ns), 0);
    assert_true(from_ns == TAIL_START_END);
    assert_int_equal(tail_start_parse("2s", INT64_C(5000000000), &from_ns), 0);
    assert_true(from_ns == INT64_C(3000000000));
    assert_int_equal(tail_start_parse("2x", INT64_C(5000000000), &from_ns), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_tells_what_a_rotation_adds_to_a_name),
        TEST(test_host_reads_files_by_glob_with_static_labels),
        TEST(test_host_gives_equal_lines_of_two_files_two_times),
        TEST(test_host_follows_a_rotation_and_reads_nothing_twice),
        TEST(test_host_reads_what_was_rotated_while_the_agent_was_away),
        TEST(test_host_leaves_out_what_is_excluded),
        TEST(test_start_end_skips_what_was_there_before_the_agent_only),
        TEST(test_start_duration_begins_at_the_first_line_of_that_time),
        cmocka_unit_test(test_start_reads_its_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
