#include "tests/unit/unit.h"

#include <errno.h>

#include "node-agent/logs/cri.h"
#include "node-agent/logs/logtext.h"
#include "node-agent/logs/podpath.h"

static int parse(const char *text, struct cri_line *line)
{
    static struct cri_clock clock;
    return cri_parse(&clock, bytes_of_string(text), line);
}

static void expect(const char *text, int64_t time_ns, enum cri_stream stream, bool partial, const char *rest)
{
    struct cri_line line;
    assert_int_equal(parse(text, &line), 0);
    assert_int_equal(line.time_ns, time_ns);
    assert_int_equal(line.stream, stream);
    assert_int_equal(line.partial, partial);
    assert_int_equal(line.text.len, strlen(rest));
    assert_memory_equal(line.text.ptr, rest, strlen(rest));
}

#define AT INT64_C(1763829371) /* 2025-11-22T16:36:11Z */
#define NS INT64_C(1000000000)

static void test_cri_takes_full_and_partial_lines(void **state)
{
    (void)state;
    expect("2025-11-22T16:36:11.183921806Z stdout F before oom", AT * NS + 183921806, CRI_STDOUT, false,
           "before oom");
    expect("2025-11-22T16:36:11.05133857Z stderr P no newline", AT * NS + 51338570, CRI_STDERR, true,
           "no newline");
    expect("2025-11-22T16:36:11Z stdout F  two  blanks ", AT * NS, CRI_STDOUT, false, " two  blanks ");
    expect("2025-11-22T16:36:11.1234567891Z stdout F x", AT * NS + 123456789, CRI_STDOUT, false, "x");
}

static void test_cri_takes_compound_and_missing_tags(void **state)
{
    (void)state;
    expect("2025-11-22T16:36:11Z stdout P:TAG1:TAG2 x", AT * NS, CRI_STDOUT, true, "x");
    expect("2025-11-22T16:36:11Z stdout F:TAG x", AT * NS, CRI_STDOUT, false, "x");
    expect("2025-11-22T16:36:11Z stdout no tag", AT * NS, CRI_STDOUT, false, "no tag");
    expect("2025-11-22T16:36:11Z stdout Fine", AT * NS, CRI_STDOUT, false, "Fine");
    expect("2025-11-22T16:36:11Z stdout F ", AT * NS, CRI_STDOUT, false, "");
    expect("2025-11-22T16:36:11Z stdout F", AT * NS, CRI_STDOUT, false, "");
    expect("2025-11-22T16:36:11Z stdout ", AT * NS, CRI_STDOUT, false, "");
    expect("2025-11-22T16:36:11Z stdout", AT * NS, CRI_STDOUT, false, "");
}

static void test_cri_applies_offsets(void **state)
{
    (void)state;
    expect("2025-11-22T22:06:11.5+05:30 stdout F x", AT * NS + NS / 2, CRI_STDOUT, false, "x");
    expect("2025-11-22T09:36:11-07:00 stdout F x", AT * NS, CRI_STDOUT, false, "x");
    expect("2024-02-29T00:00:00Z stdout F leap", INT64_C(1709164800) * NS, CRI_STDOUT, false, "leap");
    expect("1970-01-01T00:00:00Z stdout F first", 0, CRI_STDOUT, false, "first");
}

static void test_cri_refuses_what_is_not_its_format(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "plain text",
        "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2025-11-22T16:36:11Z\"}",
        "2025-11-22T16:36:11Z",
        "2025-11-22T16:36:11Z stdin F x",
        "2025-11-22 16:36:11Z stdout F x",
        "2025-13-22T16:36:11Z stdout F x",
        "2025-11-22T24:36:11Z stdout F x",
        "2025-11-22T16:36:11. stdout F x",
        "2025-11-22T16:36:11.5 stdout F x",
        "2025-11-22T16:36:11+0530 stdout F x",
        "1969-12-31T23:59:59Z stdout F x",
        "1970-01-01T00:00:00+01:00 stdout F x",
        "2262-01-01T00:00:00Z stdout F x",
        "2025-11-22T16:36:11Z stdoutF x",
        "2025-1a-22T16:36:11Z stdout F x",
    };
    struct cri_line line;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (parse(lines[i], &line) != -EBADMSG)
            fail_msg("taken: %s", lines[i]);
}

static void test_podpath_splits_folder_and_file_names(void **state)
{
    struct podpath path;
    struct podpath_file file;
    (void)state;
    assert_int_equal(podpath_parse_folder("kube-system_coredns-b5_62bc96fe-4539", &path), 0);
    assert_true(bytes_equal(path.namespace, bytes_of_string("kube-system")));
    assert_true(bytes_equal(path.pod, bytes_of_string("coredns-b5")));
    assert_true(bytes_equal(path.uid, bytes_of_string("62bc96fe-4539")));
    assert_int_equal(podpath_parse_folder("no-underscore", &path), -EINVAL);
    assert_int_equal(podpath_parse_folder("one_underscore", &path), -EINVAL);
    assert_int_equal(podpath_parse_folder("a__b", &path), -EINVAL);
    assert_int_equal(podpath_parse_file("12.log", &file), 0);
    assert_int_equal(file.restart, 12);
    assert_null(file.rotated);
    assert_int_equal(podpath_parse_file("0.log.20250219-233547", &file), 0);
    assert_string_equal(file.rotated, "20250219-233547");
    assert_int_equal(podpath_parse_file("0.log.20250219-233547.gz", &file), 0);
    assert_true(file.zipped);
    assert_int_equal(podpath_parse_file("0.log.20250219-233547.gz.tmp", &file), -EINVAL);
    assert_int_equal(podpath_parse_file("0.log.gz", &file), -EINVAL);
    assert_int_equal(podpath_parse_file("0.log.20250219-233547.tmp", &file), -EINVAL);
    assert_int_equal(podpath_parse_file("0.logs", &file), -EINVAL);
    assert_int_equal(podpath_parse_file("x.log", &file), -EINVAL);
    assert_int_equal(podpath_parse_file("99999999999.log", &file), -EINVAL);
}

static void expect_repaired(const char *text, const char *repaired)
{
    struct buf out;
    buf_init(&out, 1024);
    assert_int_equal(logtext_repair(bytes_of_string(text), &out), 0);
    assert_int_equal(out.len, strlen(repaired));
    if (out.len)
        assert_memory_equal(out.ptr, repaired, out.len);
    assert_int_equal(logtext_is_utf8(bytes_of_string(text)), strcmp(text, repaired) == 0);
    buf_fini(&out);
}

#define BAD "\xef\xbf\xbd"
static void test_logtext_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    expect_repaired("", "");
    expect_repaired("plain ascii that is longer than sixteen bytes",
                    "plain ascii that is longer than sixteen bytes");
    expect_repaired("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
                    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_repaired("a\xff"
                    "b",
                    "a" BAD "b");
    expect_repaired("\xc0\xaf", BAD BAD);         /* overlong */
    expect_repaired("\xed\xa0\x80", BAD BAD BAD); /* a surrogate */
    expect_repaired("\xf4\x90\x80\x80", BAD BAD BAD BAD);
    expect_repaired("cut \xe2\x82", "cut " BAD);
    expect_repaired("0123456789abcdef\x80"
                    "0123456789abcdef",
                    "0123456789abcdef" BAD "0123456789abcdef");
}

static void test_logtext_cuts_between_characters(void **state)
{
    size_t mark = strlen(LOGTEXT_MARK);
    (void)state;
    assert_int_equal(logtext_cut_len(bytes_of_string("abcdef"), mark + 3), 3);
    assert_int_equal(logtext_cut_len(bytes_of_string("ab\xe2\x82\xac"
                                                     "def"),
                                     mark + 4),
                     2);
    assert_int_equal(logtext_cut_len(bytes_of_string("ab\xe2\x82\xac"
                                                     "def"),
                                     mark + 5),
                     5);
    assert_int_equal(logtext_cut_len(bytes_of_string("ab"), mark + 5), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cri_takes_full_and_partial_lines),
        cmocka_unit_test(test_cri_takes_compound_and_missing_tags),
        cmocka_unit_test(test_cri_applies_offsets),
        cmocka_unit_test(test_cri_refuses_what_is_not_its_format),
        cmocka_unit_test(test_podpath_splits_folder_and_file_names),
        cmocka_unit_test(test_logtext_replaces_what_is_not_utf8),
        cmocka_unit_test(test_logtext_cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
