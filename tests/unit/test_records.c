/* Payloads as people and programs see them. JSON is read back by jansson, which is not ours. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ask/record_print.h"
#include "gateway/fanout/record_source.h"
#include "tests/unit/records_fixture.h"

#define T0 INT64_C(1763830800000000001) /* 2025-11-22T17:00:00.000000001Z */

struct shown {
    struct buf human, json;
    int count, stop_at;
};

static int show(void *ctx, const struct record *record)
{
    struct shown *shown = ctx;
    record_print_human(record, &shown->human);
    record_print_json(record, &shown->json);
    shown->count++;
    return shown->count == shown->stop_at ? 7 : 0;
}

static int walk(enum batch_format format, const struct buf *raw, struct shown *shown)
{
    *shown = (struct shown){.stop_at = shown->stop_at};
    buf_init(&shown->human, 1 << 20);
    buf_init(&shown->json, 1 << 20);
    return records_each(format, buf_bytes(raw), show, shown);
}

static void fini(struct shown *shown)
{
    buf_fini(&shown->human);
    buf_fini(&shown->json);
}

static void assert_text(const struct buf *buf, const char *expected)
{
    if (buf->len != strlen(expected) || memcmp(buf->ptr, expected, buf->len) != 0)
        fail_msg("got      %.*s\nexpected %s", (int)buf->len, (const char *)buf->ptr, expected);
}

static void test_records_shows_samples(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    const int64_t times[] = {1763830800000, 1763830815500};
    buf_init(&raw, 1 << 16);
    put_series(&raw, "up", "node-1", times, 2);
    assert_int_equal(walk(FORMAT_REMOTE_WRITE_1, &raw, &shown), 0);
    assert_text(&shown.human, "2025-11-22T17:00:00.000000000Z up{instance=\"node-1\"} 1\n"
                              "2025-11-22T17:00:15.500000000Z up{instance=\"node-1\"} 2\n");
    assert_text(&shown.json, "{\"time\":\"2025-11-22T17:00:00.000000000Z\",\"labels\":{\"__name__\":\"up\","
                             "\"instance\":\"node-1\"},"
                             "\"value\":1}\n"
                             "{\"time\":\"2025-11-22T17:00:15.500000000Z\",\"labels\":{\"__name__\":\"up\","
                             "\"instance\":\"node-1\"},"
                             "\"value\":2}\n");
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_shows_values_that_are_no_json_numbers_as_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *human, *json;
    } cases[] = {
        {NAN, "NaN", "\"NaN\""}, {INFINITY, "+Inf", "\"+Inf\""},        {-INFINITY, "-Inf", "\"-Inf\""},
        {0.1, "0.1", "0.1"},     {-12345678, "-12345678", "-12345678"}, {1e300, "1e+300", "1e+300"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct record record;
        struct buf out;
        char expected[128];
        buf_init(&out, 1024);
        record.kind = RECORD_SAMPLE;
        record.value = cases[i].value;
        record_print_human(&record, &out);
        snprintf(expected, sizeof expected, "1970-01-01T00:00:00.000000000Z {} %s\n", cases[i].human);
        assert_text(&out, expected);
        buf_clear(&out);
        record_print_json(&record, &out);
        snprintf(expected, sizeof expected,
                 "{\"time\":\"1970-01-01T00:00:00.000000000Z\",\"labels\":{},\"value\":%s}\n", cases[i].json);
        assert_text(&out, expected);
        buf_fini(&out);
    }
}

static void test_records_shows_lines_with_their_labels(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    buf_init(&raw, 1 << 16);
    put_line(&raw, "{namespace=\"shop\", pod=\"a\\\"b\"}", T0, "hello");
    put_line(&raw, "{}", -1, "before 1970");
    assert_int_equal(walk(FORMAT_LOKI_PUSH, &raw, &shown), 0);
    assert_text(&shown.human, "2025-11-22T17:00:00.000000001Z {namespace=\"shop\",pod=\"a\"b\"} hello\n"
                              "1969-12-31T23:59:59.999999999Z {} before 1970\n");
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_line_cannot_drive_the_terminal(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    buf_init(&raw, 1 << 16);
    put_line(&raw, "{a=\"\x1b]0;x\x07\"}", T0, "\x1b[2J\tred\r\x7f");
    assert_int_equal(walk(FORMAT_LOKI_PUSH, &raw, &shown), 0);
    assert_text(&shown.human,
                "2025-11-22T17:00:00.000000001Z {a=\"\\x1b]0;x\\x07\"} \\x1b[2J\tred\\x0d\\x7f\n");
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_json_is_valid_whatever_the_bytes(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    uint8_t every[256];
    size_t stream;
    for (int i = 0; i < 256; i++)
        every[i] = (uint8_t)i;
    buf_init(&raw, 1 << 16);
    pb_begin(&raw, 1, &stream);
    pb_put_string(&raw, 1, "{a=\"1\"}");
    put_entry(&raw, T0, (struct bytes){every, sizeof every});
    pb_end(&raw, stream);
    assert_int_equal(walk(FORMAT_LOKI_PUSH, &raw, &shown), 0);
    json_error_t error;
    json_t *json = json_loadb((const char *)shown.json.ptr, shown.json.len, JSON_ALLOW_NUL, &error);
    assert_non_null(json);
    assert_true(json_string_length(json_object_get(json, "line")) > 128);
    json_decref(json);
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_shows_spans(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    buf_init(&raw, 1 << 16);
    put_trace(&raw, "shop", "GET /", T0);
    assert_int_equal(walk(FORMAT_OTLP_TRACES, &raw, &shown), 0);
    assert_text(&shown.human,
                "2025-11-22T17:00:00.000000001Z ab0102030405060708090a0b0c0d0e0f ab01020304050607 1.500ms "
                "error GET / {service.name=\"shop\",http.status_code=\"-503\"}\n");
    assert_text(&shown.json,
                "{\"time\":\"2025-11-22T17:00:00.000000001Z\",\"trace_id\":"
                "\"ab0102030405060708090a0b0c0d0e0f\",\"span_id\":\"ab01020304050607\","
                "\"parent_span_id\":\"\",\"name\":\"GET /\",\"duration_ns\":1500000,\"status\":\"error\","
                "\"resource\":{\"service.name\":\"shop\"},\"attributes\":{\"http.status_code\":\"-503\"}}\n");
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_stops_when_told_and_names_damage(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {.stop_at = 2};
    const int64_t times[] = {1, 2, 3};
    buf_init(&raw, 1 << 16);
    put_series(&raw, "up", "x", times, 3);
    assert_int_equal(walk(FORMAT_REMOTE_WRITE_1, &raw, &shown), 7);
    assert_int_equal(shown.count, 2);
    fini(&shown);
    shown.stop_at = 0;
    buf_append(&raw, "\x0a\x7f", 2); /* a series that says it is longer than the message */
    assert_int_equal(walk(FORMAT_REMOTE_WRITE_1, &raw, &shown), -EBADMSG);
    assert_int_equal(shown.count, 3);
    fini(&shown);
    assert_int_equal(walk(FORMAT_OTLP_METRICS, &raw, &shown), -EPROTONOSUPPORT);
    fini(&shown);
    buf_fini(&raw);
}

static void test_records_leaves_out_what_is_too_much(void **state)
{
    (void)state;
    struct buf raw;
    struct shown shown = {0};
    size_t series, sample;
    char name[16];
    buf_init(&raw, 1 << 20);
    pb_begin(&raw, 1, &series);
    for (int i = 0; i < 3 * RECORD_MAX_PAIRS; i++) {
        snprintf(name, sizeof name, "l%d", i);
        put_pair(&raw, 1, name, "v");
    }
    pb_begin(&raw, 2, &sample);
    pb_put_double(&raw, 1, 1);
    pb_end(&raw, sample);
    pb_end(&raw, series);
    assert_int_equal(walk(FORMAT_REMOTE_WRITE_1, &raw, &shown), 0);
    assert_int_equal(shown.count, 1);
    assert_null(memmem(shown.json.ptr, shown.json.len, "\"l128\"", 6));
    assert_non_null(memmem(shown.json.ptr, shown.json.len, "\"l127\"", 6));
    fini(&shown);
    buf_fini(&raw);
}

/* An ExportLogsServiceRequest with one log record: logs.proto, resource_logs 1, resource 1, scope_logs 2,
 * log_records 2, body 5. */
static void put_log(struct buf *b, const char *attribute, const char *value)
{
    size_t resource_logs, resource, scope, log, body;
    pb_begin(b, 1, &resource_logs);
    pb_begin(b, 1, &resource);
    put_text_attribute(b, 1, "service.name", "shop");
    put_text_attribute(b, 1, attribute, value);
    pb_end(b, resource);
    pb_begin(b, 2, &scope);
    pb_begin(b, 2, &log);
    pb_begin(b, 5, &body);
    pb_put_string(b, 1, "a line");
    pb_end(b, body);
    pb_end(b, log);
    pb_end(b, scope);
    pb_end(b, resource_logs);
}

static void assert_source(enum batch_format format, struct buf *raw, const char *expected)
{
    char source[RECORD_SOURCE_MAX];
    record_source_of(format, buf_bytes(raw), source);
    assert_string_equal(source, expected);
    buf_clear(raw);
}

static void test_record_source_is_told_of_what_applications_send_translated_or_not(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 16);
    put_log(&raw, "other", "x");
    assert_source(FORMAT_OTLP_LOGS, &raw, "service shop");
    put_log(&raw, "k8s.pod.name", "cart-1");
    assert_source(FORMAT_OTLP_LOGS, &raw, "pod /cart-1");
    put_line(&raw, "{service_name=\"shop\"}", T0, "a line");
    assert_source(FORMAT_LOKI_PUSH, &raw, "service shop");
    put_line(&raw, "{k8s_namespace_name=\"eu\",k8s_pod_name=\"cart-1\",service_name=\"shop\"}", T0, "a line");
    assert_source(FORMAT_LOKI_PUSH, &raw, "pod eu/cart-1");
    put_line(&raw, "{container=\"app\",namespace=\"eu\",pod=\"cart-1\"}", T0, "a line");
    assert_source(FORMAT_LOKI_PUSH, &raw, "pod eu/cart-1/app");
    buf_fini(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_shows_samples),
        cmocka_unit_test(test_records_shows_values_that_are_no_json_numbers_as_text),
        cmocka_unit_test(test_records_shows_lines_with_their_labels),
        cmocka_unit_test(test_records_line_cannot_drive_the_terminal),
        cmocka_unit_test(test_records_json_is_valid_whatever_the_bytes),
        cmocka_unit_test(test_records_shows_spans),
        cmocka_unit_test(test_records_stops_when_told_and_names_damage),
        cmocka_unit_test(test_records_leaves_out_what_is_too_much),
        cmocka_unit_test(test_record_source_is_told_of_what_applications_send_translated_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
