/* Numbers of the text exposition: what Go's strconv writes, and that every one is read back as it was. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/scrape/exposition_value.h"
#include "tests/unit/unit.h"

static const char *shown(double value)
{
    static char text[EXPOSITION_VALUE_BYTES + 1];
    text[exposition_value_write(value, text)] = '\0';
    return text;
}

static void test_values_are_written_as_go_writes_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {999999, "999999"},
        {1e6, "1e+06"},
        {1234567, "1.234567e+06"},
        {0.1, "0.1"},
        {-12.5, "-12.5"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {0.000012345, "1.2345e-05"},
        {100000.25, "100000.25"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1763829371.183921806, "1.7638293711839218e+09"},
        {18446744073709551615.0, "1.8446744073709552e+19"},
        {9007199254740993.0, "9.007199254740992e+15"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(shown(rows[i].value), rows[i].text);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* No text of the same precision as %.*g with one digit less may be the value too. */
static void expect_shortest(double value)
{
    const char *text = shown(value);
    char shorter[400];
    int digits = 0;
    assert_true(strtod(text, NULL) == value);
    for (const char *c = text; *c && *c != 'e'; c++)
        digits += *c >= '0' && *c <= '9' && (digits || *c != '0') ? 1 : 0;
    if (digits <= 1)
        return;
    snprintf(shorter, sizeof shorter, "%.*g", digits - 1, value);
    bool ends_in_zeros = strtod(shorter, NULL) == value; /* 1200 has four digits before its point */
    if (ends_in_zeros && !strchr(text, 'e'))
        assert_true(value == floor(value));
    else
        assert_false(ends_in_zeros);
}

static void test_values_are_short_and_read_back_the_same(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&seed);
        double any;
        memcpy(&any, &bits, sizeof any);
        if (isfinite(any))
            expect_shortest(fabs(any));
        expect_shortest((double)(bits % 1000000007) / 100);
        expect_shortest((double)(bits % 10000000) / 1e9);
        expect_shortest((double)bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_written_as_go_writes_them),
        cmocka_unit_test(test_values_are_short_and_read_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
