/* The records of a payload: counted, cut out, identified. */
#include <errno.h>
#include <stdio.h>

#include "base/pb.h"
#include "gateway/fanout/split.h"
#include "tests/unit/unit.h"

static void put_label(struct buf *b, const char *name, const char *value)
{
    size_t mark;
    assert_int_equal(pb_begin(b, 1, &mark), 0);
    assert_int_equal(pb_put_string(b, 1, name), 0);
    assert_int_equal(pb_put_string(b, 2, value), 0);
    pb_end(b, mark);
}

static void put_series(struct buf *b, const char *name, int64_t first_ms, int samples)
{
    size_t series, sample;
    assert_int_equal(pb_begin(b, 1, &series), 0);
    put_label(b, "__name__", name);
    for (int i = 0; i < samples; i++) {
        assert_int_equal(pb_begin(b, 2, &sample), 0);
        assert_int_equal(pb_put_double(b, 1, i), 0);
        assert_int_equal(pb_put_varint(b, 2, (uint64_t)(first_ms + i)), 0);
        pb_end(b, sample);
    }
    pb_end(b, series);
}

static void put_stream(struct buf *b, const char *labels, int lines)
{
    size_t stream, entry;
    char text[32];
    assert_int_equal(pb_begin(b, 1, &stream), 0);
    assert_int_equal(pb_put_string(b, 1, labels), 0);
    for (int i = 0; i < lines; i++) {
        assert_int_equal(pb_begin(b, 2, &entry), 0);
        snprintf(text, sizeof text, "%s %d", labels, i);
        assert_int_equal(pb_put_string(b, 2, text), 0);
        pb_end(b, entry);
    }
    pb_end(b, stream);
}

static void put_spans(struct buf *b, const char *resource, int scopes, int spans)
{
    size_t outer, scope, span;
    assert_int_equal(pb_begin(b, 1, &outer), 0);
    assert_int_equal(pb_put_string(b, 1, resource), 0);
    for (int s = 0; s < scopes; s++) {
        assert_int_equal(pb_begin(b, 2, &scope), 0);
        assert_int_equal(pb_put_string(b, 1, "scope"), 0);
        for (int i = 0; i < spans; i++) {
            assert_int_equal(pb_begin(b, 2, &span), 0);
            assert_int_equal(pb_put_string(b, 5, "span"), 0);
            pb_end(b, span);
        }
        pb_end(b, scope);
    }
    assert_int_equal(pb_put_string(b, 3, "schema"), 0);
    pb_end(b, outer);
}

static uint32_t count_of(enum batch_format format, struct bytes raw)
{
    uint32_t count = 12345;
    assert_int_equal(split_count(format, raw, &count), 0);
    return count;
}

static bool has(const struct buf *b, const char *text)
{
    return memmem(b->ptr, b->len, text, strlen(text)) != NULL;
}

static void test_split_cuts_everywhere_into_halves_with_the_sum(void **state)
{
    (void)state;
    struct buf b[3];
    static const enum batch_format formats[] = {FORMAT_REMOTE_WRITE_1, FORMAT_LOKI_PUSH, FORMAT_OTLP_TRACES};
    static const uint32_t counts[] = {7, 9, 13};
    for (int i = 0; i < 3; i++)
        buf_init(&b[i], 1 << 16);
    put_series(&b[0], "a", 100, 4);
    put_series(&b[0], "none", 100, 0);
    put_series(&b[0], "b", 100, 3);
    put_stream(&b[1], "{x=\"1\"}", 4);
    put_stream(&b[1], "{x=\"2\"}", 5);
    put_spans(&b[2], "one", 2, 3);
    put_spans(&b[2], "two", 1, 7);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(count_of(formats[i], buf_bytes(&b[i])), counts[i]);
        for (uint32_t at = 0; at <= counts[i]; at++) {
            struct buf left, right;
            buf_init(&left, 1 << 16);
            buf_init(&right, 1 << 16);
            assert_int_equal(split_write(formats[i], buf_bytes(&b[i]), counts[i], 0, at, &left), 0);
            assert_int_equal(split_write(formats[i], buf_bytes(&b[i]), counts[i], at, counts[i], &right), 0);
            assert_int_equal(count_of(formats[i], buf_bytes(&left)), at);
            assert_int_equal(count_of(formats[i], buf_bytes(&right)), counts[i] - at);
            buf_fini(&left);
            buf_fini(&right);
        }
        buf_fini(&b[i]);
    }
}

static void test_split_keeps_what_stands_around_a_record(void **state)
{
    (void)state;
    struct buf b, out;
    buf_init(&b, 1 << 16);
    buf_init(&out, 1 << 16);
    put_stream(&b, "{x=\"1\"}", 4);
    put_stream(&b, "{x=\"2\"}", 5);
    assert_int_equal(split_write(FORMAT_LOKI_PUSH, buf_bytes(&b), 9, 6, 7, &out), 0);
    assert_true(has(&out, "{x=\"2\"} 2"));
    assert_false(has(&out, "{x=\"2\"} 1") || has(&out, "{x=\"2\"} 3") || has(&out, "{x=\"1\"}"));
    buf_clear(&b);
    buf_clear(&out);
    put_spans(&b, "resource one", 2, 3);
    put_spans(&b, "resource two", 1, 1);
    assert_int_equal(split_write(FORMAT_OTLP_TRACES, buf_bytes(&b), 7, 4, 5, &out), 0);
    assert_true(has(&out, "resource one") && has(&out, "scope") && has(&out, "schema"));
    assert_false(has(&out, "resource two"));
    buf_fini(&b);
    buf_fini(&out);
}

static void test_split_of_everything_is_the_same_bytes(void **state)
{
    (void)state;
    struct buf b, out;
    buf_init(&b, 1 << 16);
    buf_init(&out, 1 << 16);
    put_series(&b, "a", 1, 3);
    put_series(&b, "empty", 1, 0);
    assert_int_equal(pb_put_string(&b, 3, "metadata"), 0);
    assert_int_equal(split_write(FORMAT_REMOTE_WRITE_1, buf_bytes(&b), 3, 0, 3, &out), 0);
    assert_true(bytes_equal(buf_bytes(&b), buf_bytes(&out)));
    buf_fini(&b);
    buf_fini(&out);
}

static void test_split_identifies_samples_by_series_and_time(void **state)
{
    (void)state;
    struct buf b;
    struct split_sample s[5];
    buf_init(&b, 1 << 16);
    put_series(&b, "a", 1000, 2);
    put_series(&b, "b", 1000, 2);
    put_series(&b, "a", 1002, 1);
    assert_int_equal(split_samples(buf_bytes(&b), s, 5), 0);
    assert_true(s[0].series == s[1].series && s[0].series == s[4].series && s[2].series == s[3].series);
    assert_true(s[0].series != s[2].series);
    assert_int_equal(s[0].time_ms, 1000);
    assert_int_equal(s[3].time_ms, 1001);
    assert_int_equal(s[4].time_ms, 1002);
    assert_int_equal(split_samples(buf_bytes(&b), s, 4), -EBADMSG);
    buf_fini(&b);
}

static void test_split_refuses_what_is_not_protobuf(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {0x0a, 0xff, 0x01};
    uint32_t count;
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(split_count(FORMAT_LOKI_PUSH, (struct bytes){garbage, 3}, &count), -EBADMSG);
    assert_int_equal(split_count(FORMAT_REMOTE_WRITE_2, (struct bytes){0}, &count), -EPROTONOSUPPORT);
    assert_int_equal(split_write(FORMAT_LOKI_PUSH, (struct bytes){0}, 0, 0, 1, &out), -EINVAL);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_cuts_everywhere_into_halves_with_the_sum),
        cmocka_unit_test(test_split_keeps_what_stands_around_a_record),
        cmocka_unit_test(test_split_of_everything_is_the_same_bytes),
        cmocka_unit_test(test_split_identifies_samples_by_series_and_time),
        cmocka_unit_test(test_split_refuses_what_is_not_protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
