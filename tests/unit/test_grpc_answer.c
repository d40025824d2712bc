/* What a gRPC client reads of an answer. Expected bytes: gRPC's specification; RetryInfo as base/grpc writes
 * it, which is read back with protoc elsewhere. */
#include "base/http/grpc.h"
#include "gateway/fanout/grpc_answer.h"
#include "tests/unit/unit.h"

static struct bytes text(const char *s)
{
    return bytes_of_string(s);
}

static void test_grpc_answer_reads_codes(void **state)
{
    (void)state;
    assert_int_equal(grpc_answer_status(text("0")), GRPC_STATUS_OK);
    assert_int_equal(grpc_answer_status(text("14")), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(grpc_answer_status(text("16")), GRPC_STATUS_UNAUTHENTICATED);
    assert_int_equal(grpc_answer_status(text("17")), GRPC_STATUS_UNKNOWN);
    assert_int_equal(grpc_answer_status(text("")), GRPC_STATUS_UNKNOWN);
    assert_int_equal(grpc_answer_status(text("1x")), GRPC_STATUS_UNKNOWN);
    assert_string_equal(grpc_answer_name(8), "RESOURCE_EXHAUSTED");
    assert_string_equal(grpc_answer_name(99), "UNKNOWN");
}

static void test_grpc_answer_maps_http_as_grpc_has_it(void **state)
{
    (void)state;
    assert_int_equal(grpc_answer_of_http(400), GRPC_STATUS_INTERNAL);
    assert_int_equal(grpc_answer_of_http(401), GRPC_STATUS_UNAUTHENTICATED);
    assert_int_equal(grpc_answer_of_http(403), GRPC_STATUS_PERMISSION_DENIED);
    assert_int_equal(grpc_answer_of_http(404), GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(grpc_answer_of_http(429), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(grpc_answer_of_http(503), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(grpc_answer_of_http(500), GRPC_STATUS_UNKNOWN);
}

static void test_grpc_answer_undoes_percent_encoding(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 256);
    assert_int_equal(grpc_answer_put_message(text("100%25 of %C3%A9 %zz %2"), &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal((char *)out.ptr, "100% of \xc3\xa9 %zz %2");
    buf_fini(&out);
}

static void test_grpc_answer_finds_the_retry_delay(void **state)
{
    (void)state;
    static const char name[] = "grpc-status-details-bin: ";
    struct buf lines;
    buf_init(&lines, 4096);
    assert_int_equal(grpc_put_status(&lines, GRPC_UNAVAILABLE, "later", 1500), 0);
    assert_int_equal(buf_append(&lines, "", 1), 0);
    const char *at = strstr((char *)lines.ptr, name);
    assert_non_null(at);
    at += sizeof name - 1;
    assert_int_equal(grpc_answer_retry_ms((struct bytes){(const uint8_t *)at, strcspn(at, "\r")}), 1500);
    assert_int_equal(grpc_answer_retry_ms(text("")), 0);
    assert_int_equal(grpc_answer_retry_ms(text("!!!")), 0);
    assert_int_equal(grpc_answer_retry_ms(text("CAISBWhlbGxv")), 0); /* a Status without details */
    buf_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc_answer_reads_codes),
        cmocka_unit_test(test_grpc_answer_maps_http_as_grpc_has_it),
        cmocka_unit_test(test_grpc_answer_undoes_percent_encoding),
        cmocka_unit_test(test_grpc_answer_finds_the_retry_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
