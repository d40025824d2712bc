/* mdadm.c - software RAID: /proc/mdstat and /sys/block/mdN/md.
 *
 * /proc/mdstat: "NAME : STATE TYPE DEVICE[N](F) ...", next "SIZE blocks ... [TOTAL/ACTIVE] [UU_]", perhaps a
 * line of the bitmap, then perhaps one of what it does: "... recovery = 8.5% (SYNCED/TO_SYNC) finish=...".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { NAME_BYTES = 64 };

struct array {
    char name[NAME_BYTES];
    const char *state; /* one of states below, or another that is not told apart */
    uint64_t active, total, failed, spare, blocks, synced;
};

struct mdadm_state {
    const char *sysfs;       /* borrowed from the config */
    struct procfile *mdstat; /* owned */
};

static void stop(void *ctx)
{
    struct mdadm_state *state = ctx;
    procfile_free(state->mdstat);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct mdadm_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->mdstat = procfile_new_long(config->host_metrics.path_procfs, "mdstat");
    if (!state->mdstat) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

/* ---- /proc/mdstat ---- */

static bool contains(struct bytes line, const char *word)
{
    return line.len && memmem(line.ptr, line.len, word, strlen(word));
}

static uint64_t count_of(struct bytes line, const char *word)
{
    uint64_t count = 0;
    size_t len = strlen(word);
    for (const uint8_t *at; line.len && (at = memmem(line.ptr, line.len, word, len)); count++)
        line = bytes_skip(line, (size_t)(at - line.ptr) + len);
    return count;
}

/* "<A>/<B>" between the open and the close character: the last such. -EINVAL when there is none. */
static int find_pair(struct bytes line, char open, char close, uint64_t *ret_a, uint64_t *ret_b)
{
    int err = -EINVAL;
    for (size_t i = 0; i < line.len; i++) {
        struct bytes rest = bytes_skip(line, i + 1);
        size_t a = text_digits(rest);
        if (line.ptr[i] != open || a == 0 || a >= rest.len || rest.ptr[a] != '/')
            continue;
        struct bytes second = bytes_skip(rest, a + 1);
        size_t b = text_digits(second);
        if (b == 0 || b >= second.len || second.ptr[b] != close)
            continue;
        err = text_u64((struct bytes){rest.ptr, a}, ret_a);
        if (err == 0)
            err = text_u64((struct bytes){second.ptr, b}, ret_b);
    }
    return err;
}

static int parse_sizes(struct bytes device, struct bytes sizes, struct array *array)
{
    struct bytes rest = sizes, field;
    if (!text_field(&rest, &field) || text_u64(field, &array->blocks) < 0)
        return -EINVAL;
    array->synced = array->blocks;
    if (contains(device, "raid0") || contains(device, "linear")) {
        array->active = array->total = count_of(device, "[");
        return 0;
    }
    return contains(device, "inactive") ? 0 : find_pair(sizes, '[', ']', &array->total, &array->active);
}

static int parse_progress(struct bytes line, struct array *array)
{
    uint64_t to_sync;
    if (contains(line, "recovery"))
        array->state = "recovering";
    else if (contains(line, "reshape"))
        array->state = "reshaping";
    else if (contains(line, "check"))
        array->state = "checking";
    else if (contains(line, "resync"))
        array->state = "resyncing";
    else
        return 0;
    if (contains(line, "PENDING") || contains(line, "DELAYED")) {
        array->synced = 0;
        return 0;
    }
    return find_pair(line, '(', ')', &array->synced, &to_sync);
}

static void emit_state(struct metric_sink *sink, const struct array *array, const char *label,
                       const char *state)
{
    COLLECTOR_SAMPLE(sink, "node_md_state", METRIC_GAUGE, "Indicates the state of md-device.",
                     strcmp(array->state, state) == 0, "device", array->name, "state", label);
}

static void emit_array(struct metric_sink *sink, const struct array *array)
{
    static const char *const disks_help = "Number of active/failed/spare disks of device.";
    COLLECTOR_SAMPLE(sink, "node_md_disks_required", METRIC_GAUGE, "Total number of disks of device.",
                     (double)array->total, "device", array->name);
    COLLECTOR_SAMPLE(sink, "node_md_disks", METRIC_GAUGE, disks_help, (double)array->active, "device",
                     array->name, "state", "active");
    COLLECTOR_SAMPLE(sink, "node_md_disks", METRIC_GAUGE, disks_help, (double)array->failed, "device",
                     array->name, "state", "failed");
    COLLECTOR_SAMPLE(sink, "node_md_disks", METRIC_GAUGE, disks_help, (double)array->spare, "device",
                     array->name, "state", "spare");
    emit_state(sink, array, "active", "active");
    emit_state(sink, array, "inactive", "inactive");
    emit_state(sink, array, "recovering", "recovering");
    emit_state(sink, array, "resync", "resyncing");
    emit_state(sink, array, "check", "checking");
    COLLECTOR_SAMPLE(sink, "node_md_blocks", METRIC_GAUGE, "Total number of blocks on device.",
                     (double)array->blocks, "device", array->name);
    COLLECTOR_SAMPLE(sink, "node_md_blocks_synced", METRIC_GAUGE, "Number of blocks synced on device.",
                     (double)array->synced, "device", array->name);
}

static int parse_array(struct bytes line, struct bytes following, struct metric_sink *sink)
{
    struct bytes fields[3], sizes, progress = {0};
    struct array array = {.state = ""};
    if (text_fields(line, fields, 3) < 3 || !text_line(&following, &sizes))
        return -EINVAL;
    text_copy(fields[0], array.name, sizeof array.name);
    array.state = text_is(fields[2], "active") ? "active" : text_is(fields[2], "inactive") ? "inactive" : "";
    array.failed = count_of(line, "(F)");
    array.spare = count_of(line, "(S)");
    int err = parse_sizes(line, sizes, &array);
    if (err == 0 && text_line(&following, &progress) && contains(progress, "bitmap") &&
        !text_line(&following, &progress))
        progress = (struct bytes){0};
    if (err == 0)
        err = parse_progress(progress, &array);
    if (err == 0)
        emit_array(sink, &array);
    return err;
}

static int read_mdstat(struct mdadm_state *state, struct metric_sink *sink)
{
    struct bytes text, line;
    int err = procfile_read(state->mdstat, &text);
    while (err == 0 && text_line(&text, &line))
        if (line.len && line.ptr[0] != ' ' && line.ptr[0] != '\t' && !text_starts(line, "unused") &&
            !text_starts(line, "Personalities"))
            err = parse_array(line, text, sink);
    return err;
}

/* ---- /sys/block ---- */

static bool has_disks(const char *level)
{
    return *level && strcmp(level, "container") != 0 && strcmp(level, "imsm") != 0 &&
           strcmp(level, "ddf") != 0;
}

static bool has_redundancy(const char *level)
{
    static const char *const levels[] = {"raid1", "raid4", "raid5", "raid6", "raid10"};
    for (int i = 0; i < 5; i++)
        if (strcmp(level, levels[i]) == 0)
            return true;
    return false;
}

static int emit_raid(const char *sysfs, const char *device, struct metric_sink *sink)
{
    char level[32], disks[64];
    uint64_t degraded = 0;
    int err = sysfs_word(level, sizeof level, "%s/block/%s/md/level", sysfs, device);
    if (err == 0 && has_disks(level))
        err = sysfs_word(disks, sizeof disks, "%s/block/%s/md/raid_disks", sysfs, device);
    else
        disks[0] = '\0';
    if (err == 0 && has_redundancy(level))
        err = sysfs_u64(&degraded, "%s/block/%s/md/degraded", sysfs, device);
    if (err < 0)
        return err;
    if (*disks)
        COLLECTOR_SAMPLE(sink, "node_md_raid_disks", METRIC_GAUGE, "Number of raid disks on device.",
                         strtod(disks, NULL), "device", device);
    COLLECTOR_SAMPLE(sink, "node_md_degraded", METRIC_GAUGE, "Number of degraded disks on device.",
                     (double)degraded, "device", device);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct mdadm_state *state = ctx;
    struct sysfs_names names;
    int err = read_mdstat(state, sink);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    if (sysfs_list(&names, "%s/block", state->sysfs) < 0)
        return 0;
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (strncmp(names.items[i], "md", 2) == 0 &&
            sysfs_exists("%s/block/%s/md", state->sysfs, names.items[i]))
            err = emit_raid(state->sysfs, names.items[i], sink);
    sysfs_names_fini(&names);
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_mdadm = {.name = "mdadm",
                                          .enabled_by_default = true,
                                          .start = start,
                                          .update = update,
                                          .stop = stop,
                                          .announced = true};
