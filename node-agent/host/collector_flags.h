/* collector_flags.h - the collectors' switches, in node_exporter's own words: "--collector.NAME",
 * "--no-collector.NAME", "--collector.NAME.x=VALUE", "--collector.disable-defaults".
 *
 * They are kept as they were written (host_metrics.flags of the configuration, or a command line); each
 * collector asks for its own when it starts. Pure; any thread.
 */
#ifndef NODE_AGENT_COLLECTOR_FLAGS_H
#define NODE_AGENT_COLLECTOR_FLAGS_H

#include "node-agent/host/collector.h"

/* collector_flags_check: whether every name is a collector's and every flag known, has a value exactly where
 * it takes one, every expression compiles, and none is given together with one that excludes it. 0 or -EINVAL
 * with one message a line in errors. */
int collector_flags_check(const struct conf_strings *names, const struct conf_strings *flags,
                          struct buf *errors);

/* collector_flags_print: all of them, one a line, as a usage text has them. Errors as buf_append. */
int collector_flags_print(struct buf *out);

/* collector_flags_takes_value: whether the flag, without its dashes, is written with a value. */
bool collector_flags_takes_value(const char *flag);

/* collector_flags_is_chosen: whether the collector is to run: host_metrics.collectors where that is not
 * empty, else its default; changed by the last flag that names it. */
bool collector_flags_is_chosen(const struct agent_config *config, const struct collector *collector);

/* collector_flag: the value last given to --collector.NAME, borrowed; fallback when there is none. */
const char *collector_flag(const struct agent_config *config, const char *name, const char *fallback);

/* collector_flag_next: the values of a flag given several times, one a call, NULL at the end. *at begins as
 * 0. */
const char *collector_flag_next(const struct agent_config *config, const char *name, size_t *at);

/* collector_flag_is_on: a flag without a value; the last of --collector.NAME and --no-collector.NAME. */
bool collector_flag_is_on(const struct agent_config *config, const char *name, bool fallback);

#endif
