#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-agent/logs/offsets_file.h"

static struct offsets *fresh(const char *buffer)
{
    struct offsets *o;
    assert_int_equal(offsets_new(&o), 0);
    offsets_set_buffer(o, buffer);
    return o;
}

static void expect(const struct offsets *o, const char *key, uint64_t committed, uint64_t delivered)
{
    const struct offset *at = offsets_find(o, key);
    assert_non_null(at);
    assert_int_equal(at->committed, committed);
    assert_int_equal(at->delivered, delivered);
}

static void test_offsets_delivered_follows_the_checkpoints(void **state)
{
    (void)state;
    struct offsets *o = fresh("b1");
    offsets_commit(o, false, "x", 100, 10);
    offsets_checkpoint(o, false, 1);
    offsets_commit(o, false, "x", 200, 10);
    offsets_commit(o, false, "y", 50, 5);
    offsets_checkpoint(o, false, 2);
    expect(o, "x", 200, 0);
    offsets_deliver(o, false, 1);
    expect(o, "x", 200, 100);
    expect(o, "y", 50, 0);
    offsets_deliver(o, false, 2);
    expect(o, "x", 200, 200);
    expect(o, "y", 50, 50);
    offsets_free(o);
}

static void test_offsets_never_go_back_by_a_commit(void **state)
{
    (void)state;
    struct offsets *o = fresh("b1");
    offsets_commit(o, false, "x", 100, 1);
    offsets_commit(o, false, "x", 40, 1);
    expect(o, "x", 100, 0);
    offsets_free(o);
}

/* Merged marks may say less than was delivered, never more. */
static void test_offsets_merged_checkpoints_claim_only_with_the_newer(void **state)
{
    (void)state;
    struct offsets *o = fresh("b1");
    uint64_t count = 5 * OFFSETS_MAX_MARKS;
    for (uint64_t seq = 1; seq <= count; seq++) {
        offsets_commit(o, false, seq % 2 ? "x" : "y", seq * 10, 1);
        assert_int_equal(offsets_checkpoint(o, false, seq), 0);
    }
    for (uint64_t seq = 1; seq <= count; seq += 97) {
        offsets_deliver(o, false, seq);
        assert_true(offsets_find(o, "x")->delivered <= seq * 10);
        assert_true(offsets_find(o, "y")->delivered <= seq * 10);
    }
    offsets_deliver(o, false, count);
    expect(o, "x", (count - (count % 2 ? 0 : 1)) * 10, (count - (count % 2 ? 0 : 1)) * 10);
    offsets_free(o);
}

static void test_offsets_forgotten_checkpoints_are_claimed_again(void **state)
{
    (void)state;
    struct offsets *o = fresh("b1");
    offsets_commit(o, false, "x", 100, 1);
    offsets_checkpoint(o, false, 7);
    offsets_forget_marks(o);
    offsets_deliver(o, false, 7);
    expect(o, "x", 100, 0);
    offsets_checkpoint(o, false, 1);
    offsets_deliver(o, false, 1);
    expect(o, "x", 100, 100);
    offsets_free(o);
}

static void test_offsets_are_lost_only_with_another_buffer_that_took_nothing_over(void **state)
{
    (void)state;
    struct offsets *o = fresh("");
    assert_false(offsets_is_lost(o, "b1", false));
    offsets_set_buffer(o, "b1");
    assert_false(offsets_is_lost(o, "b1", false));
    assert_true(offsets_is_lost(o, "b2", false));
    assert_false(offsets_is_lost(o, "b2", true));
    offsets_free(o);
}

static void test_offsets_of_files_long_gone_are_swept_once_delivered(void **state)
{
    (void)state;
    struct offsets *o = fresh("b1");
    offsets_commit(o, false, "delivered", 10, 1);
    offsets_checkpoint(o, false, 1);
    offsets_deliver(o, false, 1);
    offsets_commit(o, false, "waiting", 10, 1);
    offsets_sweep(o, 1000, 500);
    assert_null(offsets_find(o, "delivered"));
    assert_non_null(offsets_find(o, "waiting"));
    assert_int_equal(offsets_count(o), 1);
    for (int i = 0; i < OFFSETS_MAX_FILES; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d", i);
        offsets_commit(o, false, key, 1, 1);
        offsets_find(o, key)->seen_ns = 1 + i;
    }
    offsets_sweep(o, 1000, INT64_MAX);
    assert_null(offsets_find(o, "waiting")); /* the longest away */
    assert_int_equal(offsets_count(o), OFFSETS_MAX_FILES);
    offsets_free(o);
}

static void write_text(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void test_offsets_file_gives_back_what_was_saved(void **state)
{
    (void)state;
    struct offsets *o = fresh("buffer-1"), *again;
    struct buf text;
    int aside;
    char path[] = "/tmp/test_offsets.XXXXXX";
    close(mkstemp(path));
    offsets_commit(o, false, "ns_p_u/c/0:fd00:12:256:0badcafe", 100, 10);
    offsets_checkpoint(o, false, 1);
    offsets_deliver(o, false, 1);
    offsets_commit(o, false, "ns_p_u/c/0:fd00:12:256:0badcafe", 300, 20);
    buf_init(&text, OFFSETS_FILE_MAX);
    assert_int_equal(offsets_file_write(o, &text), 0);
    assert_int_equal(offsets_file_replace(path, ".new", buf_bytes(&text)), 0);
    assert_int_equal(offsets_file_load(path, &again, &aside), 0);
    assert_int_equal(aside, 0);
    assert_string_equal(offsets_buffer(again), "buffer-1");
    expect(again, "ns_p_u/c/0:fd00:12:256:0badcafe", 300, 100);
    assert_int_equal(offsets_find(again, "ns_p_u/c/0:fd00:12:256:0badcafe")->committed_lines, 30);
    unlink(path);
    buf_fini(&text);
    offsets_free(o);
    offsets_free(again);
}

static void expect_aside(const char *text, size_t len, int reason)
{
    char path[] = "/tmp/test_offsets.XXXXXX", beside[64];
    struct offsets *o;
    int aside;
    close(mkstemp(path));
    write_text(path, text, len);
    assert_int_equal(offsets_file_load(path, &o, &aside), 0);
    assert_int_equal(aside, reason);
    assert_int_equal(offsets_count(o), 0);
    snprintf(beside, sizeof beside, "%s.aside", path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(unlink(beside), 0);
    offsets_free(o);
}

static void test_offsets_file_damaged_or_newer_is_moved_aside(void **state)
{
    (void)state;
    struct offsets *o = fresh("buffer-1");
    struct buf text;
    buf_init(&text, OFFSETS_FILE_MAX);
    offsets_commit(o, false, "key", 100, 10);
    assert_int_equal(offsets_file_write(o, &text), 0);
    for (size_t i = 0; i < text.len; i++) { /* every byte flipped once, every length */
        struct offsets *into = fresh("");
        text.ptr[i] ^= 1;
        assert_true(offsets_file_parse(buf_bytes(&text), into) < 0);
        text.ptr[i] ^= 1;
        assert_true(offsets_file_parse((struct bytes){text.ptr, i}, into) < 0);
        offsets_free(into);
    }
    text.ptr[text.len / 2] ^= 1;
    expect_aside((const char *)text.ptr, text.len, -EBADMSG);
    expect_aside("tributary-offsets 2\nanything\n", 29, -EPROTONOSUPPORT);
    expect_aside("", 0, -EBADMSG);
    buf_fini(&text);
    offsets_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_delivered_follows_the_checkpoints),
        cmocka_unit_test(test_offsets_never_go_back_by_a_commit),
        cmocka_unit_test(test_offsets_merged_checkpoints_claim_only_with_the_newer),
        cmocka_unit_test(test_offsets_forgotten_checkpoints_are_claimed_again),
        cmocka_unit_test(test_offsets_are_lost_only_with_another_buffer_that_took_nothing_over),
        cmocka_unit_test(test_offsets_of_files_long_gone_are_swept_once_delivered),
        cmocka_unit_test(test_offsets_file_gives_back_what_was_saved),
        cmocka_unit_test(test_offsets_file_damaged_or_newer_is_moved_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
