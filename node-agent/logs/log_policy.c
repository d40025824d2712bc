#include "node-agent/logs/log_policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/logs/loglabels.h"
#include "node-agent/logs/push.h"
#include "node-agent/logs/tail_log.h"
#include "node-agent/metrics.h"

enum { MAX_METADATA = 8 * 1024, MAX_MESSAGES = 64 * 1024, MAX_PATH = 4096 };

static bool has_work(const struct agent_config *config)
{
    return config->logs.rules.count || config->logs.pod_labels.count || config->logs.metadata.count ||
           config->logs.node_label;
}

int log_policy_init(struct log_policy *p, const struct agent_config *config, struct stats *stats)
{
    struct buf errors;
    *p = (struct log_policy){.config = config, .version = has_work(config)};
    buf_init(&errors, MAX_MESSAGES);
    int err = log_rules_new("", config, stats, &errors, &p->rules);
    if (err == 0)
        err = podfacts_new(&p->facts);
    buf_fini(&errors); /* told when the configuration was loaded */
    if (err < 0) {
        log_policy_fini(p);
        return err;
    }
    log_rules_want(p->rules, p->facts);
    for (size_t i = 0; i < config->logs.pod_labels.count; i++)
        podfacts_want_label(p->facts, config->logs.pod_labels.items[i]);
    p->streams = stats_cell(stats, AGENT_LOG_STREAMS);
    p->held = stats_cell(stats, AGENT_LOG_HELD);
    return 0;
}

void log_policy_fini(struct log_policy *p)
{
    log_rules_free(p->rules);
    podfacts_free(p->facts);
    p->rules = NULL;
    p->facts = NULL;
}

bool log_policy_set_pods(struct log_policy *p, const struct assignment *assignment)
{
    bool changed = podfacts_set(p->facts, assignment);
    p->version += changed;
    return changed;
}

/* ---- one log ---- */

/* A log's name taken apart: NAMESPACE_POD_UID/CONTAINER/RESTART; a host file's is its path. */
struct parts {
    char *folder; /* owned; what pod points into */
    const char *container, *restart;
    struct podpath pod;
};

static int take_apart(const struct tail_log *log, struct parts *parts)
{
    *parts = (struct parts){.folder = strdup(log->name), .container = "", .restart = ""};
    if (!parts->folder)
        return -ENOMEM;
    if (log->plain)
        return 0;
    char *slash = strchr(parts->folder, '/'), *last = strrchr(parts->folder, '/');
    if (slash && last > slash) {
        *slash = *last = '\0';
        parts->container = slash + 1;
        parts->restart = last + 1;
    }
    return podpath_parse_folder(parts->folder, &parts->pod);
}

static void path_of(const struct tail_log *log, const struct parts *parts, char path[MAX_PATH])
{
    if (log->plain)
        snprintf(path, MAX_PATH, "%s", log->name);
    else
        snprintf(path, MAX_PATH, "%s/%s.log", log->folder, parts->restart);
}

static int make_plan(struct log_policy *p, struct tail_log *log, const struct parts *parts,
                     const struct podfacts_pod *facts)
{
    char path[MAX_PATH];
    struct log_plan *plan, *old = log->plan;
    path_of(log, parts, path);
    struct log_subject subject = {log->plain ? NULL : &parts->pod, parts->container, path, facts};
    int err = log_rules_plan(p->rules, &subject, &plan);
    if (err < 0)
        return err;
    if (plan && old && plan->rate_rule == old->rate_rule) {
        plan->tokens = old->tokens;
        plan->filled_ns = old->filled_ns;
    }
    log->plan = plan;
    free(old);
    return 0;
}

static int put_metadata(const struct log_policy *p, const struct tail_log *log, const struct parts *parts,
                        struct buf *out)
{
    char path[MAX_PATH];
    int err = 0;
    path_of(log, parts, path);
    for (size_t i = 0; i < p->config->logs.metadata.count && err == 0; i++) {
        const char *name = p->config->logs.metadata.items[i];
        if (strcmp(name, "filename") == 0)
            err = push_put_metadata(out, name, bytes_of_string(path));
        else if (strcmp(name, "pod_uid") == 0 && !log->plain)
            err = push_put_metadata(out, name, parts->pod.uid);
        else if (strcmp(name, "restart_count") == 0 && !log->plain)
            err = push_put_metadata(out, name, bytes_of_string(parts->restart));
    }
    return err;
}

static int make_metadata(const struct log_policy *p, struct tail_log *log, const struct parts *parts)
{
    struct buf metadata;
    buf_init(&metadata, MAX_METADATA);
    int err = put_metadata(p, log, parts, &metadata);
    if (err < 0) {
        buf_fini(&metadata);
        return err;
    }
    buf_fini(&log->metadata);
    log->metadata = metadata;
    return 0;
}

static int make_labels(const struct log_policy *p, struct tail_log *log, const struct parts *parts,
                       const struct podfacts_pod *facts)
{
    const struct conf_strings *wanted = &p->config->logs.pod_labels;
    struct conf_pair pairs[LOGLABELS_MAX];
    struct conf_map extra = {pairs, 0};
    if (p->config->logs.node_label)
        pairs[extra.count++] = (struct conf_pair){"node", p->config->node};
    for (size_t i = 0; i < wanted->count && extra.count < LOGLABELS_MAX; i++) {
        const char *value = podfacts_label(facts, wanted->items[i]);
        if (value)
            pairs[extra.count++] = (struct conf_pair){wanted->items[i], value};
    }
    if (log->plain)
        return p->config->logs.node_label ? tail_log_label(log, NULL, "", &extra, &p->config->labels) : 0;
    return extra.count || wanted->count
               ? tail_log_label(log, &parts->pod, parts->container, &extra, &p->config->labels)
               : 0;
}

static bool has_open(const struct tail_log *log)
{
    for (int s = 0; s < CRI_STREAMS; s++)
        if (log->streams[s].part.open || tail_log_has_join(log, s))
            return true;
    return false;
}

int log_policy_refresh(struct log_policy *p, struct tail_log *log)
{
    struct parts parts;
    if (log->planned == p->version)
        return 0;
    int err = take_apart(log, &parts);
    const struct podfacts_pod *facts =
        err == 0 && !log->plain ? podfacts_find(p->facts, parts.pod.uid) : NULL;
    if (err == 0 && has_open(log))
        tail_log_fall_back(log);
    if (err == 0)
        err = make_labels(p, log, &parts, facts);
    if (err == 0)
        err = make_metadata(p, log, &parts);
    if (err == 0)
        err = make_plan(p, log, &parts, facts);
    if (err == 0)
        log->planned = p->version;
    free(parts.folder);
    return err;
}

/* ---- the bound on streams ---- */

static uint32_t used_streams(const struct tail_log *log)
{
    uint32_t used = 0;
    for (int s = 0; s < CRI_STREAMS; s++)
        used += log->streams[s].used;
    return used;
}

uint32_t log_policy_room(const struct log_policy *p, struct tail_log *const *logs, size_t count)
{
    int64_t used = 0, most = p->config->logs.max_streams;
    for (size_t i = 0; i < count; i++)
        used += used_streams(logs[i]);
    stats_set(p->streams, used);
    if (most == 0)
        return UINT32_MAX;
    return most > used ? (uint32_t)(most - used) : 0;
}

bool log_policy_admits(const struct tail_log *log, uint32_t room)
{
    bool is_excluded = log->plan && log->plan->excluded_by;
    return is_excluded || used_streams(log) > 0 || room >= CRI_STREAMS;
}

uint32_t log_policy_may_begin(const struct tail_log *log)
{
    return used_streams(log) > 0 ? 0 : CRI_STREAMS;
}

struct value { /* of a label in a stream's set: NAME="VALUE" */
    const char *text;
    size_t name_len, len;
};

static int compare_values(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    int order = strncmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The next NAME="VALUE" of a label set at *at. */
static bool next_value(const char **at, struct value *value)
{
    const char *name = *at + strspn(*at, "{, "), *equals = strchr(name, '=');
    if (!equals || equals[1] != '"')
        return false;
    const char *end = equals + 2;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    *value = (struct value){name, (size_t)(equals - name), (size_t)(end - name)};
    *at = *end ? end + 1 : end;
    return true;
}

static size_t collect_values(struct tail_log *const *logs, size_t count, struct value *values, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (const char *at = logs[i]->streams[0].labels; n < most && next_value(&at, &values[n]);)
            n++;
    return n;
}

void log_policy_worst_label(struct tail_log *const *logs, size_t count, char *ret_name, size_t size,
                            size_t *ret_values)
{
    size_t most = count * LOGLABELS_MAX, best = 0, run = 0;
    struct value *values = calloc(most ? most : 1, sizeof *values);
    size_t n = values ? collect_values(logs, count, values, most) : 0;
    snprintf(ret_name, size, "unknown");
    if (n)
        qsort(values, n, sizeof *values, compare_values);
    for (size_t i = 0; i < n; i++) {
        bool same_name = i > 0 && values[i].name_len == values[i - 1].name_len &&
                         strncmp(values[i].text, values[i - 1].text, values[i].name_len) == 0;
        bool same_value = same_name && compare_values(&values[i], &values[i - 1]) == 0;
        run = same_name ? run + !same_value : 1;
        if (run >= best) { /* of job and pod, which vary alike, pod */
            best = run;
            snprintf(ret_name, size, "%.*s", (int)values[i].name_len, values[i].text);
        }
    }
    *ret_values = best;
    free(values);
}
