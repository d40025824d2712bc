/* OTLP in JSON as protobuf: against bytes written by hand, field by field. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/otlp/otlp_json.h"
#include "base/pb.h"
#include "tests/unit/unit.h"

static int transcode(const char *json, enum telemetry signal, struct buf *out)
{
    buf_init(out, 1 << 20);
    return otlp_json_transcode(bytes_of_string(json), signal, out);
}

/* The content of the field reached by the numbers in path, taking the last of each. */
static struct pb_field find(struct bytes message, const char *path)
{
    struct pb_field field, found = {.bytes = message};
    for (; *path; path++) {
        struct bytes rest = found.bytes;
        bool is_there = false;
        while (pb_next(&rest, &field) > 0)
            if (field.number == (uint32_t)(*path <= '9' ? *path - '0' : *path - 'a' + 10)) {
                found = field;
                is_there = true;
            }
        if (!is_there)
            fail_msg("nothing at %s", path);
    }
    return found;
}

static void test_otlp_json_writes_a_span_field_by_field(void **state)
{
    (void)state;
    struct buf out;
    static const char json[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
        "\"stringValue\":"
        "\"shop\"}}]},\n\"scopeSpans\":[{\"scope\":{\"name\":\"lib\"},\"spans\":[{\"traceId\":"
        "\"5B8EFFF798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"parentSpanId\":\"\",\"name\":"
        "\"a \\\"b\\\" "
        "\\u00e9\\ud83d\\ude00\\ud800\",\"kind\":2,\"startTimeUnixNano\":\"1544712660000000000\","
        "\"endTimeUnixNano\":1544712661000000000,\"flags\":257,\"status\":{\"code\":1}}]}]}]}";
    assert_int_equal(transcode(json, TELEMETRY_TRACES, &out), 0);
    struct bytes all = buf_bytes(&out);
    assert_true(bytes_equal(find(all, "11121").bytes, bytes_of_string("shop")));
    assert_true(bytes_equal(find(all, "1211").bytes, bytes_of_string("lib")));
    assert_memory_equal(find(all, "1221").bytes.ptr,
                        "\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c", 16);
    assert_int_equal(find(all, "1221").bytes.len, 16);
    assert_memory_equal(find(all, "1222").bytes.ptr, "\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74", 8);
    assert_true(bytes_equal(find(all, "1225").bytes,
                            bytes_of_string("a \"b\" \xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd")));
    assert_int_equal(find(all, "1226").value, 2);
    assert_true(find(all, "1227").value == UINT64_C(1544712660000000000));
    assert_true(find(all, "1228").value == UINT64_C(1544712661000000000));
    assert_int_equal(find(all, "122g").value, 257);
    assert_int_equal(find(all, "122g").type, PB_FIXED32);
    assert_int_equal(find(all, "122f3").value, 1);
    buf_fini(&out);
}

static void test_otlp_json_writes_every_kind_of_value(void **state)
{
    (void)state;
    struct buf out;
    static const char json[] =
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"kvlistValue\":{\"values\":["
        "{\"key\":\"i\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
        "{\"value\":{\"arrayValue\":{\"values\":[{\"boolValue\":true},{\"doubleValue\":-1.5e3},{"
        "\"doubleValue\":\"NaN\"},"
        "{\"bytesValue\":\"aGk/_w==\"},{\"intValue\":1e2}]}},\"key\":\"a\"}]}}}]}]}]}";
    assert_int_equal(transcode(json, TELEMETRY_LOGS, &out), 0);
    struct bytes values = find(buf_bytes(&out), "12256").bytes;
    struct pb_field field;
    assert_int_equal(pb_next(&values, &field), 1);
    assert_true((int64_t)find(field.bytes, "23").value == INT64_MIN);
    assert_int_equal(pb_next(&values, &field), 1);
    assert_true(bytes_equal(find(field.bytes, "1").bytes, bytes_of_string("a")));
    struct bytes array = find(field.bytes, "25").bytes;
    assert_int_equal(pb_next(&array, &field), 1);
    assert_int_equal(find(field.bytes, "2").value, 1);
    assert_int_equal(pb_next(&array, &field), 1);
    double number;
    memcpy(&number, &(uint64_t){find(field.bytes, "4").value}, sizeof number);
    assert_true(number == -1500.0);
    assert_int_equal(pb_next(&array, &field), 1);
    memcpy(&number, &(uint64_t){find(field.bytes, "4").value}, sizeof number);
    assert_true(isnan(number));
    assert_int_equal(pb_next(&array, &field), 1);
    assert_true(bytes_equal(find(field.bytes, "7").bytes, bytes_of_string("hi?\xff")));
    assert_int_equal(pb_next(&array, &field), 1);
    assert_int_equal(find(field.bytes, "3").value, 100);
    assert_int_equal(pb_next(&array, &field), 0);
    buf_fini(&out);
}

static void test_otlp_json_packs_the_numbers_of_histograms(void **state)
{
    (void)state;
    struct buf out;
    static const char json[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"exponentialHistogram\":{\"dataPoints\":[{"
        "\"scale\":-3,\"positive\":{\"offset\":5,\"bucketCounts\":[\"1\",300]}}]}},{\"histogram\":{"
        "\"aggregationTemporality\":2,\"dataPoints\":[{\"count\":\"3\",\"bucketCounts\":[\"1\",2],"
        "\"explicitBounds\":[0.5]}]}}]}]}]}";
    assert_int_equal(transcode(json, TELEMETRY_METRICS, &out), 0);
    struct bytes scope = find(buf_bytes(&out), "12").bytes;
    struct pb_field field;
    assert_int_equal(pb_next(&scope, &field), 1);
    assert_int_equal(find(field.bytes, "a16").value, 5); /* zigzag of -3 */
    assert_int_equal(find(field.bytes, "a181").value, 10);
    assert_true(bytes_equal(find(field.bytes, "a182").bytes, bytes_of_string("\x01\xac\x02")));
    assert_int_equal(pb_next(&scope, &field), 1);
    assert_int_equal(find(field.bytes, "92").value, 2);
    assert_int_equal(find(field.bytes, "914").value, 3);
    assert_memory_equal(find(field.bytes, "916").bytes.ptr, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16);
    assert_memory_equal(find(field.bytes, "917").bytes.ptr, "\0\0\0\0\0\0\xe0\x3f", 8);
    buf_fini(&out);
}

static void test_otlp_json_ignores_what_it_does_not_know(void **state)
{
    (void)state;
    struct buf out;
    static const char json[] =
        " {\"new\":{\"a\":[1,{\"b\":null},\"c\",[true,false]],\"resourceSpans\":3},"
        "\"resource_spans\":[{}],\"resourceSpans\":[{\"resource\":null,\"new\":-0.5}]} \n";
    assert_int_equal(transcode(json, TELEMETRY_TRACES, &out), 0);
    assert_int_equal(out.len, 1 + PB_LENGTH_PAD); /* the one empty element */
    buf_fini(&out);
    assert_int_equal(transcode("{}", TELEMETRY_TRACES, &out), 0);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void test_otlp_json_refuses_what_is_not_a_request(void **state)
{
    (void)state;
#define SPAN(text) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" text "}]}]}]}"
    static const char *const cases[] = {
        "",
        "[]",
        "{",
        "{}x",
        "{}{}",
        "{\"resourceSpans\":{}}",
        "{\"resourceSpans\":[[]]}",
        "{\"resourceSpans\":[null]}",
        "{\"resourceSpans\":[{}],}",
        "{\"resourceSpans\":[{},]}",
        "{\"resourceSpans\":3}",
        "{\"new\":[}",
        "{\"new\":[1 2]}",
        "{\"new\":01}",
        "{\"new\":\"\\x\"}",
        "{\"new\":\"\\u12g4\"}",
        "{\"new\":\"a\nb\"}",
        "{\"new\":\"\xff\"}",
        "{\"new\":nul}",
        "{new:1}",
        SPAN("\"traceId\":\"5b8e\""),
        SPAN("\"traceId\":\"5b8efff798038103d269b633813fc60z\""),
        SPAN("\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\""), /* base64, as protobuf's own JSON has it */
        SPAN("\"kind\":\"SPAN_KIND_SERVER\""),
        SPAN("\"kind\":4294967296"),
        SPAN("\"name\":3"),
        SPAN("\"startTimeUnixNano\":-1"),
        SPAN("\"startTimeUnixNano\":18446744073709551616"),
        SPAN("\"startTimeUnixNano\":1.5"),
        SPAN("\"startTimeUnixNano\":\"\""),
        SPAN("\"startTimeUnixNano\":true"),
        SPAN("\"droppedLinksCount\":4294967296"),
        SPAN("\"attributes\":[{\"value\":{\"boolValue\":\"true\"}}]"),
        SPAN("\"attributes\":[{\"value\":{\"bytesValue\":\"a*==\"}}]"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        if (transcode(cases[i], TELEMETRY_TRACES, &out) != -EBADMSG)
            fail_msg("taken: %s", cases[i]);
        buf_fini(&out);
    }
}

static void test_otlp_json_bounds_depth_and_size(void **state)
{
    (void)state;
    static char deep[64 * 1024];
    struct buf out;
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"new\":", 7);
    assert_int_equal(transcode(deep, TELEMETRY_TRACES, &out), -EBADMSG);
    buf_fini(&out);
    buf_init(&out, 10);
    assert_int_equal(
        otlp_json_transcode(bytes_of_string("{\"resourceSpans\":[{},{},{}]}"), TELEMETRY_TRACES, &out),
        -EMSGSIZE);
    buf_fini(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_json_writes_a_span_field_by_field),
        cmocka_unit_test(test_otlp_json_writes_every_kind_of_value),
        cmocka_unit_test(test_otlp_json_packs_the_numbers_of_histograms),
        cmocka_unit_test(test_otlp_json_ignores_what_it_does_not_know),
        cmocka_unit_test(test_otlp_json_refuses_what_is_not_a_request),
        cmocka_unit_test(test_otlp_json_bounds_depth_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
