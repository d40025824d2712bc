/* pattern.h - regular expressions as the users of node_exporter write them (RE2's syntax), by PCRE2.
 *
 * An expression is searched anywhere in the text unless it is anchored; $ is the very end; text and
 * expression are UTF-8, text that is not matches only where it is. The work of a match is bounded: past it
 * the text does not match. A pattern may be used by one thread at a time.
 */
#ifndef NODE_AGENT_PATTERN_H
#define NODE_AGENT_PATTERN_H

#include "node-agent/config.h"

struct pattern;

/* pattern_new: 0, -EINVAL (not an expression), -ENOMEM. */
int pattern_new(const char *expression, struct pattern **ret_pattern);
void pattern_free(struct pattern *pattern); /* NULL is fine */

bool pattern_matches(struct pattern *pattern, struct bytes text);

/* pattern_find: where the first match at or behind from lies (from <= text.len; what stands before it is
 * looked at, for \b and the like). False: none. */
bool pattern_find(struct pattern *pattern, struct bytes text, size_t from, size_t *ret_begin,
                  size_t *ret_end);

/* pattern_compile: to machine code where the system allows it (executable memory); else nothing changes. For
 * expressions that see many texts: it costs memory and time once. */
void pattern_compile(struct pattern *pattern);

/* pattern_matches_again: the same where the same texts are asked about over and over: remembers the answers
 * of about 1500 texts, by their hash. */
bool pattern_matches_again(struct pattern *pattern, struct bytes text);

/* What an exclude and an include flag leave over; zeroed it leaves everything. */
struct pattern_filter {
    struct pattern *include, *exclude; /* owned; NULL: none */
};

/* pattern_filter_init: from the values of two of the collectors' flags, named as in collector_flags.h;
 * exclude_fallback is the exclude flag's default, which an include flag replaces. 0 or errors as
 * pattern_new. */
int pattern_filter_init(struct pattern_filter *filter, const struct agent_config *config,
                        const char *include_flag, const char *exclude_flag, const char *exclude_fallback);
void pattern_filter_fini(struct pattern_filter *filter);

bool pattern_filter_passes(const struct pattern_filter *filter, struct bytes text);

#endif
