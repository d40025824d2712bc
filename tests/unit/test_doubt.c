/* What is in doubt: its note, and whether it was in. */
#include <errno.h>

#include "base/pb.h"
#include "gateway/fanout/doubt.h"
#include "tests/unit/unit.h"

static const struct buffer_row rows[] = {
    {.id = 7, .slot = 3}, {.id = 9, .slot = 63}, {.id = INT64_MAX, .slot = 0}};

static void make(struct halving *h, bool under_way, struct buf *note)
{
    assert_int_equal(halving_init(h, 3), 0);
    assert_int_equal(halving_refuse(h, 400, bytes_of_string("first")), 0); /* row 0 | rows 1, 2 */
    halving_set_count(h, 0, 5);
    assert_int_equal(halving_doubt(h), 0);
    assert_int_equal(halving_refuse(h, 400, bytes_of_string("again")), 0); /* [0, 2) | [2, 5) */
    assert_int_equal(halving_take(h), 0);
    assert_int_equal(halving_settle(h, PART_UNRESOLVED, 500, bytes_of_string("so it is")), 0);
    buf_init(note, 1 << 16);
    assert_int_equal(doubt_write(rows, h, under_way, note), 0);
}

static void expect_same(const struct halving *a, const struct halving *b)
{
    assert_int_equal(a->row_count, b->row_count);
    assert_memory_equal(a->rows, b->rows, a->row_count * sizeof *a->rows);
    assert_int_equal(a->work_count, b->work_count);
    assert_memory_equal(a->work, b->work, a->work_count * sizeof *a->work);
    assert_int_equal(a->answer_count, b->answer_count);
    assert_memory_equal(a->answers, b->answers, a->answer_count * sizeof *a->answers);
    assert_int_equal(a->word_count, b->word_count);
    for (size_t i = 0; i < a->word_count; i++)
        assert_string_equal(a->words[i], b->words[i]);
}

static void test_doubt_note_is_read_back_as_written(void **state)
{
    (void)state;
    struct halving h, back;
    struct doubt_row *ids;
    struct buf note;
    make(&h, false, &note);
    assert_int_equal(doubt_read(buf_bytes(&note), &ids, &back), 0);
    expect_same(&h, &back);
    assert_int_equal(back.doubt_count, 1);
    for (int i = 0; i < 3; i++)
        assert_true(ids[i].id == rows[i].id && ids[i].slot == rows[i].slot);
    free(ids);
    halving_fini(&h);
    halving_fini(&back);
    buf_fini(&note);
}

static void test_doubt_note_puts_what_was_under_way_in_doubt(void **state)
{
    (void)state;
    struct halving h, back;
    struct doubt_row *ids;
    struct buf note;
    make(&h, true, &note);
    assert_int_equal(doubt_read(buf_bytes(&note), &ids, &back), 0);
    assert_int_equal(back.doubt_count, 2);
    assert_memory_equal(&back.doubts[1], &back.work[back.work_count - 1], sizeof back.doubts[1]);
    free(ids);
    halving_fini(&h);
    halving_fini(&back);
    buf_fini(&note);
}

static void test_doubt_note_that_is_damaged_is_refused(void **state)
{
    (void)state;
    struct halving h, back;
    struct doubt_row *ids;
    struct buf note;
    make(&h, true, &note);
    for (size_t len = 0; len < note.len;
         len++) { /* cut anywhere: never a crash, and never a part outside its rows */
        struct bytes cut = {note.ptr, len};
        if (doubt_read(cut, &ids, &back) < 0)
            continue;
        assert_true(back.row_count >= 1);
        free(ids);
        halving_fini(&back);
    }
    for (size_t at = 0; at < note.len; at++) {
        note.ptr[at] ^= 0x55;
        if (doubt_read(buf_bytes(&note), &ids, &back) == 0) {
            free(ids);
            halving_fini(&back);
        }
        note.ptr[at] ^= 0x55;
    }
    buf_clear(&note);
    assert_int_equal(pb_put_varint(&note, 1, DOUBT_NOTE_VERSION + 1), 0);
    assert_int_equal(doubt_read(buf_bytes(&note), &ids, &back), -EPROTONOSUPPORT);
    halving_fini(&h);
    buf_fini(&note);
}

static int was_in(const struct split_sample *samples, const char *taken)
{
    bool flags[16];
    size_t count = strlen(taken);
    for (size_t i = 0; i < count; i++)
        flags[i] = taken[i] == 'x';
    return doubt_was_in(samples, flags, count);
}

static void test_doubt_was_in_only_when_old_ones_are_refused_and_newest_taken(void **state)
{
    (void)state;
    static const struct split_sample two[] = {{1, 10}, {2, 10}, {1, 20}, {2, 20}};
    assert_int_equal(was_in(two, "..xx"), 1);
    assert_int_equal(was_in(two, "xxxx"), 0); /* it was not: all went in now */
    assert_int_equal(was_in(two, "x.xx"), 0);
    assert_int_equal(was_in(two, "...x"), 0);
    assert_int_equal(was_in(two, "...."), 0);
    assert_int_equal(was_in(two, "xx"), 0); /* each series once: a repeat would be taken as well */
    assert_int_equal(was_in(two, ""), 0);
    static const struct split_sample unsorted[] = {{2, 20}, {1, 30}, {2, 10}, {1, 10}, {1, 20}};
    assert_int_equal(was_in(unsorted, "xx..."), 1);
    assert_int_equal(was_in(unsorted, "xx..x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubt_note_is_read_back_as_written),
        cmocka_unit_test(test_doubt_note_puts_what_was_under_way_in_doubt),
        cmocka_unit_test(test_doubt_note_that_is_damaged_is_refused),
        cmocka_unit_test(test_doubt_was_in_only_when_old_ones_are_refused_and_newest_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
