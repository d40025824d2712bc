/* log_rules.h - what is done to which log's lines: the configuration's rules, compiled, and one log's plan.
 *
 * A rule is for the logs that all its selectors match (globs as fnmatch has them; a list matches when one of
 * it does). keep and drop are about the whole log, and the first rule with one of them decides; the pod
 * annotation tributary.io/exclude: "true" drops where none does. Of the rules that match, in their order:
 * every drop_lines, then every keep_lines, then every redaction applies; multi-line joining and the rate come
 * from the first that has them. Expressions run on a line as it will be sent (joined, valid UTF-8), with
 * PCRE2's limits: past them a line does not match. Without rules there are no plans and nothing is spent.
 * Loop thread only.
 */
#ifndef NODE_AGENT_LOG_RULES_H
#define NODE_AGENT_LOG_RULES_H

#include "base/stats.h"
#include "node-agent/config.h"
#include "node-agent/logs/level.h"
#include "node-agent/logs/log_tally.h"
#include "node-agent/logs/multiline.h"
#include "node-agent/logs/podfacts.h"

struct log_rules;
struct log_rule;

/* What rules select by; all borrowed. */
struct log_subject {
    const struct podpath *pod; /* NULL: a host file */
    const char *container, *path;
    const struct podfacts_pod *facts; /* NULL: not known */
};

struct log_plan {                      /* of one log */
    const char *excluded_by;           /* borrowed; the rule or annotation; NULL: the log is read */
    const struct multiline *multiline; /* borrowed; NULL: no joining */
    const struct log_rule *rate_rule;  /* borrowed; NULL: no limit */
    double tokens;                     /* lines that may come now */
    int64_t filled_ns;                 /* by the lines' times; 0: no line yet */
    bool detects_level, has_lines;
    size_t count;
    const struct log_rule *rules[]; /* borrowed */
};

/* log_rules_new: compiles the configuration's rules (borrowed). A wrong one is told in errors, one message a
 * line beginning with name. stats NULL: for a check only. 0, -EINVAL, -ENOMEM. */
int log_rules_new(const char *name, const struct agent_config *config, struct stats *stats,
                  struct buf *errors, struct log_rules **ret_rules);
void log_rules_free(struct log_rules *rules); /* NULL is fine */

/* log_rules_want: tells facts which labels and annotations the rules select by. */
void log_rules_want(const struct log_rules *rules, struct podfacts *facts);

/* log_rules_plan: what applies to a log; NULL: nothing does. The caller frees it with free(). 0, -ENOMEM. */
int log_rules_plan(const struct log_rules *rules, const struct log_subject *subject,
                   struct log_plan **ret_plan);

/* A line and what the rules make of it. */
struct log_line {
    struct bytes text; /* what stands here after log_rules_apply: borrowed from the rules' memory, until the
                          next line */
    int64_t time_ns;
    bool is_past; /* was sent before and only passes again: nothing is counted */
    bool is_cut;  /* became longer than max_line and was cut; to be marked */
    enum line_level level;
};

/* log_rules_apply: false: the line is dropped (and counted). Where memory for a redaction is out it is
 * dropped too: what must not leave the node does not. */
bool log_rules_apply(struct log_rules *rules, struct log_plan *plan, struct log_line *line,
                     struct log_tally *tally);

/* log_rules_release: gives memory back. */
void log_rules_release(struct log_rules *rules);

/* log_rules_excluded: counts bytes that were passed over because a log is excluded. */
void log_rules_excluded(struct log_rules *rules, uint64_t bytes);

#endif
