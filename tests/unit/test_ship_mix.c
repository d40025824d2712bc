/* Two sources of one signal that share a lane. */
#include <errno.h>

#include "node-agent/ship/ship_mix.h"
#include "tests/unit/unit.h"

struct source {
    int left; /* batches it still has */
    const char *name;
    int committed, refused, resumed;
    bool saw_in_flight, drops;
};

static int seal(void *ctx, struct batch **ret_batch)
{
    struct source *s = ctx;
    if (!s->left)
        return -EAGAIN;
    s->left--;
    *ret_batch = batch_new(s->name);
    return 0;
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    struct source *s = ctx;
    (void)reply;
    assert_string_equal(batch->origin, s->name);
    s->committed++;
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    struct source *s = ctx;
    (void)reason;
    assert_string_equal(batch->origin, s->name);
    s->refused++;
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    struct source *s = ctx;
    (void)reply, (void)handed_over;
    s->resumed++;
    s->saw_in_flight = in_flight != NULL;
    return s->drops;
}

struct pair {
    struct source a, b;
    struct ship_mix mix;
    struct ship_source mixed;
};

static void mix(struct pair *p, int a, int b)
{
    *p = (struct pair){.a = {.left = a, .name = "a"}, .b = {.left = b, .name = "b"}};
    struct ship_source first = {&p->a, seal, committed, refused, resumed};
    struct ship_source second = {&p->b, seal, committed, refused, resumed};
    p->mixed = ship_mix_source(&p->mix, &first, &second);
}

/* Seals all there is; the names in order. */
static void expect_order(struct pair *p, const char *order)
{
    static const struct wire_reply reply;
    struct batch *batch;
    for (; *order; order++) {
        assert_int_equal(p->mixed.seal(p->mixed.ctx, &batch), 0);
        assert_int_equal(batch->origin[0], *order);
        p->mixed.committed(p->mixed.ctx, batch, &reply);
        batch_free(batch);
    }
    assert_int_equal(p->mixed.seal(p->mixed.ctx, &batch), -EAGAIN);
}

static void test_ship_mix_lets_sources_take_turns(void **state)
{
    (void)state;
    struct pair p;
    mix(&p, 4, 2);
    expect_order(&p, "ababaa");
    assert_int_equal(p.a.committed, 4);
    assert_int_equal(p.b.committed, 2);
    p.a.left = p.b.left = 1;
    expect_order(&p, "ba");
}

static void test_ship_mix_tells_a_refusal_to_whose_batch_it_is(void **state)
{
    (void)state;
    struct pair p;
    struct batch *batch;
    mix(&p, 0, 1);
    assert_int_equal(p.mixed.seal(p.mixed.ctx, &batch), 0);
    p.mixed.refused(p.mixed.ctx, batch, "why");
    assert_int_equal(p.a.refused, 0);
    assert_int_equal(p.b.refused, 1);
    batch_free(batch);
}

static void test_ship_mix_lets_only_the_owner_drop_the_batch_in_flight(void **state)
{
    (void)state;
    struct pair p;
    struct batch *batch;
    struct wire_resume_reply reply = {0};
    mix(&p, 0, 1);
    assert_int_equal(p.mixed.seal(p.mixed.ctx, &batch), 0);
    p.a.drops = true;
    assert_false(p.mixed.resumed(p.mixed.ctx, &reply, false, batch));
    assert_true(p.a.resumed == 1 && p.b.resumed == 1);
    assert_true(!p.a.saw_in_flight && p.b.saw_in_flight);
    p.b.drops = true;
    assert_true(p.mixed.resumed(p.mixed.ctx, &reply, false, batch));
    batch_free(batch);
}

static void test_ship_mix_of_one_source_is_that_source(void **state)
{
    (void)state;
    struct source one = {.left = 1, .name = "one"};
    struct ship_mix unused;
    struct ship_source none = {0}, only = {&one, seal, committed, refused, resumed};
    assert_ptr_equal(ship_mix_source(&unused, &none, &only).ctx, &one);
    assert_ptr_equal(ship_mix_source(&unused, &only, &none).ctx, &one);
    assert_null(ship_mix_source(&unused, &none, &none).seal);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ship_mix_lets_sources_take_turns),
        cmocka_unit_test(test_ship_mix_tells_a_refusal_to_whose_batch_it_is),
        cmocka_unit_test(test_ship_mix_lets_only_the_owner_drop_the_batch_in_flight),
        cmocka_unit_test(test_ship_mix_of_one_source_is_that_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
