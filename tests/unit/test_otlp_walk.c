/* The outer levels of OTLP requests. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/otlp/otlp_walk.h"
#include "base/pb.h"
#include "tests/unit/unit.h"

static void put_span(struct buf *b, uint64_t start_ns, uint64_t end_ns)
{
    size_t span, attribute, value;
    pb_begin(b, 2, &span);
    pb_put_bytes(b, 1, bytes_of_string("0123456789abcdef"));
    pb_put_bytes(b, 2, bytes_of_string("01234567"));
    pb_put_string(b, 5, "GET /cart");
    pb_put_varint(b, 6, 2);
    pb_put_fixed64(b, 7, start_ns);
    pb_put_fixed64(b, 8, end_ns);
    for (int i = 0; i < 8; i++) {
        pb_begin(b, 9, &attribute);
        pb_put_string(b, 1, "http.request.method");
        pb_begin(b, 2, &value);
        pb_put_string(b, 1, "GET");
        pb_end(b, value);
        pb_end(b, attribute);
    }
    pb_end(b, span);
}

/* A request of one resource (left out when name is NULL) with spans 1000 ns apart from start_ns on. */
static void put_request(struct buf *b, const char *name, int spans, uint64_t start_ns)
{
    size_t resource_spans, scope_spans, mark;
    pb_begin(b, 1, &resource_spans);
    if (name) {
        pb_begin(b, 1, &mark);
        otlp_put_attribute(b, "service.name", name);
        pb_put_varint(b, 2, 7); /* dropped_attributes_count */
        pb_end(b, mark);
    }
    pb_begin(b, 2, &scope_spans);
    pb_begin(b, 1, &mark);
    pb_put_string(b, 1, "library");
    pb_end(b, mark);
    for (int i = 0; i < spans; i++)
        put_span(b, start_ns + (uint64_t)i * 1000, start_ns + (uint64_t)i * 1000 + 500);
    pb_put_string(b, 3, "https://schema");
    pb_end(b, scope_spans);
    pb_end(b, resource_spans);
}

static void test_otlp_walk_counts_spans_and_finds_their_times(void **state)
{
    (void)state;
    struct buf b;
    struct otlp_count count;
    buf_init(&b, 1 << 20);
    put_request(&b, "shop", 3, 1000000);
    put_request(&b, NULL, 2, 500000);
    pb_put_string(&b, 99, "a field of the future");
    assert_int_equal(otlp_walk(buf_bytes(&b), TELEMETRY_TRACES, &count), 0);
    assert_int_equal(count.records, 5);
    assert_int_equal(count.earliest_ns, 500000);
    assert_int_equal(count.latest_ns, 1002500);
    buf_fini(&b);
}

static void test_otlp_walk_takes_an_empty_request(void **state)
{
    (void)state;
    struct otlp_count count = {7, 7, 7};
    assert_int_equal(otlp_walk((struct bytes){0}, TELEMETRY_TRACES, &count), 0);
    assert_true(count.records == 0 && count.earliest_ns == 0 && count.latest_ns == 0);
}

static void test_otlp_walk_falls_back_to_the_observed_time_of_a_log_record(void **state)
{
    (void)state;
    struct buf b;
    struct otlp_count count;
    size_t resource, scope, record;
    buf_init(&b, 1000);
    pb_begin(&b, 1, &resource);
    pb_begin(&b, 2, &scope);
    pb_begin(&b, 2, &record);
    pb_put_fixed64(&b, 1, 9);
    pb_end(&b, record);
    pb_begin(&b, 2, &record);
    pb_put_fixed64(&b, 11, 5);
    pb_end(&b, record);
    pb_end(&b, scope);
    pb_end(&b, resource);
    assert_int_equal(otlp_walk(buf_bytes(&b), TELEMETRY_LOGS, &count), 0);
    assert_int_equal(count.records, 2);
    assert_int_equal(count.earliest_ns, 5);
    assert_int_equal(count.latest_ns, 9);
    buf_fini(&b);
}

static void put_point(struct buf *b, uint64_t start_ns, uint64_t time_ns)
{
    size_t point;
    pb_begin(b, 1, &point);
    if (start_ns)
        pb_put_fixed64(b, 2, start_ns);
    pb_put_fixed64(b, 3, time_ns);
    pb_put_string(b, 7, "what follows the time is not read");
    pb_end(b, point);
}

static void test_otlp_walk_finds_the_times_of_a_metrics_points_of_every_kind(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {5, 7, 9, 10, 11};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct buf b;
        struct otlp_count count;
        size_t resource, scope, metric, kind;
        buf_init(&b, 1000);
        pb_begin(&b, 1, &resource);
        pb_begin(&b, 2, &scope);
        pb_begin(&b, 2, &metric);
        pb_put_string(&b, 1, "requests");
        pb_begin(&b, kinds[i], &kind);
        put_point(&b, 1, 7000);
        put_point(&b, 0, 5000);
        put_point(&b, 2, 9000);
        pb_put_varint(&b, 2, 2); /* aggregation_temporality */
        pb_end(&b, kind);
        pb_end(&b, metric);
        pb_put_string(&b, 2, ""); /* a metric without anything */
        pb_end(&b, scope);
        pb_end(&b, resource);
        assert_int_equal(otlp_walk(buf_bytes(&b), TELEMETRY_METRICS, &count), 0);
        assert_int_equal(count.records, 2);
        assert_int_equal(count.earliest_ns, 5000);
        assert_int_equal(count.latest_ns, 9000);
        buf_fini(&b);
    }
}

static void test_otlp_walk_refuses_garbage_in_points(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x0a\x06\x12\x04\x12\x02\x28\x01", 8},          /* a gauge that is a number */
        {"\x0a\x08\x12\x06\x12\x04\x2a\x02\x08\x01", 10}, /* a point that is a number */
        {"\x0a\x08\x12\x06\x12\x04\x2a\x02\x0a\x05", 10}, /* a point longer than its gauge */
    };
    struct otlp_count count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes request = {(const uint8_t *)cases[i].bytes, cases[i].len};
        assert_int_equal(otlp_walk(request, TELEMETRY_METRICS, &count), -EBADMSG);
    }
}

static void test_otlp_walk_refuses_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"garbage", 7},
        {"\x08\x01", 2},                 /* resource_spans as a number */
        {"\x0a\x05\x12\x03", 4},         /* cut short */
        {"\x0a\x02\x08\x01", 4},         /* resource as a number */
        {"\x0a\x04\x12\x02\x10\x01", 6}, /* span as a number */
        {"\x0a\x04\x12\x02\x12\x05", 6}, /* a span longer than its scope */
        {"\x0a\x03\x0a\x01\xff", 5},     /* a resource that is no message */
        {"\x0b\x0c", 2},                 /* a group */
    };
    struct otlp_count count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes request = {(const uint8_t *)cases[i].bytes, cases[i].len};
        assert_int_equal(otlp_walk(request, TELEMETRY_TRACES, &count), -EBADMSG);
    }
}

static void test_otlp_walk_spends_nothing_on_depth(void **state)
{
    (void)state;
    enum { DEEP = 8000 };
    static uint8_t request[64 * 1024];
    uint8_t *at = request + sizeof request;
    for (int i = 0; i < DEEP; i++) { /* from the inside out */
        size_t len = (size_t)(request + sizeof request - at);
        uint8_t head[PB_MAX_TAG + PB_MAX_VARINT];
        size_t n = (size_t)(pb_write_varint(pb_write_tag(head, i % 2 ? 1 : 2, PB_LEN), len) - head);
        memcpy(at -= n, head, n);
    }
    struct otlp_count count;
    struct bytes nested = {at, (size_t)(request + sizeof request - at)};
    assert_true(nested.len > 20000);
    int64_t began = clock_mono_ns();
    for (int i = 0; i < 1000; i++)
        assert_int_equal(otlp_walk(nested, TELEMETRY_TRACES, &count), 0);
    assert_true(clock_mono_ns() - began < INT64_C(1000) * 1000 * 1000); /* well under a millisecond each */
}

static void test_otlp_attributes_that_a_resource_has_are_its_own(void **state)
{
    (void)state;
    struct buf in, attributes, out, expected;
    buf_init(&in, 1000), buf_init(&attributes, 1000), buf_init(&out, 2000), buf_init(&expected, 2000);
    otlp_put_attribute(&attributes, "k8s.pod.name", "ours");
    otlp_put_attribute(&attributes, "cluster", "blue");
    for (int i = 0; i < 2; i++) {
        struct buf resource, outer;
        buf_init(&resource, 1000), buf_init(&outer, 1000);
        otlp_put_attribute(&resource, "k8s.pod.name", "theirs");
        otlp_put_attribute(&resource, "k8s.pod", "another name");
        if (i == 1)
            otlp_put_attribute(&resource, "cluster", "blue");
        pb_put_bytes(&outer, 1, buf_bytes(&resource));
        pb_put_string(&outer, 3, "https://schema");
        pb_put_bytes(i ? &expected : &in, 1, buf_bytes(&outer));
        buf_fini(&resource), buf_fini(&outer);
    }
    assert_int_equal(otlp_add_resource_attributes(buf_bytes(&in), buf_bytes(&attributes), &out), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&expected)));
    buf_clear(&out); /* a second time nothing is missing */
    assert_int_equal(otlp_add_resource_attributes(buf_bytes(&expected), buf_bytes(&attributes), &out), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&expected)));
    buf_fini(&in), buf_fini(&attributes), buf_fini(&out), buf_fini(&expected);
}

static void test_otlp_attributes_stand_at_the_end_of_each_resource(void **state)
{
    (void)state;
    struct buf in, attributes, out, expected;
    buf_init(&in, 1000), buf_init(&attributes, 1000), buf_init(&out, 2000), buf_init(&expected, 2000);
    otlp_put_attribute(&attributes, "cluster", "blue");
    /* { resource { 0x10 7 }, 0x1a "s" }, { 0x1a "t" }, unknown 99: 1 */
    static const uint8_t request[] = {0x0a, 7, 0x0a, 2, 0x10, 7,    0x1a, 1, 's',
                                      0x0a, 3, 0x1a, 1, 't',  0x98, 6,    1};
    buf_append(&in, request, sizeof request);
    uint8_t a = (uint8_t)attributes.len;
    const uint8_t first[] = {0x0a, (uint8_t)(7 + a), 0x0a, (uint8_t)(2 + a), 0x10, 7};
    const uint8_t second[] = {0x1a, 1, 's', 0x0a, (uint8_t)(5 + a), 0x1a, 1, 't', 0x0a, a};
    buf_append(&expected, first, sizeof first);
    buf_append(&expected, attributes.ptr, a);
    buf_append(&expected, second, sizeof second);
    buf_append(&expected, attributes.ptr, a);
    buf_append(&expected, "\x98\x06\x01", 3);
    assert_int_equal(otlp_add_resource_attributes(buf_bytes(&in), buf_bytes(&attributes), &out), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&expected)));
    buf_fini(&in), buf_fini(&attributes), buf_fini(&out), buf_fini(&expected);
}

static void test_otlp_attributes_past_the_limit_leave_the_buffer_alone(void **state)
{
    (void)state;
    struct buf in, attributes, out;
    buf_init(&in, 1 << 20), buf_init(&attributes, 1000);
    put_request(&in, "shop", 3, 1);
    otlp_put_attribute(&attributes, "cluster", "blue");
    buf_init(&out, in.len + 10);
    buf_append(&out, "kept", 4);
    assert_int_equal(otlp_add_resource_attributes(buf_bytes(&in), buf_bytes(&attributes), &out), -EMSGSIZE);
    assert_true(bytes_equal(buf_bytes(&out), bytes_of_string("kept")));
    buf_fini(&in), buf_fini(&attributes), buf_fini(&out);
}

static void test_otlp_walk_is_fast(void **state)
{
    (void)state;
    enum { SPANS = 10000, ROUNDS = 20 };
    struct buf b;
    struct otlp_count count;
    buf_init(&b, 8 << 20);
    put_request(&b, "shop", SPANS, 1);
    int64_t began = clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(otlp_walk(buf_bytes(&b), TELEMETRY_TRACES, &count), 0);
    double ns = (double)(clock_mono_ns() - began) / (SPANS * ROUNDS);
    print_message("%.1f ns a span\n", ns);
    assert_int_equal(count.records, SPANS);
    assert_true(ns < 5000); /* a sanitizer's build on a busy machine included */
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_walk_counts_spans_and_finds_their_times),
        cmocka_unit_test(test_otlp_walk_takes_an_empty_request),
        cmocka_unit_test(test_otlp_walk_falls_back_to_the_observed_time_of_a_log_record),
        cmocka_unit_test(test_otlp_walk_finds_the_times_of_a_metrics_points_of_every_kind),
        cmocka_unit_test(test_otlp_walk_refuses_garbage_in_points),
        cmocka_unit_test(test_otlp_walk_refuses_garbage),
        cmocka_unit_test(test_otlp_walk_spends_nothing_on_depth),
        cmocka_unit_test(test_otlp_attributes_that_a_resource_has_are_its_own),
        cmocka_unit_test(test_otlp_attributes_stand_at_the_end_of_each_resource),
        cmocka_unit_test(test_otlp_attributes_past_the_limit_leave_the_buffer_alone),
        cmocka_unit_test(test_otlp_walk_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
