/* number_text.h - a double as the shortest decimal text that reads back as the same value.
 *
 * Two forms: NUMBER_PLAIN never has an exponent (labels le and quantile: what Go's 'f' with precision -1
 * gives, which Prometheus' own translation uses); NUMBER_JSON has one below 1e-6 and from 1e21 on (the
 * ECMAScript rule that JSON encoders follow). Infinities and NaN: "+Inf", "-Inf", "NaN". Pure, any thread.
 */
#ifndef GATEWAY_NUMBER_TEXT_H
#define GATEWAY_NUMBER_TEXT_H

#include <stddef.h>

enum { NUMBER_TEXT = 400 };
enum number_form { NUMBER_PLAIN, NUMBER_JSON };

/* number_text: writes at most NUMBER_TEXT - 1 characters and a NUL; returns how many. */
size_t number_text(double value, enum number_form form, char text[NUMBER_TEXT]);

#endif
