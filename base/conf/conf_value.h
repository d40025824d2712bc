/* conf_value.h - a scalar's text to its typed value and back: substitution, durations, sizes, ranges.
 *
 * Pure functions but for the environment they read. Part of conf; not for others.
 */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H

#include "base/conf/conf.h"

enum { CONF_WHAT = 512 };

/* conf_value_substitute: appends text to out with ${VAR}, ${VAR:-default} (taken when VAR is unset or empty)
 * and $$ replaced; any other $ stands for itself. 0; -EINVAL with the reason in what; errors of buf_append.
 */
int conf_value_substitute(const char *text, struct buf *out, char what[CONF_WHAT]);

/* conf_value_parse: text to the number of a BOOL, INT, DURATION, SIZE or ENUM option, range checked. 0, or
 * -EINVAL with "what is wrong; what would be right" in what. */
int conf_value_parse(const struct conf_option *option, const char *text, int64_t *ret_value,
                     char what[CONF_WHAT]);

/* conf_value_has_form: whether the text matches the option's form; true without one. */
bool conf_value_has_form(const struct conf_option *option, const char *text);

/* conf_value_format: appends the number as it would stand in a file. */
int conf_value_format(const struct conf_option *option, int64_t value, struct buf *out);

/* conf_value_range: appends what may be given: "100ms to 10m", "1 or more", "debug, info"; nothing for other
 * types. */
int conf_value_range(const struct conf_option *option, struct buf *out);

/* conf_value_type: "string", "duration", "sequence of strings" ... */
const char *conf_value_type(enum conf_type type);

/* conf_value_get, _set: a field of one of the number types through its option. */
int64_t conf_value_get(const struct conf_option *option, const void *config);
void conf_value_set(const struct conf_option *option, void *config, int64_t value);

#endif
