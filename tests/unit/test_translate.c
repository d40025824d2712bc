/* OTLP into remote write and Loki's push: what the end-to-end test cannot show: hostile input, order,
 * repeats, reasons, whose a record is. */
#include <errno.h>
#include <stdio.h>

#include "base/pb.h"
#include "gateway/fanout/split.h"
#include "gateway/translate/translate.h"
#include "tests/unit/remote_write.h"
#include "tests/unit/unit.h"

#define SECOND INT64_C(1000000000)

static struct gateway_backend_config config = {.otlp = {.target_info = true}};

static void put_text_attribute(struct buf *b, uint32_t number, const char *key, const char *value)
{
    size_t pair, any;
    pb_begin(b, number, &pair);
    pb_put_string(b, 1, key);
    pb_begin(b, 2, &any);
    pb_put_string(b, 1, value);
    pb_end(b, any);
    pb_end(b, pair);
}

/* A gauge with one point; time 0: without one. */
static void put_gauge(struct buf *b, const char *name, int64_t time_ns, double value)
{
    size_t metric, gauge, point;
    pb_begin(b, 2, &metric);
    pb_put_string(b, 1, name);
    pb_begin(b, 5, &gauge);
    pb_begin(b, 1, &point);
    if (time_ns)
        pb_put_fixed64(b, 3, (uint64_t)time_ns);
    pb_put_double(b, 4, value);
    pb_end(b, point);
    pb_end(b, gauge);
    pb_end(b, metric);
}

static void begin_request(struct buf *b, size_t marks[2])
{
    size_t resource;
    pb_begin(b, 1, &marks[0]);
    pb_begin(b, 1, &resource);
    put_text_attribute(b, 1, "service.name", "shop");
    pb_end(b, resource);
    pb_begin(b, 2, &marks[1]);
}

static void end_request(struct buf *b, const size_t marks[2])
{
    pb_end(b, marks[1]);
    pb_end(b, marks[0]);
}

static void check_samples(struct translate *t, const char *wanted)
{
    char *shown = remote_write_show(buf_bytes(&t->result.message));
    uint32_t count;
    assert_string_equal(shown, wanted);
    assert_int_equal(split_count(FORMAT_REMOTE_WRITE_1, buf_bytes(&t->result.message), &count), 0);
    assert_int_equal(count, t->result.count);
    free(shown);
}

static void test_translate_puts_samples_in_order_and_tells_whose_they_are(void **state)
{
    (void)state;
    struct translate t;
    struct buf raw;
    size_t marks[2];
    buf_init(&raw, 65536);
    assert_int_equal(translate_init(&t, &config, BACKEND_REMOTE_WRITE), 0);
    begin_request(&raw, marks);
    put_gauge(&raw, "a", 20 * SECOND, 2);
    put_gauge(&raw, "b", 0, 1);
    put_gauge(&raw, "a", 10 * SECOND, 1);
    put_gauge(&raw, "a", 10 * SECOND, 1); /* the same again: nothing is lost */
    put_gauge(&raw, "a", 20 * SECOND, 7); /* another value at that time: Prometheus would refuse all */
    put_gauge(&raw, "", 20 * SECOND, 7);
    end_request(&raw, marks);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_METRICS, buf_bytes(&raw), 1, 0), 0);
    check_samples(&t, "__name__=a job=shop 1@10000\n__name__=a job=shop 2@20000\n");
    assert_int_equal(t.result.source_count, 6);
    assert_int_equal(t.result.refused, 3);
    assert_int_equal(t.result.reasons[1], TRANSLATE_TIME);
    assert_int_equal(t.result.reasons[3], TRANSLATE_NONE);
    assert_int_equal(t.result.reasons[4], TRANSLATE_DUPLICATE);
    assert_int_equal(t.result.reasons[5], TRANSLATE_NAME);
    assert_int_equal(t.result.owners[0], 2);
    assert_int_equal(t.result.owners[1], 0);
    translate_fini(&t);
    buf_fini(&raw);
}

/* An AnyValue of so many arrays in each other, written from the inside out. */
static void put_nested(struct buf *b, int levels)
{
    struct buf inner, outer;
    buf_init(&inner, 1 << 20);
    for (int i = 0; i < levels; i++) {
        buf_init(&outer, 1 << 20);
        struct bytes any = buf_bytes(&inner);
        struct buf array;
        buf_init(&array, 1 << 20);
        assert_int_equal(pb_put_bytes(&array, 1, any), 0);
        assert_int_equal(pb_put_bytes(&outer, 5, buf_bytes(&array)), 0);
        buf_fini(&array);
        buf_fini(&inner);
        inner = outer;
    }
    assert_int_equal(pb_put_bytes(b, 2, buf_bytes(&inner)), 0);
    buf_fini(&inner);
}

static void put_nested_log(struct buf *b, int levels)
{
    size_t log, pair;
    pb_begin(b, 2, &log);
    pb_put_fixed64(b, 1, (uint64_t)SECOND);
    pb_begin(b, 6, &pair);
    pb_put_string(b, 1, "deep");
    put_nested(b, levels);
    pb_end(b, pair);
    pb_end(b, log);
}

static void test_translate_refuses_what_is_nested_too_deep_and_keeps_the_rest(void **state)
{
    (void)state;
    struct translate t;
    struct buf raw;
    size_t marks[2];
    buf_init(&raw, 1 << 20);
    assert_int_equal(translate_init(&t, &config, BACKEND_LOKI), 0);
    begin_request(&raw, marks);
    put_nested_log(&raw, 5000);
    put_nested_log(&raw, 20);
    put_nested_log(&raw, 33);
    end_request(&raw, marks);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_LOGS, buf_bytes(&raw), 1, 0), 0);
    assert_int_equal(t.result.source_count, 3);
    assert_int_equal(t.result.count, 1);
    assert_int_equal(t.result.owners[0], 1);
    assert_int_equal(t.result.reasons[0], TRANSLATE_LABELS);
    assert_int_equal(t.result.reasons[2], TRANSLATE_LABELS);
    translate_fini(&t);
    buf_fini(&raw);
}

static void test_translate_gives_a_line_without_a_time_the_gateways(void **state)
{
    (void)state;
    struct translate t;
    struct buf raw;
    size_t marks[2], log;
    buf_init(&raw, 65536);
    assert_int_equal(translate_init(&t, &config, BACKEND_LOKI), 0);
    begin_request(&raw, marks);
    pb_begin(&raw, 2, &log);
    pb_end(&raw, log);
    end_request(&raw, marks);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_LOGS, buf_bytes(&raw), 1, 77 * SECOND + 5), 0);
    struct bytes rest = buf_bytes(&t.result.message), entry = {0}, stamp = {0};
    struct pb_field stream, field;
    assert_int_equal(pb_next(&rest, &stream), 1);
    assert_int_equal(pb_next(&stream.bytes, &field), 1);
    assert_memory_equal(field.bytes.ptr, "{service_name=\"shop\"}", field.bytes.len);
    assert_int_equal(pb_next(&stream.bytes, &field), 1);
    entry = field.bytes;
    assert_int_equal(pb_next(&entry, &field), 1);
    stamp = field.bytes;
    assert_int_equal(pb_next(&stamp, &field), 1);
    assert_int_equal(field.value, 77);
    assert_int_equal(pb_next(&stamp, &field), 1);
    assert_int_equal(field.value, 5);
    translate_fini(&t);
    buf_fini(&raw);
}

static void test_translate_says_what_is_no_message(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0x0a, 0x04, 0x12, 0x02, 0x12, 0x7f};
    struct translate t;
    assert_int_equal(translate_init(&t, &config, BACKEND_REMOTE_WRITE), 0);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_METRICS, (struct bytes){bad, sizeof bad}, 1, 0), -EBADMSG);
    assert_int_equal(t.result.count, 0);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_METRICS, (struct bytes){0}, 1, 0), 0);
    assert_int_equal(t.result.source_count, 0);
    translate_fini(&t);
}

/* A log record with a line of len bytes. */
static void put_log(struct buf *b, int64_t time_ns, size_t len)
{
    size_t log, body;
    char *line = malloc(len + 1);
    memset(line, 'x', len);
    line[len] = '\0';
    pb_begin(b, 2, &log);
    pb_put_fixed64(b, 1, (uint64_t)time_ns);
    pb_begin(b, 5, &body);
    pb_put_string(b, 1, line);
    pb_end(b, body);
    pb_end(b, log);
    free(line);
}

static void test_translate_refuses_lines_that_loki_would_drop(void **state)
{
    (void)state;
    struct translate t;
    struct buf raw;
    size_t marks[2];
    int64_t now = INT64_C(1700000000) * SECOND, week = INT64_C(7) * 86400 * SECOND;
    buf_init(&raw, 4 << 20);
    assert_int_equal(translate_init(&t, &config, BACKEND_LOKI), 0);
    begin_request(&raw, marks);
    put_log(&raw, now, 256 * 1024);
    put_log(&raw, now, 256 * 1024 + 1);
    put_log(&raw, now - week, 10);
    put_log(&raw, now - week - SECOND, 10);
    end_request(&raw, marks);
    assert_int_equal(translate_run(&t, FORMAT_OTLP_LOGS, buf_bytes(&raw), 1, now), 0);
    assert_true(t.result.count == 2 && t.result.source_count == 4 && t.result.refused == 2);
    assert_int_equal(t.result.reasons[1], TRANSLATE_LINE);
    assert_int_equal(t.result.reasons[3], TRANSLATE_OLD);
    translate_fini(&t);
    buf_fini(&raw);
}

static void test_translate_knows_when_it_is_needed(void **state)
{
    (void)state;
    assert_true(translate_is_needed(BACKEND_REMOTE_WRITE, FORMAT_OTLP_METRICS));
    assert_true(translate_is_needed(BACKEND_LOKI, FORMAT_OTLP_LOGS));
    assert_false(translate_is_needed(BACKEND_REMOTE_WRITE, FORMAT_REMOTE_WRITE_1));
    assert_false(translate_is_needed(BACKEND_OTLP_PLAIN, FORMAT_OTLP_METRICS));
    assert_false(translate_is_needed(BACKEND_OTLP_HTTP, FORMAT_OTLP_TRACES));
    assert_false(translate_is_needed(BACKEND_OTLP_GRPC, FORMAT_OTLP_LOGS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translate_puts_samples_in_order_and_tells_whose_they_are),
        cmocka_unit_test(test_translate_refuses_what_is_nested_too_deep_and_keeps_the_rest),
        cmocka_unit_test(test_translate_gives_a_line_without_a_time_the_gateways),
        cmocka_unit_test(test_translate_says_what_is_no_message),
        cmocka_unit_test(test_translate_refuses_lines_that_loki_would_drop),
        cmocka_unit_test(test_translate_knows_when_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
