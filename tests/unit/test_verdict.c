/* What backends' answers mean: a table of answers seen on real programs. */
#include <stdio.h>
#include <time.h>

#include "gateway/fanout/verdict.h"
#include "tests/unit/unit.h"

struct seen {
    enum backend_kind kind;
    int status;
    const char *body;
    enum verdict verdict;
};

static const struct seen seen[] = {
    {BACKEND_REMOTE_WRITE, 204, "", VERDICT_DELIVERED},
    {BACKEND_REMOTE_WRITE, 200, "", VERDICT_DELIVERED},
    {BACKEND_REMOTE_WRITE, 400, "out of order sample\n", VERDICT_REFUSED},
    {BACKEND_REMOTE_WRITE, 400, "out of bounds\n", VERDICT_REFUSED},
    {BACKEND_REMOTE_WRITE, 400, "duplicate sample for timestamp\n", VERDICT_REFUSED},
    {BACKEND_REMOTE_WRITE, 400, "unexpected EOF\n", VERDICT_REFUSED},
    {BACKEND_REMOTE_WRITE, 400, "decoded size exceeds the 33554432 bytes limit\n", VERDICT_TOO_LARGE},
    {BACKEND_REMOTE_WRITE, 413, "", VERDICT_TOO_LARGE},
    {BACKEND_REMOTE_WRITE, 500, "label name \"a\" is not unique: invalid sample\n", VERDICT_RETRY},
    {BACKEND_REMOTE_WRITE, 500, "too old sample\n", VERDICT_REFUSED},
    {BACKEND_REMOTE_WRITE, 503, "", VERDICT_RETRY},
    {BACKEND_REMOTE_WRITE, 429, "", VERDICT_RETRY},
    {BACKEND_REMOTE_WRITE, 408, "", VERDICT_RETRY},
    {BACKEND_REMOTE_WRITE, 404, "remote write receiver needs to be enabled", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 401, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 403, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 405, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 407, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 301, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 308, "", VERDICT_AWAY},
    {BACKEND_REMOTE_WRITE, 422, "", VERDICT_REFUSED},
    {BACKEND_LOKI, 204, "", VERDICT_DELIVERED},
    {BACKEND_LOKI, 400, "entry for stream '{a=\"b\"}' has timestamp too old", VERDICT_REFUSED},
    {BACKEND_LOKI, 400, "couldn't parse labels: 1:2: parse error", VERDICT_REFUSED},
    {BACKEND_LOKI, 500,
     "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)",
     VERDICT_TOO_LARGE},
    {BACKEND_LOKI, 500, "empty ring", VERDICT_RETRY},
    {BACKEND_LOKI, 429, "ingestion rate limit exceeded for user fake", VERDICT_RETRY},
    {BACKEND_LOKI, 429, "Maximum active stream limit exceeded when trying to create stream", VERDICT_RETRY},
    {BACKEND_LOKI, 404, "404 page not found", VERDICT_AWAY},
    {BACKEND_OTLP_HTTP, 200, "", VERDICT_DELIVERED},
    {BACKEND_OTLP_HTTP, 200, "\x0a", VERDICT_DELIVERED},
    {BACKEND_OTLP_HTTP, 200, "\x0a\x02\x08\x03", VERDICT_REFUSED}, /* rejected_spans: 3 */
    {BACKEND_OTLP_HTTP, 400, "http: request body too large", VERDICT_TOO_LARGE},
    {BACKEND_OTLP_HTTP, 400, "proto: illegal wireType 7", VERDICT_REFUSED},
    {BACKEND_OTLP_HTTP, 405, "", VERDICT_AWAY},
    {BACKEND_OTLP_HTTP, 415, "unsupported media type", VERDICT_REFUSED},
    {BACKEND_OTLP_HTTP, 503, "", VERDICT_RETRY},
    /* Prometheus' and Loki's own OTLP endpoints */
    {BACKEND_OTLP_PLAIN, 200, "", VERDICT_DELIVERED},
    {BACKEND_OTLP_PLAIN, 204, "", VERDICT_DELIVERED},
    {BACKEND_OTLP_PLAIN, 400, "out of order sample", VERDICT_REFUSED},
    {BACKEND_OTLP_PLAIN, 404, "otlp write receiver needs to be enabled", VERDICT_AWAY},
    {BACKEND_OTLP_PLAIN, 413, "", VERDICT_TOO_LARGE},
    {BACKEND_OTLP_PLAIN, 429, "", VERDICT_RETRY},
    {BACKEND_OTLP_PLAIN, 500, "", VERDICT_RETRY},
    /* OTLP specification, "OTLP/gRPC: failures"; the first rows as Jaeger 1.76 answers */
    {BACKEND_OTLP_GRPC, 0, "", VERDICT_DELIVERED},
    {BACKEND_OTLP_GRPC, 0, "\x0a\x02\x08\x03", VERDICT_REFUSED}, /* rejected_spans: 3 */
    {BACKEND_OTLP_GRPC, 8, "grpc: received message larger than max (5000000 vs. 4194304)", VERDICT_TOO_LARGE},
    {BACKEND_OTLP_GRPC, 13, "grpc: error unmarshalling request: proto: wrong wireType", VERDICT_REFUSED},
    {BACKEND_OTLP_GRPC, 1, "", VERDICT_RETRY},   /* CANCELLED */
    {BACKEND_OTLP_GRPC, 2, "", VERDICT_RETRY},   /* UNKNOWN */
    {BACKEND_OTLP_GRPC, 3, "", VERDICT_REFUSED}, /* INVALID_ARGUMENT */
    {BACKEND_OTLP_GRPC, 4, "", VERDICT_RETRY},   /* DEADLINE_EXCEEDED */
    {BACKEND_OTLP_GRPC, 5, "", VERDICT_AWAY},    /* NOT_FOUND */
    {BACKEND_OTLP_GRPC, 6, "", VERDICT_REFUSED}, /* ALREADY_EXISTS */
    {BACKEND_OTLP_GRPC, 7, "", VERDICT_AWAY},    /* PERMISSION_DENIED */
    {BACKEND_OTLP_GRPC, 8, "", VERDICT_RETRY},   /* RESOURCE_EXHAUSTED */
    {BACKEND_OTLP_GRPC, 9, "", VERDICT_REFUSED}, /* FAILED_PRECONDITION */
    {BACKEND_OTLP_GRPC, 10, "", VERDICT_RETRY},  /* ABORTED */
    {BACKEND_OTLP_GRPC, 11, "", VERDICT_RETRY},  /* OUT_OF_RANGE */
    {BACKEND_OTLP_GRPC, 12, "", VERDICT_AWAY},   /* UNIMPLEMENTED */
    {BACKEND_OTLP_GRPC, 14, "", VERDICT_RETRY},  /* UNAVAILABLE */
    {BACKEND_OTLP_GRPC, 15, "", VERDICT_RETRY},  /* DATA_LOSS */
    {BACKEND_OTLP_GRPC, 16, "", VERDICT_AWAY},   /* UNAUTHENTICATED */
};

static void test_verdict_judges_what_real_programs_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        struct verdict_answer answer = {seen[i].status, NULL, bytes_of_string(seen[i].body), 0};
        int64_t wait_ms = -1;
        enum verdict verdict = verdict_of(seen[i].kind, &answer, false, &wait_ms);
        if (verdict != seen[i].verdict)
            fail_msg("row %zu: %d %s: %s", i, seen[i].status, seen[i].body, verdict_name(verdict));
        assert_int_equal(wait_ms, 0);
    }
}

static void test_verdict_takes_an_empty_partial_success_as_success(void **state)
{
    (void)state;
    static const uint8_t body[] = {0x0a, 0x00};
    struct verdict_answer answer = {200, NULL, {body, sizeof body}, 0};
    int64_t wait_ms;
    assert_int_equal(verdict_of(BACKEND_OTLP_HTTP, &answer, false, &wait_ms), VERDICT_DELIVERED);
}

static void test_verdict_drops_on_client_error_only_when_told(void **state)
{
    (void)state;
    static const int statuses[] = {301, 401, 403, 404, 405, 407};
    int64_t wait_ms;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct verdict_answer answer = {statuses[i], NULL, {0}, 0};
        assert_int_equal(verdict_of(BACKEND_REMOTE_WRITE, &answer, false, &wait_ms), VERDICT_AWAY);
        assert_int_equal(verdict_of(BACKEND_REMOTE_WRITE, &answer, true, &wait_ms), VERDICT_REFUSED);
        assert_true(verdict_is_of_backend(BACKEND_LOKI, statuses[i]));
    }
    assert_false(verdict_is_of_backend(BACKEND_LOKI, 400));
}

static int64_t wait_of(const char *retry_after)
{
    struct verdict_answer answer = {503, retry_after, {0}, 0};
    int64_t wait_ms = -1;
    verdict_of(BACKEND_LOKI, &answer, false, &wait_ms);
    return wait_ms;
}

static void test_verdict_reads_retry_after_as_seconds_and_as_a_date(void **state)
{
    (void)state;
    assert_int_equal(wait_of("7"), 7000);
    assert_int_equal(wait_of(" 7"), 7000);
    assert_int_equal(wait_of("0"), 0);
    assert_int_equal(wait_of("999999999999999999999"), 3600000);
    assert_int_equal(wait_of("7x"), 0);
    assert_int_equal(wait_of("-7"), 0);
    assert_int_equal(wait_of(""), 0);
    char date[64];
    time_t then = time(NULL) + 60;
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &tm));
    assert_in_range(wait_of(date), 30000, 60000);
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(wait_of("Sun, 06 Nov 2994 08:49:37 GMT"), 3600000);
}

static void test_verdict_knows_out_of_order_words(void **state)
{
    (void)state;
    assert_true(verdict_is_out_of_order(bytes_of_string("out of order sample\n")));
    assert_true(verdict_is_out_of_order(bytes_of_string("out of bounds\n")));
    assert_true(verdict_is_out_of_order(bytes_of_string("duplicate sample for timestamp\n")));
    assert_false(verdict_is_out_of_order(bytes_of_string("unexpected EOF")));
    assert_false(verdict_is_out_of_order((struct bytes){0}));
}

static void test_verdict_tells_data_from_load(void **state)
{
    (void)state;
    struct verdict_answer limit = {429, NULL, bytes_of_string("Maximum active stream limit exceeded when"),
                                   0};
    struct verdict_answer rate = {429, NULL, bytes_of_string("ingestion rate limit exceeded"), 0};
    struct verdict_answer broken = {500, NULL, {0}, 0};
    assert_true(verdict_may_be_data(BACKEND_LOKI, &limit));
    assert_false(verdict_may_be_data(BACKEND_LOKI, &rate));
    assert_true(verdict_may_be_data(BACKEND_REMOTE_WRITE, &broken));
    assert_true(verdict_leaves_doubt(504));
    assert_false(verdict_leaves_doubt(500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_judges_what_real_programs_answer),
        cmocka_unit_test(test_verdict_takes_an_empty_partial_success_as_success),
        cmocka_unit_test(test_verdict_drops_on_client_error_only_when_told),
        cmocka_unit_test(test_verdict_reads_retry_after_as_seconds_and_as_a_date),
        cmocka_unit_test(test_verdict_knows_out_of_order_words),
        cmocka_unit_test(test_verdict_tells_data_from_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
