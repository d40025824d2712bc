/* The command line that both programs share. */
#include <errno.h>
#include <stdio.h>

#include "base/program.h"
#include "tests/unit/unit.h"

static const char *ran_with;

static int fake_run(const char *path)
{
    ran_with = path;
    return 7;
}

static int fake_check(const char *path, struct buf *errors)
{
    if (strcmp(path, "good.yaml") == 0)
        return 0;
    buf_append_string(errors, "bad.yaml:1:1: wrong\n");
    return -EINVAL;
}

static int fake_verb(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "x") == 0 ? 9 : 1;
}

static int verb_with_help(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--help") == 0 ? 5 : 1;
}

static const struct program_verb verbs[] = {
    {.name = "tap", .usage = "...", .main = fake_verb},
    {.name = "own", .usage = "...", .main = verb_with_help, .has_help = true},
    {0},
};
static const struct program program = {"test", "/default.yaml", fake_run, fake_check, verbs};

static int call(int argc, ...)
{
    char *argv[8] = {(char *)"test"};
    va_list args;
    va_start(args, argc);
    for (int i = 1; i <= argc; i++)
        argv[i] = va_arg(args, char *);
    va_end(args);
    return program_main(&program, argc + 1, argv);
}

static void test_program_runs_by_default_and_by_name(void **state)
{
    (void)state;
    assert_int_equal(call(0), 7);
    assert_string_equal(ran_with, "/default.yaml");
    assert_int_equal(call(2, "--config", "a.yaml"), 7);
    assert_string_equal(ran_with, "a.yaml");
    assert_int_equal(call(2, "run", "--config=b.yaml"), 7);
    assert_string_equal(ran_with, "b.yaml");
}

static void test_program_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    assert_int_equal(call(1, "--confg=x"), 2);
    assert_int_equal(call(1, "rum"), 2);
    assert_int_equal(call(1, "check"), 2);
    assert_int_equal(call(2, "run", "--config"), 2);
}

static void test_program_checks_and_dispatches(void **state)
{
    (void)state;
    assert_int_equal(call(2, "check", "good.yaml"), 0);
    assert_int_equal(call(2, "check", "bad.yaml"), 1);
    assert_int_equal(call(2, "tap", "x"), 9);
    assert_int_equal(call(1, "version"), 0);
    assert_int_equal(call(1, "--help"), 0);
    assert_int_equal(call(2, "check", "--help"), 0);
    assert_int_equal(call(2, "tap", "--help"), 0); /* the verb is not run */
    assert_int_equal(call(3, "tap", "x", "-h"), 0);
    assert_int_equal(call(2, "own", "--help"), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program_runs_by_default_and_by_name),
        cmocka_unit_test(test_program_refuses_what_it_does_not_know),
        cmocka_unit_test(test_program_checks_and_dispatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
