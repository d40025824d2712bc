/* Halving: down to what is bad, left to right, and no further. */
#include "gateway/fanout/halving.h"
#include "tests/unit/unit.h"

enum { ROWS = 5, RECORDS = 37 };

/* A backend that takes a part only when none of its records is bad; records what it took, in order. */
struct backend {
    bool bad[ROWS][RECORDS];
    uint32_t taken[ROWS * RECORDS], taken_count, posts;
};

static bool offer(struct backend *b, struct part part)
{
    uint32_t begin = part.row * RECORDS + part.from;
    uint32_t end = part.to ? part.row * RECORDS + part.to : (part.row + part.rows) * RECORDS;
    b->posts++;
    for (uint32_t i = begin; i < end; i++) {
        if (b->bad[i / RECORDS][i % RECORDS])
            return false;
    }
    for (uint32_t i = begin; i < end; i++)
        b->taken[b->taken_count++] = i;
    return true;
}

static void run(struct halving *h, struct backend *b)
{
    struct part part;
    while (halving_next(h, &part)) {
        if (offer(b, part)) {
            assert_int_equal(halving_take(h), 0);
            continue;
        }
        if (halving_must_count(h))
            halving_set_count(h, part.row, RECORDS);
        assert_int_equal(halving_refuse(h, 400, bytes_of_string("out of order sample")), 0);
    }
}

static void test_halving_refuses_just_what_is_bad_and_keeps_the_order(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct halving h;
        struct backend b = {0};
        uint32_t bad = 0, random = seed + 1;
        for (int i = 0; i < ROWS * RECORDS; i++) {
            random = random * 1664525u + 1013904223u;
            b.bad[i / RECORDS][i % RECORDS] = (random >> 16) % 100 < seed % 20;
            bad += b.bad[i / RECORDS][i % RECORDS];
        }
        assert_int_equal(halving_init(&h, ROWS), 0);
        run(&h, &b);
        uint32_t refused = 0;
        for (size_t i = 0; i < h.answer_count; i++) {
            struct part p = h.answers[i].part;
            if (h.answers[i].outcome != PART_REFUSED)
                continue;
            refused++;
            assert_int_equal(p.to - p.from, 1);
            assert_true(b.bad[p.row][p.from]);
            assert_string_equal(halving_words(&h, &h.answers[i]), "out of order sample");
        }
        assert_int_equal(refused, bad);
        assert_int_equal(b.taken_count, ROWS * RECORDS - bad);
        for (uint32_t i = 1; i < b.taken_count; i++)
            assert_true(b.taken[i - 1] < b.taken[i]);
        assert_true(h.word_count <= 1);
        halving_fini(&h);
    }
}

static void test_halving_finds_one_bad_record_in_few_posts(void **state)
{
    (void)state;
    struct halving h;
    struct backend b = {0};
    b.bad[3][20] = true;
    assert_int_equal(halving_init(&h, ROWS), 0);
    run(&h, &b);
    assert_true(b.posts <= 2 * 9 + 1);
    halving_fini(&h);
}

static void test_halving_gives_up_after_its_share_and_says_so(void **state)
{
    (void)state;
    struct halving h;
    struct part part;
    uint32_t posts = 0, unresolved = 0, refused = 0;
    enum { MANY = 100000 };
    assert_int_equal(halving_init(&h, 2), 0);
    while (halving_next(&h, &part)) {
        posts++;
        if (part.row + part.rows == 2 && part.rows == 1) {
            assert_int_equal(halving_take(&h), 0);
            continue;
        }
        if (halving_must_count(&h))
            halving_set_count(&h, part.row, MANY);
        assert_int_equal(halving_refuse(&h, 400, bytes_of_string("no")), 0);
    }
    assert_in_range(posts, HALVING_MAX_POSTS, HALVING_MAX_POSTS + 3);
    for (size_t i = 0; i < h.answer_count; i++) {
        struct part p = h.answers[i].part;
        if (h.answers[i].outcome == PART_UNRESOLVED)
            unresolved += p.to - p.from;
        if (h.answers[i].outcome == PART_REFUSED)
            refused += p.to - p.from;
    }
    assert_int_equal(unresolved + refused, MANY);
    assert_true(refused > 1000 && unresolved > 1000);
    assert_int_equal(h.answers[h.answer_count - 1].outcome, PART_TAKEN); /* the other row went through */
    halving_fini(&h);
}

static void test_halving_splits_where_it_is_told(void **state)
{
    (void)state;
    struct halving h;
    struct part part;
    assert_int_equal(halving_init(&h, 3), 0);
    assert_int_equal(halving_split(&h, 1), 0);
    assert_true(halving_next(&h, &part));
    assert_true(part.row == 0 && part.rows == 1 && part.to == 0);
    halving_set_count(&h, 0, 10);
    assert_int_equal(halving_split(&h, 0), 0); /* nothing */
    assert_int_equal(halving_split(&h, 10), 0);
    assert_int_equal(halving_split(&h, 4), 0);
    assert_true(halving_next(&h, &part));
    assert_true(part.row == 0 && part.from == 0 && part.to == 4);
    assert_int_equal(halving_take(&h), 0);
    assert_true(halving_next(&h, &part));
    assert_true(part.row == 0 && part.from == 4 && part.to == 10);
    assert_int_equal(halving_split(&h, 5), 0);
    assert_int_equal(halving_take(&h), 0);
    assert_int_equal(halving_take(&h), 0);
    assert_true(halving_next(&h, &part));
    assert_true(part.row == 1 && part.rows == 2);
    halving_fini(&h);
}

static void test_halving_cuts_a_large_row_into_even_pieces(void **state)
{
    (void)state;
    struct halving h;
    struct part part;
    uint32_t next = 0, pieces = 0;
    assert_int_equal(halving_init(&h, 1), 0);
    assert_true(halving_must_count(&h));
    halving_set_count(&h, 0, 10);
    assert_int_equal(halving_cut(&h, 3), 0);
    while (halving_next(&h, &part)) {
        assert_int_equal(part.from, next);
        assert_in_range(part.to - part.from, 3, 4);
        next = part.to;
        pieces++;
        assert_int_equal(halving_take(&h), 0);
    }
    assert_int_equal(pieces, 3);
    assert_int_equal(next, 10);
    assert_int_equal(h.answer_count, 1); /* neighbours are one */
    halving_fini(&h);
}

static void test_halving_keeps_a_doubted_part_next(void **state)
{
    (void)state;
    struct halving h;
    struct part part;
    assert_int_equal(halving_init(&h, 3), 0);
    assert_true(halving_is_whole(&h));
    assert_int_equal(halving_doubt(&h), 0);
    assert_int_equal(halving_doubt(&h), 0);
    assert_int_equal(h.doubt_count, 1);
    assert_false(halving_is_whole(&h));
    assert_true(halving_next(&h, &part));
    assert_int_equal(part.rows, 3);
    halving_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halving_refuses_just_what_is_bad_and_keeps_the_order),
        cmocka_unit_test(test_halving_finds_one_bad_record_in_few_posts),
        cmocka_unit_test(test_halving_gives_up_after_its_share_and_says_so),
        cmocka_unit_test(test_halving_splits_where_it_is_told),
        cmocka_unit_test(test_halving_cuts_a_large_row_into_even_pieces),
        cmocka_unit_test(test_halving_keeps_a_doubted_part_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
