/* A source behind a gate: shut, it seals nothing and is answered all the same. */
#include <errno.h>

#include "node-agent/ship/gate.h"
#include "tests/unit/unit.h"

struct played {
    int seals, committed, refused, resumed;
};

static int seal(void *ctx, struct batch **ret_batch)
{
    ((struct played *)ctx)->seals++;
    *ret_batch = batch_new("node");
    return *ret_batch ? 0 : -ENOMEM;
}

static void committed(void *ctx, const struct batch *batch, const struct wire_reply *reply)
{
    (void)batch, (void)reply;
    ((struct played *)ctx)->committed++;
}

static void refused(void *ctx, const struct batch *batch, const char *reason)
{
    (void)batch, (void)reason;
    ((struct played *)ctx)->refused++;
}

static bool resumed(void *ctx, const struct wire_resume_reply *reply, bool handed_over,
                    const struct batch *in_flight)
{
    (void)reply, (void)in_flight;
    ((struct played *)ctx)->resumed++;
    return handed_over;
}

static void test_shut_it_seals_nothing_and_is_answered(void **state)
{
    (void)state;
    struct played played = {0};
    struct gate gate = {.source = {&played, seal, committed, refused, resumed}};
    struct ship_source source = gate_source(&gate);
    struct batch *batch = NULL;
    struct wire_reply reply = {0};
    struct wire_resume_reply resume = {0};
    assert_int_equal(source.seal(source.ctx, &batch), 0);
    gate.is_shut = true;
    struct batch *none = NULL;
    assert_int_equal(source.seal(source.ctx, &none), -EAGAIN);
    assert_null(none);
    assert_int_equal(played.seals, 1);
    source.committed(source.ctx, batch, &reply);
    source.refused(source.ctx, batch, "a reason");
    assert_true(source.resumed(source.ctx, &resume, true, batch));
    assert_false(source.resumed(source.ctx, &resume, false, NULL));
    assert_int_equal(played.committed, 1);
    assert_int_equal(played.refused, 1);
    assert_int_equal(played.resumed, 2);
    gate.is_shut = false;
    batch_free(batch);
    assert_int_equal(source.seal(source.ctx, &batch), 0);
    batch_free(batch);
}

static void test_what_is_no_source_stays_none(void **state)
{
    (void)state;
    struct gate gate = {0};
    struct ship_source source = gate_source(&gate);
    assert_null(source.seal);
    assert_null(source.committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shut_it_seals_nothing_and_is_answered),
        cmocka_unit_test(test_what_is_no_source_stays_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
