#include <errno.h>
#include <stdlib.h>

#include "base/buffer/buffer_recent.h"
#include "tests/unit/unit.h"

static int freed;

static void count_free(void *owner)
{
    freed++;
    free(owner);
}

static void keep(struct buffer_recent *recent, int64_t row_id, size_t len)
{
    struct batch *batch = batch_new("node-a");
    uint8_t *bytes = malloc(len);
    assert_true(batch && bytes);
    memset(bytes, (int)row_id, len);
    batch_take_payload(batch, bytes, len);
    batch->payload_release = count_free;
    buffer_recent_keep(recent, row_id, batch);
    assert_int_equal(batch->payload.len, len);
    batch_free(batch);
}

static bool has(struct buffer_recent *recent, int64_t row_id, size_t len)
{
    struct buf out;
    buf_init(&out, BUFFER_RECENT_BYTES);
    int err = buffer_recent_copy(recent, row_id, &out);
    bool is_there = err == 0;
    assert_true(err == 0 || err == -ENOENT);
    assert_int_equal(out.len, is_there ? len : 0);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.ptr[i], (uint8_t)row_id);
    buf_fini(&out);
    return is_there;
}

static void test_buffer_recent_gives_what_was_kept_until_it_is_cleared(void **state)
{
    struct buffer_recent recent;
    (void)state;
    freed = 0;
    buffer_recent_init(&recent);
    keep(&recent, 7, 1000);
    keep(&recent, 8, 2000);
    assert_int_equal(freed, 0);
    assert_true(has(&recent, 7, 1000) && has(&recent, 8, 2000) && !has(&recent, 9, 0));
    buffer_recent_clear(&recent);
    assert_int_equal(freed, 2);
    assert_false(has(&recent, 7, 0));
    buffer_recent_fini(&recent);
}

static void test_buffer_recent_lets_the_oldest_go(void **state)
{
    struct buffer_recent recent;
    (void)state;
    freed = 0;
    buffer_recent_init(&recent);
    for (int row = 1; row <= BUFFER_RECENT_COUNT + 2; row++)
        keep(&recent, row, 10);
    assert_int_equal(freed, 2);
    assert_true(!has(&recent, 2, 0) && has(&recent, 3, 10));
    keep(&recent, 100, BUFFER_RECENT_BYTES / 2 + 1); /* too large to be worth it: the batch frees it */
    assert_int_equal(freed, 3);
    assert_false(has(&recent, 100, 0));
    for (int row = 101; row <= 103; row++)
        keep(&recent, row, BUFFER_RECENT_BYTES / 2);
    assert_true(!has(&recent, 18, 0) && !has(&recent, 101, 0) && has(&recent, 102, BUFFER_RECENT_BYTES / 2));
    assert_true(recent.bytes <= BUFFER_RECENT_BYTES);
    buffer_recent_fini(&recent);
    assert_int_equal(freed, 3 + BUFFER_RECENT_COUNT + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_recent_gives_what_was_kept_until_it_is_cleared),
        cmocka_unit_test(test_buffer_recent_lets_the_oldest_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
