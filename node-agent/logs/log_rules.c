#include "node-agent/logs/log_rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/logs/redact.h"
#include "node-agent/metrics.h"

#define BY_ANNOTATION "annotation:" PODFACTS_EXCLUDE
enum { NAME_LEN = 512 };

struct patterns {
    struct pattern **items; /* owned */
    size_t count;
};

struct log_rule {
    const struct agent_log_rule *config; /* borrowed */
    struct patterns drop, keep;
    struct redact *redactions; /* owned */
    size_t redaction_count;
    struct multiline multiline;
    struct stats_cell *dropped, *redacted, *limited;
};

struct log_rules {
    struct log_rule *items; /* owned */
    size_t count;
    struct buf texts[2]; /* a redacted line, and what it was before that */
    struct stats *stats; /* borrowed; NULL: a check */
    struct stats_cell *dropped, *limited;
    struct stats_cell *excluded_bytes;
};

/* ---- compiling ---- */

static int add_message(struct buf *errors, const char *name, size_t rule, const char *key,
                       const char *expression, int err)
{
    if (err == -EINVAL)
        buf_printf(errors, "%s: logs.rules[%zu].%s: not a regular expression: %s\n", name, rule, key,
                   expression);
    return err;
}

static int compile(const struct conf_strings *from, struct patterns *to, const char **ret_bad)
{
    to->items = from->count ? calloc(from->count, sizeof(struct pattern *)) : NULL;
    if (from->count && !to->items)
        return -ENOMEM;
    for (size_t i = 0; i < from->count; i++) {
        int err = pattern_new(from->items[i], &to->items[i]);
        if (err < 0) {
            *ret_bad = from->items[i];
            return err;
        }
        pattern_compile(to->items[i]);
        to->count++;
    }
    return 0;
}

static int compile_redactions(const struct agent_log_rule *from, struct log_rule *to, const char **ret_bad)
{
    size_t count = from->redact.count + from->redact_presets.count;
    const char *with = from->redact_with[0] ? from->redact_with : NULL;
    to->redactions = count ? calloc(count, sizeof *to->redactions) : NULL;
    if (count && !to->redactions)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct redact *redact = &to->redactions[i];
        bool is_preset = i >= from->redact.count;
        *ret_bad = is_preset ? from->redact_presets.items[i - from->redact.count] : from->redact.items[i];
        int err = is_preset ? redact_init_preset(redact, *ret_bad, with)
                            : redact_init(redact, *ret_bad, with ? with : "[redacted]");
        if (err < 0)
            return err;
        if (redact->pattern)
            pattern_compile(redact->pattern);
        to->redaction_count++;
    }
    return 0;
}

static int compile_multiline(const struct agent_log_rule *from, struct multiline *to)
{
    to->max_lines = (uint32_t)from->multiline_max_lines;
    to->wait_ns = from->multiline_wait_ms * INT64_C(1000000);
    for (size_t i = 0; i < from->multiline.count; i++)
        to->presets |= multiline_preset_parse(from->multiline.items[i]);
    if (!from->multiline_start[0])
        return 0;
    int err = pattern_new(from->multiline_start, &to->start);
    if (err == 0)
        pattern_compile(to->start);
    return err;
}

static int compile_rule(const struct agent_log_rule *from, struct log_rule *to, const char *name, size_t at,
                        struct buf *errors)
{
    const char *bad = "";
    to->config = from;
    int err = compile(&from->drop_lines, &to->drop, &bad);
    if (err < 0)
        return add_message(errors, name, at, "drop_lines", bad, err);
    if ((err = compile(&from->keep_lines, &to->keep, &bad)) < 0)
        return add_message(errors, name, at, "keep_lines", bad, err);
    if ((err = compile_redactions(from, to, &bad)) < 0)
        return add_message(errors, name, at, "redact", bad, err);
    if ((err = compile_multiline(from, &to->multiline)) < 0)
        return add_message(errors, name, at, "multiline_start", from->multiline_start, err);
    return 0;
}

static void set_counts(struct log_rules *r, struct stats *stats)
{
    r->dropped = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "rule");
    r->limited = stats_cell(stats, AGENT_DROPPED_RECORDS, "logs", "rate");
    r->excluded_bytes = stats_cell(stats, AGENT_LOG_EXCLUDED_BYTES);
    for (size_t i = 0; i < r->count; i++) {
        struct log_rule *rule = &r->items[i];
        rule->dropped = stats_cell(stats, AGENT_LOG_RULE_LINES, rule->config->name, "dropped");
        rule->redacted = stats_cell(stats, AGENT_LOG_RULE_LINES, rule->config->name, "redacted");
        rule->limited = stats_cell(stats, AGENT_LOG_RULE_LINES, rule->config->name, "limited");
    }
}

int log_rules_new(const char *name, const struct agent_config *config, struct stats *stats,
                  struct buf *errors, struct log_rules **ret_rules)
{
    const struct agent_log_rule *from = config->logs.rules.items;
    struct log_rules *r = calloc(1, sizeof *r);
    int err = r ? 0 : -ENOMEM;
    if (err == 0 && config->logs.rules.count &&
        !(r->items = calloc(config->logs.rules.count, sizeof *r->items)))
        err = -ENOMEM;
    for (size_t i = 0; err == 0 && i < config->logs.rules.count; i++) {
        r->count++;
        err = compile_rule(&from[i], &r->items[i], name, i, errors);
    }
    if (err < 0) {
        log_rules_free(r);
        return err;
    }
    for (int i = 0; i < 2; i++)
        buf_init(&r->texts[i], (size_t)config->logs.max_line_bytes);
    r->stats = stats;
    if (stats)
        set_counts(r, stats);
    *ret_rules = r;
    return 0;
}

static void free_patterns(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        pattern_free(patterns->items[i]);
    free(patterns->items);
}

void log_rules_free(struct log_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        struct log_rule *rule = &r->items[i];
        free_patterns(&rule->drop);
        free_patterns(&rule->keep);
        for (size_t k = 0; k < rule->redaction_count; k++)
            redact_fini(&rule->redactions[k]);
        free(rule->redactions);
        pattern_free(rule->multiline.start);
    }
    buf_fini(&r->texts[0]);
    buf_fini(&r->texts[1]);
    free(r->items);
    free(r);
}

/* ---- which rules are for a log ---- */

void log_rules_want(const struct log_rules *r, struct podfacts *facts)
{
    podfacts_want_annotation(facts, PODFACTS_EXCLUDE);
    for (size_t i = 0; i < r->count; i++) {
        const struct agent_log_rule *config = r->items[i].config;
        for (size_t k = 0; k < config->pod_labels.count; k++)
            podfacts_want_label(facts, config->pod_labels.items[k].key);
        for (size_t k = 0; k < config->pod_annotations.count; k++)
            podfacts_want_annotation(facts, config->pod_annotations.items[k].key);
    }
}

static bool is_any(const struct conf_strings *globs, const char *text)
{
    for (size_t i = 0; i < globs->count; i++)
        if (fnmatch(globs->items[i], text, 0) == 0)
            return true;
    return globs->count == 0;
}

static bool is_any_bytes(const struct conf_strings *globs, struct bytes text)
{
    char copy[NAME_LEN];
    if (globs->count == 0)
        return true;
    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return is_any(globs, copy);
}

static bool has_all(const struct conf_map *globs, const struct podfacts_pod *facts,
                    const char *(*get)(const struct podfacts_pod *pod, const char *name))
{
    for (size_t i = 0; i < globs->count; i++) {
        const char *value = get(facts, globs->items[i].key);
        if (!value || fnmatch(globs->items[i].value, value, 0) != 0)
            return false;
    }
    return true;
}

static bool is_for_pods_only(const struct agent_log_rule *rule)
{
    return rule->namespaces.count + rule->pods.count + rule->containers.count + rule->pod_labels.count +
               rule->pod_annotations.count >
           0;
}

static bool is_for(const struct agent_log_rule *rule, const struct log_subject *subject)
{
    if (!is_any(&rule->paths, subject->path))
        return false;
    if (!subject->pod)
        return !is_for_pods_only(rule);
    return is_any_bytes(&rule->namespaces, subject->pod->namespace) &&
           is_any_bytes(&rule->pods, subject->pod->pod) && is_any(&rule->containers, subject->container) &&
           has_all(&rule->pod_labels, subject->facts, podfacts_label) &&
           has_all(&rule->pod_annotations, subject->facts, podfacts_annotation);
}

/* Who excludes the log, or NULL. */
static const char *excluder(const struct log_plan *plan, const struct log_subject *subject)
{
    const char *annotation = podfacts_annotation(subject->facts, PODFACTS_EXCLUDE);
    for (size_t i = 0; i < plan->count; i++) {
        const struct agent_log_rule *config = plan->rules[i]->config;
        switch ((enum agent_log_action)config->action) {
        case AGENT_LOG_APPLY:
            break;
        case AGENT_LOG_KEEP:
            return NULL;
        case AGENT_LOG_DROP:
            return config->name;
        }
    }
    return annotation && strcmp(annotation, "true") == 0 ? BY_ANNOTATION : NULL;
}

static void add_rule(struct log_plan *plan, const struct log_rule *rule)
{
    const struct multiline *multiline = &rule->multiline;
    plan->rules[plan->count++] = rule;
    plan->has_lines |= rule->drop.count + rule->keep.count + rule->redaction_count > 0;
    plan->detects_level |= rule->config->detect_level;
    if (!plan->multiline && (multiline->presets || multiline->start))
        plan->multiline = multiline;
    if (!plan->rate_rule && rule->config->rate_lines > 0)
        plan->rate_rule = rule;
}

int log_rules_plan(const struct log_rules *r, const struct log_subject *subject, struct log_plan **ret_plan)
{
    struct log_plan *plan = calloc(1, sizeof *plan + r->count * sizeof *plan->rules);
    if (!plan)
        return -ENOMEM;
    for (size_t i = 0; i < r->count; i++)
        if (is_for(r->items[i].config, subject))
            add_rule(plan, &r->items[i]);
    plan->excluded_by = excluder(plan, subject);
    if (plan->count == 0 && !plan->excluded_by) {
        free(plan);
        plan = NULL;
    }
    *ret_plan = plan;
    return 0;
}

/* ---- lines ---- */

static bool matches_any(const struct patterns *patterns, struct bytes text)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (pattern_matches(patterns->items[i], text))
            return true;
    return false;
}

static void count(struct log_rules *r, const struct log_rule *rule, struct stats_cell *all,
                  struct stats_cell *cell, const struct log_line *line, struct log_tally *tally,
                  enum log_effect effect)
{
    if (line->is_past)
        return;
    tally->counts[effect]++;
    if (all)
        tally->rule = rule->config->name;
    if (r->stats) {
        if (all)
            stats_add(all, 1);
        stats_add(cell, 1);
    }
}

/* Whether the line is dropped by an expression. */
static bool is_dropped(struct log_rules *r, const struct log_plan *plan, const struct log_line *line,
                       struct log_tally *tally)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct log_rule *rule = plan->rules[i];
        if (matches_any(&rule->drop, line->text)) {
            count(r, rule, r->dropped, rule->dropped, line, tally, LOG_DROPPED_LINE);
            return true;
        }
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct log_rule *rule = plan->rules[i];
        if (rule->keep.count && !matches_any(&rule->keep, line->text)) {
            count(r, rule, r->dropped, rule->dropped, line, tally, LOG_DROPPED_KEEP);
            return true;
        }
    }
    return false;
}

/* By the lines' own times, so that lines read again fare alike. */
static bool is_over_rate(struct log_rules *r, struct log_plan *plan, const struct log_line *line,
                         struct log_tally *tally)
{
    const struct log_rule *rule = plan->rate_rule;
    const struct agent_log_rule *config = rule->config;
    double most = (double)(config->burst_lines > 0 ? config->burst_lines : config->rate_lines);
    if (plan->filled_ns == 0)
        plan->tokens = most;
    else if (line->time_ns > plan->filled_ns)
        plan->tokens += (double)config->rate_lines * (double)(line->time_ns - plan->filled_ns) / 1e9;
    if (line->time_ns > plan->filled_ns)
        plan->filled_ns = line->time_ns;
    if (plan->tokens > most)
        plan->tokens = most;
    if (plan->tokens >= 1) {
        plan->tokens -= 1;
        return false;
    }
    count(r, rule, r->limited, rule->limited, line, tally, LOG_DROPPED_RATE);
    return true;
}

/* False: memory is out. */
static bool redact(struct log_rules *r, const struct log_rule *rule, struct log_line *line,
                   struct log_tally *tally, unsigned *in_use)
{
    bool changed = false;
    for (size_t i = 0; i < rule->redaction_count; i++) {
        struct buf *out = &r->texts[*in_use ^ 1];
        unsigned found = 0;
        buf_clear(out);
        int err = redact_apply(&rule->redactions[i], line->text, out, &found);
        if (err == -ENOMEM)
            return false;
        line->is_cut |= err == -EMSGSIZE;
        if (found == 0)
            continue;
        changed = true;
        *in_use ^= 1;
        line->text = buf_bytes(out);
    }
    if (changed)
        count(r, rule, NULL, rule->redacted, line, tally, LOG_REDACTED);
    return true;
}

bool log_rules_apply(struct log_rules *r, struct log_plan *plan, struct log_line *line,
                     struct log_tally *tally)
{
    unsigned in_use = 0;
    if (plan->has_lines && is_dropped(r, plan, line, tally))
        return false;
    if (plan->rate_rule && is_over_rate(r, plan, line, tally))
        return false;
    if (plan->detects_level)
        line->level = level_detect(line->text);
    for (size_t i = 0; plan->has_lines && i < plan->count; i++)
        if (!redact(r, plan->rules[i], line, tally, &in_use)) {
            count(r, plan->rules[i], r->dropped, plan->rules[i]->dropped, line, tally, LOG_DROPPED_LINE);
            return false;
        }
    return true;
}

void log_rules_release(struct log_rules *r)
{
    buf_release(&r->texts[0], 0);
    buf_release(&r->texts[1], 0);
}

void log_rules_excluded(struct log_rules *r, uint64_t bytes)
{
    stats_add(r->excluded_bytes, (int64_t)bytes);
}
