/* Levels of lines as programs really write them. */
#include "tests/unit/unit.h"

#include "node-agent/logs/level.h"

static void test_level_is_told_as_programs_write_it(void **state)
{
    static const struct {
        const char *line;
        enum line_level level;
    } rows[] = {
        {"", LEVEL_NONE},
        {NULL, LEVEL_NONE},
        {"GET /error.html 200", LEVEL_NONE},
        {"level=info msg=\"an error is not one\"", LEVEL_INFO},
        {"ts=1 lvl=warn ERROR in the text", LEVEL_WARN},
        {"{\"time\":\"x\",\"level\":\"error\",\"msg\":\"INFO\"}", LEVEL_ERROR},
        {"{\"severity\": \"WARNING\"}", LEVEL_WARN},
        {"{\"level\":30,\"msg\":\"pino\"}", LEVEL_INFO},
        {"{\"level\":50}", LEVEL_ERROR},
        {"{\"level\":500}", LEVEL_NONE},
        {"I1122 10:00:00.000000       1 main.go:1] klog", LEVEL_INFO},
        {"E1122 10:00:00.000000       1 main.go:1] klog", LEVEL_ERROR},
        {"2026-11-22 10:00:00,000 ERROR com.example.Main - no", LEVEL_ERROR},
        {"2026-11-22T10:00:00Z [warn] something", LEVEL_WARN},
        {"<error> in angle brackets", LEVEL_ERROR},
        {"CRITICAL:root:python", LEVEL_CRITICAL},
        {"panic: runtime error", LEVEL_NONE},
        {"PANIC now", LEVEL_FATAL},
        {"INFORMATION of .NET", LEVEL_INFO},
        {"the level is high", LEVEL_NONE},
        {"level=", LEVEL_NONE},
        {"E112", LEVEL_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (level_detect(bytes_of_string(rows[i].line)) != rows[i].level)
            fail_msg("%s: %s", rows[i].line, level_name(level_detect(bytes_of_string(rows[i].line))));
}

static void test_level_does_not_look_far_into_a_line(void **state)
{
    char line[LEVEL_LOOK + 32];
    (void)state;
    memset(line, ' ', sizeof line);
    strcpy(line + LEVEL_LOOK, "ERROR");
    assert_int_equal(level_detect(bytes_of_string(line)), LEVEL_NONE);
    memcpy(line + LEVEL_LOOK - 16, "ERROR ", 6);
    assert_int_equal(level_detect(bytes_of_string(line)), LEVEL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_is_told_as_programs_write_it),
        cmocka_unit_test(test_level_does_not_look_far_into_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
