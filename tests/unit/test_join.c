/* One body out of several payloads, by copying. */
#include <errno.h>

#include "base/snap.h"
#include "gateway/fanout/join.h"
#include "tests/unit/unit.h"

static void compress(const char *text, size_t repeat, struct buf *raw, struct buf *block)
{
    buf_init(block, 1 << 20);
    size_t before = raw->len;
    for (size_t i = 0; i < repeat; i++)
        assert_int_equal(buf_append_string(raw, text), 0);
    assert_int_equal(snap_compress((struct bytes){raw->ptr + before, raw->len - before}, block), 0);
}

static void add(struct join *join, uint64_t announced, const struct buf *block, int expected)
{
    struct buf *into = join_begin_row(join, announced);
    assert_non_null(into);
    assert_int_equal(buf_append(into, block->ptr, block->len), 0);
    assert_int_equal(join_end_row(join), expected);
}

static void expect_raw(struct join *join, const struct buf *raw)
{
    struct buf out;
    buf_init(&out, 1 << 22);
    assert_int_equal(snap_uncompress(join_seal(join), &out), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(raw)));
    assert_int_equal(join->raw_bytes, raw->len);
    buf_fini(&out);
}

static void test_join_is_the_rows_one_after_the_other(void **state)
{
    (void)state;
    static const size_t repeats[] = {1, 20, 3000, 1, 40000, 7};
    struct join join;
    struct buf raw, block;
    join_init(&join, 1 << 22);
    buf_init(&raw, 1 << 22);
    for (size_t i = 0; i < sizeof repeats / sizeof *repeats; i++) {
        size_t before = raw.len;
        compress("tributary ", repeats[i], &raw, &block);
        add(&join, raw.len - before, &block, 0);
        buf_fini(&block);
        expect_raw(&join, &raw);
    }
    join_fini(&join);
    buf_fini(&raw);
}

static void test_join_bears_a_wrongly_announced_size(void **state)
{
    (void)state;
    static const uint64_t announced[] = {1, 1u << 30, 0, UINT64_MAX, 200};
    struct join join;
    struct buf raw, block;
    join_init(&join, 1 << 22);
    buf_init(&raw, 1 << 22);
    for (size_t i = 0; i < sizeof announced / sizeof *announced; i++) {
        compress("abc", 100, &raw, &block);
        add(&join, announced[i], &block, 0);
        buf_fini(&block);
    }
    expect_raw(&join, &raw);
    join_fini(&join);
    buf_fini(&raw);
}

static void test_join_leaves_out_what_is_no_block(void **state)
{
    (void)state;
    struct join join;
    struct buf raw, block, bad = {0};
    join_init(&join, 1 << 20);
    buf_init(&raw, 1 << 20);
    buf_init(&bad, 100);
    assert_int_equal(buf_append(&bad, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11), 0);
    compress("abc", 50, &raw, &block);
    add(&join, 150, &block, 0);
    add(&join, 150, &bad, -EBADMSG);
    assert_non_null(join_begin_row(&join, 77));
    join_drop_row(&join);
    buf_fini(&block);
    compress("defg", 50, &raw, &block);
    add(&join, 200, &block, 0);
    expect_raw(&join, &raw);
    join_clear(&join, 0);
    assert_int_equal(join_seal(&join).len, 0);
    buf_fini(&block);
    buf_fini(&bad);
    buf_fini(&raw);
    join_fini(&join);
}

static struct buffer_row row_of(const char *origin, int64_t earliest, int64_t latest, uint64_t raw_bytes)
{
    struct buffer_row row = {.format = FORMAT_REMOTE_WRITE_1,
                             .earliest_ns = earliest,
                             .latest_ns = latest,
                             .raw_bytes = raw_bytes,
                             .slot = buffer_slot(origin)};
    strcpy(row.origin, origin);
    return row;
}

static void test_join_fits_while_times_go_forward(void **state)
{
    (void)state;
    struct buffer_row rows[] = {row_of("a", 100, 200, 10), row_of("b", 100, 900, 10)};
    struct buffer_row ahead = row_of("a", 200, 300, 10), back = row_of("a", 199, 300, 10);
    assert_true(join_fits(rows, 2, 20, &ahead, 100, true));
    assert_false(join_fits(rows, 2, 20, &back, 100, true));
    assert_true(join_fits(rows, 2, 20, &back, 100, false));
    assert_true(join_fits(rows, 0, 0, &back, 100, true));
}

static void test_join_fits_within_the_limit_and_one_format(void **state)
{
    (void)state;
    struct buffer_row rows[] = {row_of("a", 0, 1, 60)};
    struct buffer_row more = row_of("b", 0, 1, 40);
    assert_true(join_fits(rows, 1, 60, &more, 100, true));
    assert_false(join_fits(rows, 1, 61, &more, 100, true));
    assert_false(join_fits(rows, 1, 60, &more, 39, true));
    assert_true(join_fits(rows, 0, 0, &more, 1, true));
    more.format = FORMAT_REMOTE_WRITE_2;
    assert_false(join_fits(rows, 1, 60, &more, 100, true));
    more.format = FORMAT_REMOTE_WRITE_1;
    assert_false(join_fits(rows, JOIN_MAX_ROWS, 0, &more, 100, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_is_the_rows_one_after_the_other),
        cmocka_unit_test(test_join_bears_a_wrongly_announced_size),
        cmocka_unit_test(test_join_leaves_out_what_is_no_block),
        cmocka_unit_test(test_join_fits_while_times_go_forward),
        cmocka_unit_test(test_join_fits_within_the_limit_and_one_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
