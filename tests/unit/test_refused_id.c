/* Names of kept refused records. */
#include "gateway/ask/refused_id.h"

#include "tests/unit/unit.h"

static void test_name_is_read_as_it_is_printed(void **state)
{
    (void)state;
    char text[QUESTION_MAX_ID];
    struct refused_id id;
    refused_id_print("rack/1/gateway-0", TELEMETRY_LOGS, 17, text);
    assert_string_equal(text, "rack/1/gateway-0/logs/17");
    assert_int_equal(refused_id_parse(text, &id), 0);
    assert_string_equal(id.gateway, "rack/1/gateway-0");
    assert_true(id.signal == TELEMETRY_LOGS && id.number == 17);
}

static void test_number_alone_is_of_any_signal_of_the_one_asked(void **state)
{
    (void)state;
    struct refused_id id;
    assert_int_equal(refused_id_parse("17", &id), 0);
    assert_true(id.signal == -1 && id.number == 17 && !id.gateway[0]);
    assert_int_equal(refused_id_parse("traces/3", &id), 0);
    assert_true(id.signal == TELEMETRY_TRACES && id.number == 3 && !id.gateway[0]);
}

static void test_what_is_no_name_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "0",
                                        "-1",
                                        "1x",
                                        " 1",
                                        "x",
                                        "lines/1",
                                        "a/lines/1",
                                        "logs/",
                                        "a/b/",
                                        "a/logs/-1",
                                        "logs/+1",
                                        "99999999999999999999"};
    struct refused_id id = {.number = 5};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (refused_id_parse(wrong[i], &id) == 0)
            fail_msg("\"%s\" is taken", wrong[i]);
    assert_int_equal(id.number, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_is_read_as_it_is_printed),
        cmocka_unit_test(test_number_alone_is_of_any_signal_of_the_one_asked),
        cmocka_unit_test(test_what_is_no_name_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
