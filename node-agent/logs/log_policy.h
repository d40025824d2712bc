/* log_policy.h - everything the configuration and the gateway's assignment say about logs, applied to one log
 * at a time: its plan (log_rules.h), its labels, its structured metadata; and the bound on streams.
 *
 * A log is brought up to date when it is read next. What it has open is then read again, so that no line is
 * half of one plan and half of another. Loop thread only.
 */
#ifndef NODE_AGENT_LOG_POLICY_H
#define NODE_AGENT_LOG_POLICY_H

#include "node-agent/logs/log_rules.h"
#include "node-agent/logs/podfacts.h"

struct tail_log;

struct log_policy {
    const struct agent_config *config; /* borrowed */
    struct log_rules *rules;           /* owned */
    struct podfacts *facts;            /* owned */
    uint64_t version;                  /* 0: nothing applies to any log */
    struct stats_cell *streams, *held;
};

/* log_policy_init: config and stats are borrowed. Errors as log_rules_new. */
int log_policy_init(struct log_policy *policy, const struct agent_config *config, struct stats *stats);
void log_policy_fini(struct log_policy *policy);

/* log_policy_set_pods: what the assignment tells of this node's pods. True: some log may be treated otherwise
 * from now on. */
bool log_policy_set_pods(struct log_policy *policy, const struct assignment *assignment);

/* log_policy_refresh: brings the log up to date. 0 or -ENOMEM (it stays as it was). */
int log_policy_refresh(struct log_policy *policy, struct tail_log *log);

/* log_policy_room: how many more streams may begin (at most UINT32_MAX); sets the gauge of those there are.
 */
uint32_t log_policy_room(const struct log_policy *policy, struct tail_log *const *logs, size_t count);

/* log_policy_admits: whether the log may be read when so many more streams may begin. */
bool log_policy_admits(const struct tail_log *log, uint32_t room);

/* log_policy_may_begin: how many streams the log may still begin. */
uint32_t log_policy_may_begin(const struct tail_log *log);

/* log_policy_worst_label: the label of which the logs' streams have the most values, and how many. */
void log_policy_worst_label(struct tail_log *const *logs, size_t count, char *ret_name, size_t size,
                            size_t *ret_values);

#endif
