/* How deep OTLP nests. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/otlp/otlp_depth.h"
#include "base/pb.h"
#include "tests/unit/unit.h"

enum { BYTES = 64 * 1024 };

/* Puts the content written so far, which ends at the end of bytes, into a field; from the inside out. */
static uint8_t *wrap(uint8_t *at, const uint8_t *end, uint32_t number)
{
    uint8_t head[PB_MAX_TAG + PB_MAX_VARINT];
    size_t n = (size_t)(pb_write_varint(pb_write_tag(head, number, PB_LEN), (size_t)(end - at)) - head);
    return memcpy(at - n, head, n);
}

/* A request with one value that nests lists (kvlist: three messages a level) or arrays (two). */
static struct bytes make_request(const uint32_t *path, int levels, bool is_list)
{
    static uint8_t bytes[BYTES];
    uint8_t *end = bytes + BYTES, *at = end;
    for (int i = 0; i < levels; i++) {
        if (is_list)
            at = wrap(wrap(wrap(at, end, 2), end, 1), end, 6);
        else
            at = wrap(wrap(at, end, 1), end, 5);
    }
    for (; *path; path++)
        at = wrap(at, end, *path);
    return (struct bytes){at, (size_t)(end - at)};
}

/* Where values are, from the inside out. */
static const struct {
    enum telemetry signal;
    uint32_t path[9];
} places[] = {
    {TELEMETRY_TRACES, {2, 1, 1, 1}},              /* of a resource */
    {TELEMETRY_TRACES, {2, 3, 1, 2, 1}},           /* of a scope */
    {TELEMETRY_TRACES, {2, 9, 2, 2, 1}},           /* of a span */
    {TELEMETRY_TRACES, {2, 3, 11, 2, 2, 1}},       /* of an event */
    {TELEMETRY_TRACES, {2, 4, 13, 2, 2, 1}},       /* of a link */
    {TELEMETRY_LOGS, {5, 2, 2, 1}},                /* a log record's body */
    {TELEMETRY_LOGS, {2, 6, 2, 2, 1}},             /* of a log record */
    {TELEMETRY_METRICS, {2, 7, 1, 5, 2, 2, 1}},    /* of a gauge's point */
    {TELEMETRY_METRICS, {2, 9, 1, 9, 2, 2, 1}},    /* of a histogram's point */
    {TELEMETRY_METRICS, {2, 1, 1, 10, 2, 2, 1}},   /* of an exponential histogram's point */
    {TELEMETRY_METRICS, {2, 7, 8, 1, 9, 2, 2, 1}}, /* of an exemplar */
};

static void test_otlp_depth_refuses_deep_values_wherever_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int is_list = 0; is_list < 2; is_list++) {
            enum telemetry signal = places[i].signal;
            struct bytes flat = make_request(places[i].path, 25, is_list);
            assert_int_equal(otlp_depth_check(flat, signal), 0);
            struct bytes deep = make_request(places[i].path, 60, is_list);
            if (otlp_depth_check(deep, signal) != -EBADMSG)
                fail_msg("place %zu list %d", i, is_list);
        }
}

static void test_otlp_depth_refuses_what_crashes_a_recursive_decoder_in_no_time(void **state)
{
    (void)state;
    struct bytes deep = make_request(places[2].path, 5000, false);
    assert_true(deep.len > 30 * 1024);
    int64_t began = clock_mono_ns();
    for (int i = 0; i < 1000; i++)
        assert_int_equal(otlp_depth_check(deep, TELEMETRY_TRACES), -EBADMSG);
    assert_true(clock_mono_ns() - began <
                INT64_C(500) * 1000 * 1000); /* well under half a millisecond each */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_depth_refuses_deep_values_wherever_they_are),
        cmocka_unit_test(test_otlp_depth_refuses_what_crashes_a_recursive_decoder_in_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
