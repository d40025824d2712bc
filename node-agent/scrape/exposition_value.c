#include "node-agent/scrape/exposition_value.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_DIGITS = 6, DIGIT_BYTES = 24, MAX_DECIMALS = 9 };
static const double exact_integers = 9007199254740992; /* 2^53 */

struct digits {
    char text[DIGIT_BYTES]; /* without a point and trailing zeros; no NUL */
    int count, power;       /* power of ten of the first */
};

static void take_integer(uint64_t value, int decimals, struct digits *ret_digits)
{
    char reversed[DIGIT_BYTES];
    int count = 0, zeros = 0;
    do
        reversed[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (zeros < count - 1 && reversed[zeros] == '0')
        zeros++;
    ret_digits->power = count - 1 - decimals;
    ret_digits->count = count - zeros;
    for (int i = 0; i < ret_digits->count; i++)
        ret_digits->text[i] = reversed[count - 1 - i];
}

/* What has few decimals: n / 10^k with both exact, so that the division is the decimal's nearest double. */
static bool take_short(double value, struct digits *ret_digits)
{
    double scale = 1;
    for (int decimals = 0; decimals <= MAX_DECIMALS; decimals++, scale *= 10) {
        double scaled = value * scale;
        if (scaled >= exact_integers / 8)
            return false;
        double whole = rint(scaled);
        if (whole / scale == value) {
            take_integer((uint64_t)whole, decimals, ret_digits);
            return true;
        }
    }
    return false;
}

static void take_long(double value, struct digits *ret_digits)
{
    char text[EXPOSITION_VALUE_BYTES];
    int precision = value < 1e-300 ? 0 : 14; /* the smallest ones have fewer digits */
    for (; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    const char *exponent = strchr(text, 'e');
    ret_digits->power = atoi(exponent + 1);
    ret_digits->count = 0;
    for (const char *c = text; c < exponent; c++)
        if (*c != '.')
            ret_digits->text[ret_digits->count++] = *c;
    while (ret_digits->count > 1 && ret_digits->text[ret_digits->count - 1] == '0')
        ret_digits->count--;
}

static char *put(char *at, const char *text, int count)
{
    memcpy(at, text, (size_t)count);
    return at + count;
}

static char *put_exponent(char *at, const struct digits *d)
{
    int power = abs(d->power);
    *at++ = d->text[0];
    if (d->count > 1) {
        *at++ = '.';
        at = put(at, d->text + 1, d->count - 1);
    }
    *at++ = 'e';
    *at++ = d->power < 0 ? '-' : '+';
    if (power >= 100)
        *at++ = (char)('0' + power / 100);
    *at++ = (char)('0' + power / 10 % 10);
    *at++ = (char)('0' + power % 10);
    return at;
}

static char *put_plain(char *at, const struct digits *d)
{
    int before = d->power + 1; /* digits before the point */
    if (before <= 0) {
        at = put(at, "0.0000", 2 - before);
        return put(at, d->text, d->count);
    }
    int count = d->count < before ? d->count : before;
    at = put(at, d->text, count);
    at = put(at, "000000", before - count);
    if (d->count > before) {
        *at++ = '.';
        at = put(at, d->text + before, d->count - before);
    }
    return at;
}

size_t exposition_value_write(double value, char text[EXPOSITION_VALUE_BYTES])
{
    struct digits digits = {.count = 0};
    char *at = text;
    if (isnan(value))
        return (size_t)(put(at, "NaN", 3) - text);
    if (signbit(value))
        *at++ = '-';
    else if (isinf(value))
        *at++ = '+';
    if (isinf(value))
        return (size_t)(put(at, "Inf", 3) - text);
    value = fabs(value);
    if (!take_short(value, &digits))
        take_long(value, &digits);
    at = digits.power < -4 || digits.power >= PLAIN_DIGITS ? put_exponent(at, &digits)
                                                           : put_plain(at, &digits);
    return (size_t)(at - text);
}
