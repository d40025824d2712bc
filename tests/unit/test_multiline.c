/* Traces as the languages write them, line by line. */
#include "tests/unit/unit.h"

#include "node-agent/logs/multiline.h"

/* '+' before a line that goes on with the one before, '-' before one that begins a record. */
static void expect(const struct multiline *rule, const char *text)
{
    enum multiline_state state = MULTILINE_NONE;
    for (const char *p = text; *p;) {
        const char *end = strchr(p, '\n');
        struct bytes line = {(const uint8_t *)p + 1, (size_t)(end - p - 1)};
        bool goes_on = multiline_goes_on(rule, &state, line);
        if (!goes_on)
            state = multiline_begin(rule, line);
        if (goes_on != (*p == '+'))
            fail_msg("%.*s: %s", (int)line.len, (const char *)line.ptr, goes_on ? "goes on" : "begins");
        p = end + 1;
    }
}

static void test_multiline_joins_java_traces(void **state)
{
    struct multiline rule = {.presets = MULTILINE_JAVA};
    (void)state;
    expect(&rule, "-started\n"
                  "-Exception in thread \"main\" java.lang.IllegalStateException: no\n"
                  "+\tat com.example.Main.run(Main.java:7)\n"
                  "+\tSuppressed: java.io.IOException: close\n"
                  "+\t\tat com.example.Main.close(Main.java:9)\n"
                  "+Caused by: java.lang.NullPointerException\n"
                  "+\t... 12 more\n"
                  "-next\n"
                  "-\n"
                  "-\tindented, no frame\n");
}

static void test_multiline_joins_python_traces(void **state)
{
    struct multiline rule = {.presets = MULTILINE_PYTHON};
    (void)state;
    expect(&rule, "-a line\n"
                  "-  indented, no trace\n"
                  "-Traceback (most recent call last):\n"
                  "+  File \"a.py\", line 1, in <module>\n"
                  "+    f()\n"
                  "+KeyError: 'x'\n"
                  "+\n"
                  "+During handling of the above exception, another exception occurred:\n"
                  "+\n"
                  "+Traceback (most recent call last):\n"
                  "+  File \"a.py\", line 3, in <module>\n"
                  "+ValueError: no\n"
                  "-after\n"
                  "-  + Exception Group Traceback (most recent call last):\n"
                  "+  |   File \"x.py\", line 1, in <module>\n"
                  "+  | ExceptionGroup: eg (1 sub-exception)\n"
                  "+  +-+---------------- 1 ----------------\n"
                  "+    | ValueError: 1\n"
                  "+    +------------------------------------\n"
                  "-behind the group\n"
                  "-Traceback (most recent call last):\n"
                  "+ValueError\n"
                  "-Traceback (most recent call last):\n");
}

static void test_multiline_joins_go_panics(void **state)
{
    struct multiline rule = {.presets = MULTILINE_GO};
    (void)state;
    expect(&rule, "-listening\n"
                  "-panic: runtime error: invalid memory address or nil pointer dereference\n"
                  "+[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n"
                  "+\n"
                  "+goroutine 1 [running]:\n"
                  "+main.(*server).run(0xc000010000, {0x1, 0x2})\n"
                  "+\t/src/main.go:12 +0x1d\n"
                  "+created by main.main\n"
                  "+\t/src/main.go:7 +0x25\n"
                  "+exit status 2\n"
                  "-2026/11/23 06:00:00 http: panic serving 10.0.0.1:1: boom\n"
                  "+goroutine 19 [running]:\n"
                  "+net/http.(*conn).serve.func1()\n"
                  "+\t/usr/local/go/src/net/http/server.go:1868 +0xb9\n"
                  "-http: panic serving 10.0.0.2:1: boom\n"
                  "+goroutine 20 [running]:\n"
                  "-served\n"
                  "-goroutine 7 [select]:\n"
                  "+main.f(...)\n"
                  "-{\"msg\":\"started (again)\"}\n"
                  "-2026/11/22 10:00:00 done (ok)\n");
}

static void test_multiline_joins_javascript_errors(void **state)
{
    struct multiline rule = {.presets = MULTILINE_JAVASCRIPT};
    (void)state;
    expect(&rule, "-ready\n"
                  "-TypeError: Cannot read properties of undefined (reading 'x')\n"
                  "+    at f (/app/index.js:3:11)\n"
                  "+    at Module._compile (node:internal/modules/cjs/loader:1254:14) {\n"
                  "+  code: 'E'\n"
                  "+}\n"
                  "-/app/index.js:3\n"
                  "+    throw new Error('x')\n"
                  "+    ^\n"
                  "+\n"
                  "+Error: x\n"
                  "+    at f (/app/index.js:3:11)\n"
                  "-ready\n");
}

static void test_multiline_joins_by_a_start_expression(void **state)
{
    struct multiline rule = {0};
    (void)state;
    assert_int_equal(pattern_new("^\\d{4}-", &rule.start), 0);
    expect(&rule, "-not a start, but the first\n+\n-2026-11-22 a\n+b\n+\n-2026-11-22 c\n");
    pattern_free(rule.start);
}

static void test_multiline_presets_work_together(void **state)
{
    struct multiline rule = {.presets =
                                 MULTILINE_JAVA | MULTILINE_PYTHON | MULTILINE_GO | MULTILINE_JAVASCRIPT};
    (void)state;
    expect(&rule, "-Traceback (most recent call last):\n"
                  "+  File \"a.py\", line 1\n"
                  "+KeyError: 'x'\n"
                  "-java.lang.Error: x\n"
                  "+\tat a.B.c(B.java:1)\n"
                  "-panic: no\n"
                  "+goroutine 1 [running]:\n"
                  "-fine\n");
    assert_int_equal(multiline_preset_parse("go"), MULTILINE_GO);
    assert_int_equal(multiline_preset_parse("cobol"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multiline_joins_java_traces),
        cmocka_unit_test(test_multiline_joins_python_traces),
        cmocka_unit_test(test_multiline_joins_go_panics),
        cmocka_unit_test(test_multiline_joins_javascript_errors),
        cmocka_unit_test(test_multiline_joins_by_a_start_expression),
        cmocka_unit_test(test_multiline_presets_work_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
