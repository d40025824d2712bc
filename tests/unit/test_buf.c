/* The bounded buffer, the protobuf wire and snappy joining. */
#include <errno.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/pb.h"
#include "base/snap.h"
#include "tests/unit/unit.h"

static void test_buf_refuses_to_grow_past_its_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 300);
    assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(buf_reserve(&b, 291), -EMSGSIZE);
    assert_int_equal(buf_reserve(&b, 290), 0);
    assert_int_equal(b.len, 10);
    assert_int_equal(b.cap, 300);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
    buf_fini(&b);
}

static void test_buf_printf_appends_without_nul(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_printf(&b, "%d-%s", 7, "x"), 0);
    assert_int_equal(buf_printf(&b, "!"), 0);
    assert_memory_equal(b.ptr, "7-x!", 4);
    assert_int_equal(b.len, 4);
    buf_fini(&b);
}

static void test_pb_reads_back_what_it_wrote(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 300, 1u << 21, UINT32_MAX, UINT64_MAX};
    struct buf b;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_int_equal(pb_put_varint(&b, (uint32_t)i + 1, values[i]), 0);
    assert_int_equal(pb_put_string(&b, 100, "text"), 0);
    assert_int_equal(pb_put_double(&b, 101, 1.5), 0);
    size_t mark;
    assert_int_equal(pb_begin(&b, 102, &mark), 0);
    assert_int_equal(pb_put_varint(&b, 1, 5), 0);
    pb_end(&b, mark);
    struct bytes rest = buf_bytes(&b);
    struct pb_field f;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_int_equal(pb_next(&rest, &f), 1);
        assert_int_equal(f.number, i + 1);
        assert_true(f.value == values[i]);
        assert_int_equal(pb_varint_size(values[i]) + (f.number < 16 ? 1 : 2), f.whole.len);
    }
    assert_int_equal(pb_next(&rest, &f), 1);
    assert_true(bytes_equal(f.bytes, bytes_of_string("text")));
    assert_int_equal(pb_next(&rest, &f), 1);
    assert_int_equal(f.type, PB_FIXED64);
    assert_int_equal(pb_next(&rest, &f), 1);
    assert_int_equal(f.bytes.len, 2);
    assert_int_equal(pb_next(&rest, &f), 0);
    buf_fini(&b);
}

static void test_pb_refuses_what_is_not_protobuf(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x08", 1},                                          /* a tag without a value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* more than 64 bits */
        {"\x0a\x05"
         "ab",
         4},                                                  /* shorter than its length */
        {"\x0b", 1},                                          /* a group */
        {"\x0f", 1},                                          /* wire type 7 */
        {"\x00", 1},                                          /* field 0 */
        {"\x09\x01\x02", 3},                                  /* half a fixed64 */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* a length of 2^64 - 1 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes rest = {(const uint8_t *)cases[i].bytes, cases[i].len}, before = rest;
        struct pb_field f;
        assert_int_equal(pb_next(&rest, &f), -EBADMSG);
        assert_ptr_equal(rest.ptr, before.ptr);
    }
}

static void test_snap_joined_bodies_uncompress_to_the_concatenation(void **state)
{
    (void)state;
    struct buf a, b, joined, raw;
    buf_init(&a, 1 << 20), buf_init(&b, 1 << 20), buf_init(&joined, 1 << 20), buf_init(&raw, 1 << 20);
    char text[70000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 7);
    struct bytes first = {(const uint8_t *)text, sizeof text}, second = {(const uint8_t *)text, 1234};
    assert_int_equal(snap_compress(first, &a), 0);
    assert_int_equal(snap_compress(second, &b), 0);
    struct bytes body_a, body_b;
    size_t size_a, size_b;
    assert_int_equal(snap_body(buf_bytes(&a), &body_a, &size_a), 0);
    assert_int_equal(snap_body(buf_bytes(&b), &body_b, &size_b), 0);
    assert_int_equal(buf_reserve(&joined, PB_MAX_VARINT), 0);
    joined.len = (size_t)(pb_write_varint(joined.ptr, size_a + size_b) - joined.ptr);
    buf_append(&joined, body_a.ptr, body_a.len);
    buf_append(&joined, body_b.ptr, body_b.len);
    assert_int_equal(snap_uncompress(buf_bytes(&joined), &raw), 0);
    assert_int_equal(raw.len, first.len + second.len);
    assert_memory_equal(raw.ptr, text, first.len);
    assert_memory_equal(raw.ptr + first.len, text, second.len);
    buf_fini(&a), buf_fini(&b), buf_fini(&joined), buf_fini(&raw);
}

static void test_snap_refuses_a_size_past_the_limit_before_taking_memory(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    static const uint8_t bomb[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    assert_int_equal(snap_uncompress((struct bytes){bomb, sizeof bomb}, &out), -EMSGSIZE);
    assert_null(out.ptr);
    buf_fini(&out);
}

static void test_crc32c_gives_the_check_value_of_the_standard(void **state)
{
    (void)state;
    assert_int_equal(crc32c(bytes_of_string("123456789")), 0xe3069283);
    assert_int_equal(crc32c(bytes_of_string("")), 0);
}

/* The definition, bit by bit. */
static uint32_t slow_crc32c(struct bytes b)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < b.len; i++) {
        crc ^= b.ptr[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void test_crc32c_of_any_length_and_place_is_that_of_the_definition(void **state)
{
    static const size_t lengths[] = {1, 7, 8, 12287, 12288, 12289, 12296, 24576, 30001};
    static uint8_t data[30016];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t start = 0; start < 9; start += 3) {
            struct bytes b = {data + start, lengths[i]};
            assert_int_equal(crc32c(b), slow_crc32c(b));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_refuses_to_grow_past_its_limit),
        cmocka_unit_test(test_buf_printf_appends_without_nul),
        cmocka_unit_test(test_pb_reads_back_what_it_wrote),
        cmocka_unit_test(test_pb_refuses_what_is_not_protobuf),
        cmocka_unit_test(test_snap_joined_bodies_uncompress_to_the_concatenation),
        cmocka_unit_test(test_snap_refuses_a_size_past_the_limit_before_taking_memory),
        cmocka_unit_test(test_crc32c_gives_the_check_value_of_the_standard),
        cmocka_unit_test(test_crc32c_of_any_length_and_place_is_that_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
