/* gRPC's frame and status, by the bytes that its own libraries put on the wire. */
#include <errno.h>
#include <zlib.h>

#include "base/http/grpc.h"
#include "tests/unit/unit.h"

static struct bytes frame(uint8_t *out, uint8_t flag, uint32_t len, struct bytes message)
{
    out[0] = flag;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    if (message.len)
        memcpy(out + GRPC_FRAME_BYTES, message.ptr, message.len);
    return (struct bytes){out, GRPC_FRAME_BYTES + message.len};
}

static size_t gzip(const void *raw, size_t len, uint8_t *out, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)raw;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return size - z.avail_out;
}

static int unframe(struct bytes body, const char *coding, size_t max, struct buf *storage,
                   struct bytes *message)
{
    buf_init(storage, 0);
    return grpc_message(body, coding, max, storage, message);
}

static void test_grpc_message_takes_one_whole_message(void **state)
{
    (void)state;
    uint8_t text[64];
    struct buf storage;
    struct bytes message, hello = bytes_of_string("hello");
    const struct {
        struct bytes content;
        const char *coding;
        size_t max;
        int want;
        uint32_t len;
        uint8_t flag;
    } cases[] = {
        {hello, NULL, 5, 0, 5, 0},
        {hello, "gzip", 5, 0, 5, 0}, /* not every message is compressed */
        {{0}, NULL, 5, 0, 0, 0},
        {hello, NULL, 4, -EMSGSIZE, 5, 0},
        {hello, NULL, 5, -ENOTUNIQ, 4, 0},
        {hello, NULL, 5, -EBADMSG, 6, 0},
        {hello, NULL, 5, -EBADMSG, 5, 2},
        {hello, NULL, 5, -EPROTO, 5, 1},
        {hello, "zstd", 5, -ENOTSUP, 5, 1},
        {hello, "gzip", 5, -EPROTO, 5, 1},
        {{0}, "gzip", 5, -EPROTO, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes body = frame(text, cases[i].flag, cases[i].len, cases[i].content);
        int err = unframe(body, cases[i].coding, cases[i].max, &storage, &message);
        if (err != cases[i].want)
            fail_msg("case %zu: %d", i, err);
        if (err == 0)
            assert_true(bytes_equal(message, cases[i].content));
        buf_fini(&storage);
    }
    assert_int_equal(unframe((struct bytes){text, 4}, NULL, 5, &storage, &message), -EBADMSG);
    assert_int_equal(unframe((struct bytes){text, 0}, NULL, 5, &storage, &message), -ENOTUNIQ);
}

static void test_grpc_message_decodes_gzip_up_to_the_limit(void **state)
{
    (void)state;
    uint8_t zipped[4096], text[4096 + GRPC_FRAME_BYTES], *raw = calloc(1, 100 * 1000);
    struct buf storage;
    struct bytes message;
    size_t len = gzip(raw, 100 * 1000, zipped, sizeof zipped);
    struct bytes body = frame(text, 1, (uint32_t)len, (struct bytes){zipped, len});
    assert_int_equal(unframe(body, "gzip", 100 * 1000, &storage, &message), 0);
    assert_true(bytes_equal(message, (struct bytes){raw, 100 * 1000}));
    buf_fini(&storage);
    assert_int_equal(unframe(body, "gzip", 100 * 1000 - 1, &storage, &message), -EMSGSIZE);
    buf_fini(&storage);
    body = frame(text, 1, (uint32_t)len - 3, (struct bytes){zipped, len - 3});
    assert_int_equal(unframe(body, "gzip", 100 * 1000, &storage, &message), -EPROTO);
    buf_fini(&storage);
    free(raw);
}

static void expect_status(enum grpc_code code, const char *message, int64_t retry_ms, const char *want)
{
    struct buf out;
    buf_init(&out, GRPC_HEAD_BYTES);
    assert_int_equal(grpc_put_status(&out, code, message, retry_ms), 0);
    buf_append(&out, "", 1);
    assert_string_equal((char *)out.ptr, want);
    buf_fini(&out);
}

static void test_grpc_status_is_told_in_trailers(void **state)
{
    (void)state;
    expect_status(GRPC_OK, "", 0, "grpc-status: 0\r\n");
    expect_status(GRPC_INVALID_ARGUMENT, "no", 0, "grpc-status: 3\r\ngrpc-message: no\r\n");
    expect_status(GRPC_INTERNAL, "100% \xc3\xa9\n", 0, "grpc-status: 13\r\ngrpc-message: 100%25 %C3%A9\r\n");
    /* google.rpc.Status{14, "late", [RetryInfo{1.5 s}]}: checked with protoc --decode_raw */
    expect_status(
        GRPC_UNAVAILABLE, "late", 1500,
        "grpc-status: 14\r\ngrpc-message: late\r\ngrpc-status-details-bin: "
        "CA4SBGxhdGUavICAAAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxKNgIAACoiAgAAIARCAyrXuAQ"
        "\r\n");
}

static void test_grpc_timeout_has_eight_digits_at_most_and_a_unit(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"10S", 10000},          {"0S", 0},         {"2H", 7200000},     {"3M", 180000},
        {"99999999m", 99999999}, {"1500u", 1},      {"1999999n", 1},     {"99999999H", 359999996400000},
        {NULL, INT64_MAX},       {"", INT64_MAX},   {"S", INT64_MAX},    {"100000000m", INT64_MAX},
        {"10", INT64_MAX},       {"1s", INT64_MAX}, {"10Sx", INT64_MAX}, {"-1S", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (grpc_timeout_ms(cases[i].text) != cases[i].want)
            fail_msg("\"%s\" is %lld ms", cases[i].text ? cases[i].text : "NULL",
                     (long long)grpc_timeout_ms(cases[i].text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc_message_takes_one_whole_message),
        cmocka_unit_test(test_grpc_message_decodes_gzip_up_to_the_limit),
        cmocka_unit_test(test_grpc_status_is_told_in_trailers),
        cmocka_unit_test(test_grpc_timeout_has_eight_digits_at_most_and_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
