#include "tests/unit/unit.h"

#include <errno.h>

#include "node-agent/logs/docker.h"

#define AT (INT64_C(1763829371) * 1000000000) /* 2025-11-22T16:36:11Z */
#define TIME "\"time\":\"2025-11-22T16:36:11.5Z\""

static struct buf storage;

static int parse(const char *text, struct cri_line *line)
{
    static struct cri_clock clock;
    return docker_parse(&clock, bytes_of_string(text), &storage, line);
}

static void expect(const char *text, enum cri_stream stream, bool partial, const char *rest)
{
    struct cri_line line;
    assert_int_equal(parse(text, &line), 0);
    assert_int_equal(line.time_ns, AT + 500000000);
    assert_int_equal(line.stream, stream);
    assert_int_equal(line.partial, partial);
    assert_int_equal(line.text.len, strlen(rest));
    assert_memory_equal(line.text.ptr, rest, strlen(rest));
}

static void test_docker_takes_full_lines_and_pieces(void **state)
{
    (void)state;
    expect("{\"log\":\"plain\\n\",\"stream\":\"stdout\"," TIME "}", CRI_STDOUT, false, "plain");
    expect("{\"log\":\"\\n\",\"stream\":\"stderr\"," TIME "}", CRI_STDERR, false, "");
    expect("{\"log\":\"a piece\",\"stream\":\"stdout\"," TIME "}", CRI_STDOUT, true, "a piece");
    expect("{\"log\":\"\",\"stream\":\"stdout\"," TIME "}", CRI_STDOUT, true, "");
}

static void test_docker_resolves_escapes(void **state)
{
    (void)state;
    expect("{\"log\":\"tab\\tquote\\\" \\u003cb\\u003e \\u00e9 \\u20ac \\ud83d\\ude00\\r\\n\",\"stream\":"
           "\"stdout\"," TIME "}",
           CRI_STDOUT, false, "tab\tquote\" <b> \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\r");
    expect("{\"log\":\"half \\ud83d pair\\n\",\"stream\":\"stdout\"," TIME "}", CRI_STDOUT, false,
           "half \xef\xbf\xbd pair");
    /* a backslash before an n is not a newline: this is a piece */
    expect("{\"log\":\"C:\\\\n\",\"stream\":\"stdout\"," TIME "}", CRI_STDOUT, true, "C:\\n");
}

static void test_docker_passes_over_other_members_and_any_order(void **state)
{
    (void)state;
    expect("{" TIME ",\"attrs\":{\"a\":\"}\",\"b\":[1,{\"c\":\"]\\\"\"}]},\"n\":-1.5e3, \"t\":true,"
           "\"stream\":\"stderr\",\"log\":\"x\\n\"} ",
           CRI_STDERR, false, "x");
    expect("{ \"log\" : \"x\\n\" , \"stream\" : \"stdout\" , \"time\" : \"2025-11-22T18:36:11.5+02:00\" }",
           CRI_STDOUT, false, "x");
}

static void test_docker_refuses_what_is_not_its_format(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "plain",
        "2025-11-22T16:36:11Z stdout F x",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdin\"," TIME "}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"yesterday\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2025-11-22T16:36:11Zz\"}",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\"," TIME,
        "{\"log\":\"x\\n\",\"stream\":\"stdout\"," TIME "} more",
        "{\"log\":\"\\q\\n\",\"stream\":\"stdout\"," TIME "}",
        "{\"log\":\"\\u00g0\\n\",\"stream\":\"stdout\"," TIME "}",
        "{\"log\":\"\\u00\",\"stream\":\"stdout\"," TIME "}",
        "{\"log\":\"x\\",
        "{\"log\":17,\"stream\":\"stdout\"," TIME "}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct cri_line line;
        assert_int_equal(parse(lines[i], &line), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docker_takes_full_lines_and_pieces),
        cmocka_unit_test(test_docker_resolves_escapes),
        cmocka_unit_test(test_docker_passes_over_other_members_and_any_order),
        cmocka_unit_test(test_docker_refuses_what_is_not_its_format),
    };
    buf_init(&storage, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&storage);
    return failed;
}
