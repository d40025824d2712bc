#include "gateway/translate/number_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 17 };

/* The fewest digits after the point of "d.ddde+XX" that read back as value; text holds that form then. */
static int shorten(double value, char text[NUMBER_TEXT])
{
    for (int digits = 14; digits < DIGITS; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*e", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *point = strchr(text, '.'), *e = strchr(text, 'e');
    if (!point || !e)
        return 0;
    char *last = e - 1;
    while (last > point && *last == '0')
        last--;
    return (int)(last - point);
}

static size_t put_exponent(double value, int digits, int exponent, char text[NUMBER_TEXT])
{
    char mantissa[64];
    snprintf(mantissa, sizeof mantissa, "%.*e", digits, value);
    *strchr(mantissa, 'e') = 0;
    return (size_t)snprintf(text, NUMBER_TEXT, "%se%+d", mantissa, exponent);
}

size_t number_text(double value, enum number_form form, char text[NUMBER_TEXT])
{
    if (isnan(value) || isinf(value))
        return (size_t)snprintf(text, NUMBER_TEXT, "%s", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    if (fabs(value) < 1e15 && value == (double)(long long)value)
        return (size_t)snprintf(text, NUMBER_TEXT, "%lld", (long long)value);
    int digits = shorten(value, text);
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (form == NUMBER_JSON && (fabs(value) < 1e-6 || fabs(value) >= 1e21))
        return put_exponent(value, digits, exponent, text);
    int decimals = digits - exponent;
    return (size_t)snprintf(text, NUMBER_TEXT, "%.*f", decimals > 0 ? decimals : 0, value);
}
