/* conntrack.c - /proc/sys/net/netfilter/nf_conntrack_count and _max, and the sum over the CPUs of
 * /proc/net/stat/nf_conntrack (a line of names, then hexadecimal numbers for each CPU). */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

enum { COLUMNS = 17, OLD_COLUMNS = 16 };

static const struct {
    int column;
    const char *name, *help;
} rows[] = {
    {2, "node_nf_conntrack_stat_found", "Number of searched entries which were successful."},
    {4, "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."},
    {5, "node_nf_conntrack_stat_ignore",
     "Number of packets seen which are already connected to a conntrack entry."},
    {8, "node_nf_conntrack_stat_insert", "Number of entries inserted into the list."},
    {9, "node_nf_conntrack_stat_insert_failed",
     "Number of entries for which list insertion was attempted but failed."},
    {10, "node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure."},
    {11, "node_nf_conntrack_stat_early_drop",
     "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached."},
    {16, "node_nf_conntrack_stat_search_restart",
     "Number of conntrack table lookups which had to be restarted due to hashtable resizes."},
};

struct conntrack_state { /* files owned */
    struct procfile *count, *max, *stat;
    bool own_net; /* else the host's numbers are those of /proc/1/net only */
};

static void stop(void *ctx)
{
    struct conntrack_state *state = ctx;
    procfile_free(state->count);
    procfile_free(state->max);
    procfile_free(state->stat);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    const char *procfs = config->host_metrics.path_procfs;
    struct conntrack_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->count = procfile_new(procfs, "sys/net/netfilter/nf_conntrack_count");
    state->max = procfile_new(procfs, "sys/net/netfilter/nf_conntrack_max");
    state->stat = host_net_file(config, "stat/nf_conntrack");
    state->own_net = host_net_is_own(config);
    if (!state->count || !state->max || !state->stat) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

static const char entries_name[] = "node_nf_conntrack_entries",
                  entries_help[] = "Number of currently allocated flow entries for connection tracking.";

static int emit_number(struct procfile *file, const char *name, const char *help, struct metric_sink *sink)
{
    struct bytes text, line;
    uint64_t value;
    int err = procfile_read(file, &text);
    if (err < 0)
        return err;
    if (!text_line(&text, &line) || text_u64(line, &value) < 0)
        return -EINVAL;
    collector_emit(sink, name, METRIC_GAUGE, help, (double)value);
    return 0;
}

/* Another network namespace cannot change the limit where it is one for all (nf_conntrack_standalone.c makes
 * the file read-only there); where it can, what it shows is its own. */
static bool limit_is_for_all(const struct procfile *file)
{
    struct stat st;
    return stat(file->path, &st) == 0 && !(st.st_mode & S_IWUSR);
}

static int add_line(struct bytes line, uint64_t sums[COLUMNS])
{
    struct bytes fields[COLUMNS + 1];
    uint64_t value;
    size_t count = text_fields(line, fields, COLUMNS + 1);
    if (count < OLD_COLUMNS || count > COLUMNS)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (text_hex(fields[i], &value) < 0)
            return -EINVAL;
        sums[i] += value;
    }
    return 0;
}

/* The first column is the number of entries, the same on every line. */
static int emit_sums(struct procfile *file, bool with_entries, struct metric_sink *sink)
{
    struct bytes text, line;
    uint64_t sums[COLUMNS] = {0}, lines = 0;
    int err = procfile_read(file, &text);
    bool names = err == 0 && text_line(&text, &line);
    for (; err == 0 && names && text_line(&text, &line); lines++)
        err = add_line(line, sums);
    if (err == 0 && with_entries && lines)
        collector_emit(sink, entries_name, METRIC_GAUGE, entries_help, (double)(sums[0] / lines));
    for (size_t i = 0; i < sizeof rows / sizeof *rows && err == 0; i++)
        collector_emit(sink, rows[i].name, METRIC_GAUGE, rows[i].help, (double)sums[rows[i].column]);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct conntrack_state *state = ctx;
    int err = state->own_net ? emit_number(state->count, entries_name, entries_help, sink) : 0;
    if (err == 0 && (state->own_net || limit_is_for_all(state->max)))
        err = emit_number(state->max, "node_nf_conntrack_entries_limit",
                          "Maximum size of connection tracking table.", sink);
    if (err == 0)
        err = emit_sums(state->stat, !state->own_net, sink);
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_conntrack = {
    .name = "conntrack", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
