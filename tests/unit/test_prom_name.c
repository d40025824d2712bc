/* Names of metrics and labels, and numbers as text. Expected values: the OpenTelemetry specification's
 * examples, and what Prometheus 3.16 stored. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "gateway/translate/number_text.h"
#include "gateway/translate/prom_name.h"
#include "tests/unit/unit.h"

struct metric_name {
    const char *name, *unit;
    enum prom_kind kind;
    const char *wanted; /* NULL: refused */
};
static const struct metric_name metric_names[] = {
    {"http.server.duration", "ms", PROM_OTHER, "http_server_duration_milliseconds"},
    {"http.server.duration", "s", PROM_OTHER, "http_server_duration_seconds"},
    {"system.network.io", "By", PROM_COUNTER, "system_network_io_bytes_total"},
    {"requests.total", "{request}", PROM_COUNTER, "requests_total"},
    {"total.requests", "1", PROM_COUNTER, "requests_total"},
    {"cpu.utilization", "1", PROM_GAUGE, "cpu_utilization_ratio"},
    {"cpu.ratio", "1", PROM_GAUGE, "cpu_ratio"},
    {"speed", "m/s", PROM_GAUGE, "speed_meters_per_second"},
    {"rate", "{packet}/s", PROM_GAUGE, "rate_per_second"},
    {"rate", "/s", PROM_GAUGE, "rate_per_second"},
    {"disk.bytes", "By", PROM_OTHER, "disk_bytes"},
    {"a__b---c", "", PROM_OTHER, "a_b_c"},
    {"_leading", "", PROM_OTHER, "leading"},
    {"9lives", "%", PROM_GAUGE, "_9lives_percent"},
    {"odd", "foo-bar/baz qux", PROM_OTHER, "odd_foo_bar_per_baz_qux"},
    {"job:rule:sum", "", PROM_OTHER, "job:rule:sum"},
    {"\xc3\xa9t\xc3\xa9", "", PROM_OTHER, "t"},
    {"", "s", PROM_OTHER, NULL},
    {"\xc3\xa9", "", PROM_OTHER, NULL},
};

static void check_text(struct buf *out, const char *wanted)
{
    assert_int_equal(buf_append(out, "", 1), 0);
    assert_string_equal((char *)out->ptr, wanted);
}

static void test_prom_name_follows_the_specification(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof metric_names / sizeof *metric_names; i++) {
        const struct metric_name *m = &metric_names[i];
        struct buf out;
        buf_init(&out, 4096);
        int err = prom_name_put_metric(bytes_of_string(m->name), bytes_of_string(m->unit), m->kind, &out);
        assert_int_equal(err, m->wanted ? 0 : -EINVAL);
        if (m->wanted)
            check_text(&out, m->wanted);
        buf_fini(&out);
    }
}

static void test_prom_name_refuses_a_name_without_end(void **state)
{
    (void)state;
    char name[4096];
    struct buf out;
    buf_init(&out, 16384);
    for (size_t i = 0; i + 1 < sizeof name; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[sizeof name - 1] = 0;
    assert_int_equal(prom_name_put_metric(bytes_of_string(name), (struct bytes){0}, PROM_OTHER, &out),
                     -E2BIG);
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(prom_name_put_metric(bytes_of_string(name), (struct bytes){0}, PROM_OTHER, &out),
                     -E2BIG);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void check_label(const char *name, bool key_first, const char *wanted)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(prom_name_put_label(bytes_of_string(name), key_first, &out), wanted ? 0 : -EINVAL);
    if (wanted)
        check_text(&out, wanted);
    buf_fini(&out);
}

static void test_prom_name_makes_labels_valid(void **state)
{
    (void)state;
    check_label("http.status_code", true, "http_status_code");
    check_label("a..b", true, "a_b");
    check_label("1st", true, "key_1st");
    check_label("_private", true, "key_private");
    check_label("_private", false, "_private");
    check_label("__reserved.name__", true, "__reserved_name__");
    check_label("\xc3\xa9", true, "key_");
    check_label("\xc3\xa9", false, NULL);
    check_label("", true, NULL);
}

static void check_number(double value, enum number_form form, const char *wanted)
{
    char text[NUMBER_TEXT];
    assert_int_equal(number_text(value, form, text), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void test_number_text_is_the_shortest(void **state)
{
    (void)state;
    check_number(0.005, NUMBER_PLAIN, "0.005");
    check_number(10, NUMBER_PLAIN, "10");
    check_number(-2.5, NUMBER_PLAIN, "-2.5");
    check_number(0.1 + 0.2, NUMBER_PLAIN, "0.30000000000000004");
    check_number(1e-7, NUMBER_PLAIN, "0.0000001");
    check_number(1e-7, NUMBER_JSON, "1e-7");
    check_number(1.5e300, NUMBER_JSON, "1.5e+300");
    check_number(INFINITY, NUMBER_PLAIN, "+Inf");
    check_number(-INFINITY, NUMBER_PLAIN, "-Inf");
    check_number(NAN, NUMBER_JSON, "NaN");
}

static void test_number_text_reads_back_and_fits(void **state)
{
    (void)state;
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) {
        char text[NUMBER_TEXT];
        double value;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        assert_true(number_text(value, i % 2 ? NUMBER_PLAIN : NUMBER_JSON, text) < NUMBER_TEXT);
        assert_true(strtod(text, NULL) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prom_name_follows_the_specification),
        cmocka_unit_test(test_prom_name_refuses_a_name_without_end),
        cmocka_unit_test(test_prom_name_makes_labels_valid),
        cmocka_unit_test(test_number_text_is_the_shortest),
        cmocka_unit_test(test_number_text_reads_back_and_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
