/* The reader of the text exposition format. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/scrape/exposition.h"
#include "tests/unit/unit.h"

static void show_entry(const struct exposition_entry *e, struct buf *out)
{
    static const char *const kinds[] = {"", "help ", "type "};
    buf_printf(out, "%s%.*s", kinds[e->kind], (int)e->name.len, (const char *)e->name.ptr);
    if (e->kind != EXPOSITION_SAMPLE) {
        buf_printf(out, " [%.*s]\n", (int)e->text.len, (const char *)e->text.ptr);
        return;
    }
    for (size_t i = 0; i < e->label_count; i++)
        buf_printf(out, " %.*s=[%.*s]", (int)e->labels[i].name.len, (const char *)e->labels[i].name.ptr,
                   (int)e->labels[i].value.len, (const char *)e->labels[i].value.ptr);
    buf_printf(out, " %.17g", e->value);
    if (e->has_time)
        buf_printf(out, " @%lld", (long long)e->time_ms);
    buf_append_string(out, "\n");
}

/* The page as one line an entry, with the error at its end. The caller frees. */
static char *read_page(const char *page)
{
    struct exposition parser;
    struct exposition_entry entry;
    struct buf out;
    int got;
    buf_init(&out, 4 << 20);
    exposition_init(&parser, bytes_of_string(page));
    while ((got = exposition_next(&parser, &entry)) == 1)
        show_entry(&entry, &out);
    if (got == -EBADMSG)
        buf_printf(&out, "line %zu: %s", parser.line, parser.problem);
    else
        assert_int_equal(got, 0);
    buf_append(&out, "", 1);
    exposition_fini(&parser);
    return (char *)out.ptr;
}

static void expect(const char *page, const char *want)
{
    char *got = read_page(page);
    assert_string_equal(got, want);
    free(got);
}

static void test_exposition_reads_the_documents_example(void **state)
{
    (void)state;
    expect("# HELP http_requests_total The total number of HTTP requests.\n"
           "# TYPE http_requests_total counter\n"
           "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
           "\n"
           "# Escaping in label values:\n"
           "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find "
           "file:\\n\\\"FILE.TXT\\\"\"} "
           "1.458255915e9\n"
           "metric_without_timestamp_and_labels 12.5\n"
           "something_weird{problem=\"division by zero\"} +Inf -3982045\n"
           "rpc_duration_seconds{quantile=\"0.01\"} 3102\n",
           "help http_requests_total [The total number of HTTP requests.]\n"
           "type http_requests_total [counter]\n"
           "http_requests_total method=[post] code=[200] 1027 @1395066363000\n"
           "msdos_file_access_time_seconds path=[C:\\DIR\\FILE.TXT] error=[Cannot find file:\n\"FILE.TXT\"] "
           "1458255915\n"
           "metric_without_timestamp_and_labels 12.5\n"
           "something_weird problem=[division by zero] inf @-3982045\n"
           "rpc_duration_seconds quantile=[0.01] 3102\n");
}

static void test_exposition_takes_blanks_and_tabs_between_tokens(void **state)
{
    (void)state;
    expect("\t a:b_1 \t{ x = \"1\" , y\t=\t\"2\",} \t 3 \t 4\t\n", "a:b_1 x=[1] y=[2] 3 @4\n");
    expect("  #  TYPE \t a   gauge \n", "type a [gauge]\n");
    expect("a{}1\n", "a 1\n");
    expect("", "");
    expect("#HELP nothing\n#\n# \n# HELPFUL x\n", "");
    expect("# HELP a\n# HELP b  two  words \n", "help a []\nhelp b [two  words ]\n");
}

static void test_exposition_keeps_unknown_escapes_as_prometheus_does(void **state)
{
    (void)state;
    expect("a{re=\"\\d\\\\\\\"\",b=\"\\n\"} 1\n", "a re=[\\d\\\"] b=[\n] 1\n");
}

static void test_exposition_reads_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"0", 0},           {"-1.5e3", -1500},      {".5", .5},          {"1e400", INFINITY},
                 {"+inf", INFINITY}, {"Infinity", INFINITY}, {"-Inf", -INFINITY}, {"5e-324", 5e-324},
                 {"0.1", 0.1},       {"1e-400", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char page[64];
        struct exposition parser;
        struct exposition_entry entry;
        snprintf(page, sizeof page, "a %s\n", cases[i].text);
        exposition_init(&parser, bytes_of_string(page));
        assert_int_equal(exposition_next(&parser, &entry), 1);
        assert_true(entry.value == cases[i].value);
        exposition_fini(&parser);
    }
    static const char *const bad[] = {"x", "0x10", "1_000", "nan(1)", "-NaN", "1.2.3", "--1", "1\r"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char page[64];
        snprintf(page, sizeof page, "ok 1\na %s\n", bad[i]);
        expect(page, "ok 1\nline 2: value is not a number");
    }
}

static void test_exposition_has_one_nan_that_is_not_the_stale_one(void **state)
{
    (void)state;
    struct exposition parser;
    struct exposition_entry entry;
    uint64_t bits;
    exposition_init(&parser, bytes_of_string("a nAn\n"));
    assert_int_equal(exposition_next(&parser, &entry), 1);
    memcpy(&bits, &entry.value, sizeof bits);
    assert_true(bits == UINT64_C(0x7ff8000000000001));
    exposition_fini(&parser);
}

static void test_exposition_names_the_line_and_the_fault(void **state)
{
    (void)state;
    expect("a 1\nb 2", "a 1\nline 2: the last line does not end in a newline");
    expect("a\n", "line 1: expected a value");
    expect("a{b=\"c\"}\n", "line 1: expected a value");
    expect("a-b 1\n", "line 1: invalid character in a metric name");
    expect("1a 1\n", "line 1: expected a metric name");
    expect("a{1=\"c\"} 1\n", "line 1: expected a label name");
    expect("a{b:c=\"c\"} 1\n", "line 1: expected = after a label name");
    expect("a{b} 1\n", "line 1: expected = after a label name");
    expect("a{b=c} 1\n", "line 1: expected a quoted label value");
    expect("a{b=\"c} 1\n", "line 1: label value has no closing quote");
    expect("a{b=\"c\\\"} 1\n", "line 1: label value has no closing quote");
    expect("a{b=\"c\" d=\"e\"} 1\n", "line 1: expected , or } after a label value");
    expect("a{b=\"c\",,} 1\n", "line 1: expected a label name");
    expect("a{b=\"c\"\n", "line 1: expected , or } after a label value");
    expect("a{b=\"\xc3\x28\"} 1\n", "line 1: label value is not UTF-8");
    expect("a 1 2 3\n", "line 1: expected the end of the line");
    expect("a 1 2.5\n", "line 1: timestamp is not an integer");
    expect("a 1 9223372036854775808\n", "line 1: timestamp is not an integer");
    expect("a 1 -9223372036854775808\n", "a 1 @-9223372036854775808\n");
    expect("\n\n# TYPE a enum\n", "line 3: expected counter, gauge, histogram, summary or untyped");
    expect("# TYPE a\n", "line 1: expected counter, gauge, histogram, summary or untyped");
    expect("# TYPE 1 gauge\n", "line 1: expected a metric name after HELP or TYPE");
}

static void test_exposition_bounds_a_line(void **state)
{
    (void)state;
    size_t len = EXPOSITION_MAX_LINE + 2;
    char *page = malloc(len + 1);
    memset(page, 'a', len);
    page[len - 1] = '\n';
    page[len] = '\0';
    expect(page, "line 1: line is too long");
    memcpy(page + len - 4, " 1\n", 4);
    char *got = read_page(page);
    assert_string_equal(got + strlen(got) - 3, " 1\n");
    free(got);
    free(page);
}

static void test_exposition_takes_at_most_128_labels(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 1 << 20);
    for (int count = 128; count <= 129; count++) {
        buf_clear(&page);
        buf_append_string(&page, "a{");
        for (int i = 0; i < count; i++)
            buf_printf(&page, "l%d=\"\\\\%d\",", i, i);
        buf_append(&page, "} 1\n", 5);
        char *got = read_page((const char *)page.ptr);
        if (count > 128)
            assert_string_equal(got, "line 1: too many labels");
        else
            assert_non_null(strstr(got, " l0=[\\0] l1=[\\1] ") && strstr(got, " l127=[\\127] 1\n") ? got
                                                                                                   : NULL);
        free(got);
    }
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exposition_reads_the_documents_example),
        cmocka_unit_test(test_exposition_takes_blanks_and_tabs_between_tokens),
        cmocka_unit_test(test_exposition_keeps_unknown_escapes_as_prometheus_does),
        cmocka_unit_test(test_exposition_reads_numbers),
        cmocka_unit_test(test_exposition_has_one_nan_that_is_not_the_stale_one),
        cmocka_unit_test(test_exposition_names_the_line_and_the_fault),
        cmocka_unit_test(test_exposition_bounds_a_line),
        cmocka_unit_test(test_exposition_takes_at_most_128_labels),
    };
    return cmocka_run_group_tests_name("exposition", tests, NULL, NULL);
}
