/* slabinfo.c - /proc/slabinfo version 2.1: a line of 16 fields for each cache, "NAME ACTIVE OBJECTS SIZE
 * PER_SLAB PAGES : tunables ... : slabdata ...". */
#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { FIELDS = 16, NAME_BYTES = 128, ROWS = 5 };

static const struct {
    const char *name, *help;
} rows[ROWS] = {
    {"node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use)."},
    {"node_slabinfo_objects",
     "The total number of allocated objects (i.e., objects that are both in use and not in use)."},
    {"node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes."},
    {"node_slabinfo_objects_per_slab", "The number of objects stored in each slab."},
    {"node_slabinfo_pages_per_slab", "The number of pages allocated for each slab."},
};

struct slabinfo_state {
    struct procfile *file; /* owned */
    struct pattern_filter slabs;
};

static void stop(void *ctx)
{
    struct slabinfo_state *state = ctx;
    procfile_free(state->file);
    pattern_filter_fini(&state->slabs);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct slabinfo_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int err =
        pattern_filter_init(&state->slabs, config, "slabinfo.slabs-include", "slabinfo.slabs-exclude", "");
    state->file = procfile_new(config->host_metrics.path_procfs, "slabinfo");
    if (err == 0 && !state->file)
        err = -ENOMEM;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int update_slab(const struct slabinfo_state *state, struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[FIELDS + 1];
    uint64_t values[ROWS];
    char name[NAME_BYTES];
    if (text_fields(line, fields, FIELDS + 1) != FIELDS)
        return -EINVAL;
    for (int i = 0; i < ROWS; i++)
        if (text_u64(fields[i + 1], &values[i]) < 0)
            return -EINVAL;
    if (!pattern_filter_passes(&state->slabs, fields[0]))
        return 0;
    text_copy(fields[0], name, sizeof name);
    for (int i = 0; i < ROWS; i++)
        COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_GAUGE, rows[i].help, (double)values[i], "slab", name);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct slabinfo_state *state = ctx;
    struct bytes text, line;
    int err = procfile_read(state->file, &text);
    while (err == 0 && text_line(&text, &line))
        if (!text_starts(line, "slabinfo - version:") && !text_starts(line, "# name"))
            err = update_slab(state, line, sink);
    return err;
}

static const char *const flags[] = {"slabinfo.slabs-include=~", "slabinfo.slabs-exclude=~", NULL};

const struct collector collector_slabinfo = {
    .name = "slabinfo", .start = start, .update = update, .stop = stop, .flags = flags};
