/* zfs.c - ZFS' kstats: /proc/spl/kstat/zfs.
 *
 * A kstat: a line of its own numbers, "name type data", then "NAME TYPE VALUE" lines, type 3 signed and 4
 * unsigned (sys/kstat.h). Of each pool: io (a line of names, one of values), objset-*, state.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum {
    NAME_BYTES = 128,
    FILE_BYTES = 64 * 1024,
    PATH_BYTES = 768,
    LEAST_IO_FIELDS = 12,
    MOST_IO_FIELDS = 24,
    DATASET_BYTES = 256
};

static const struct {
    const char *subsystem, *file;
} stats[] = {
    {"zfs_abd", "abdstats"},
    {"zfs_arc", "arcstats"},
    {"zfs_dbuf", "dbufstats"},
    {"zfs_dmu_tx", "dmu_tx"},
    {"zfs_dnode", "dnodestats"},
    {"zfs_fm", "fm"},
    {"zfs_vdev_cache", "vdev_cache_stats"},
    {"zfs_vdev_mirror", "vdev_mirror_stats"},
    {"zfs_xuio", "xuio_stats"},
    {"zfs_zfetch", "zfetchstats"},
    {"zfs_zil", "zil"},
};

struct zfs_state {
    char folder[PATH_BYTES / 2];
    char text[FILE_BYTES]; /* of the file being looked at */
};

static int start(const struct agent_config *config, void **ret_state)
{
    struct zfs_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    snprintf(state->folder, sizeof state->folder, "%s/spl/kstat/zfs", config->host_metrics.path_procfs);
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

static int read_text(struct zfs_state *state, const char *below, const char *file, struct bytes *ret_text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s/%s", state->folder, *below ? "/" : "", below, file);
    int err = procfile_read_word(path, state->text, sizeof state->text);
    if (err == 0)
        *ret_text = bytes_of_string(state->text);
    return err;
}

static void make_name(const char *subsystem, struct bytes field, char name[NAME_BYTES])
{
    int len = snprintf(name, NAME_BYTES, "node_%s_%.*s", subsystem, (int)field.len, (const char *)field.ptr);
    for (int i = 0; i < len && i < NAME_BYTES - 1; i++)
        if (name[i] == '-')
            name[i] = '_';
}

static int parse_number(struct bytes type, struct bytes field, bool *ret_is_number, double *ret_value)
{
    uint64_t value = 0;
    bool negative = text_is(type, "3") && field.len > 1 && field.ptr[0] == '-';
    *ret_is_number = text_is(type, "3") || text_is(type, "4");
    if (*ret_is_number && text_u64(negative ? bytes_skip(field, 1) : field, &value) < 0)
        return -EINVAL;
    *ret_value = negative ? -(double)value : (double)value;
    return 0;
}

static bool is_head(const struct bytes fields[3], size_t count)
{
    return count == 3 && text_is(fields[0], "name") && text_is(fields[1], "type") &&
           text_is(fields[2], "data");
}

static void emit_stat(struct metric_sink *sink, const char *subsystem, const char *file, struct bytes key,
                      const char *const *labels, double value)
{
    char name[NAME_BYTES], help[NAME_BYTES];
    make_name(subsystem, key, name);
    snprintf(help, sizeof help, "kstat.zfs.misc.%s.%.*s", file, (int)key.len, (const char *)key.ptr);
    sink->sample(sink, name, METRIC_UNTYPED, help, labels, value);
}

static int parse_stats(struct bytes text, const char *subsystem, const char *file, struct metric_sink *sink)
{
    struct bytes line, fields[3];
    bool begun = false, is_number;
    double value;
    while (text_line(&text, &line)) {
        size_t count = text_fields(line, fields, 3);
        if (!begun || count < 3) {
            begun = begun || is_head(fields, count);
            continue;
        }
        if (parse_number(fields[1], fields[2], &is_number, &value) < 0)
            return -EINVAL;
        if (is_number)
            emit_stat(sink, subsystem, file, fields[0], NULL, value);
    }
    return begun ? 0 : -EINVAL;
}

/* ---- pools ---- */

static int parse_io(struct bytes text, const char *pool, struct metric_sink *sink)
{
    struct bytes line, names[MOST_IO_FIELDS], values[MOST_IO_FIELDS];
    const char *const labels[] = {"zpool", pool, NULL};
    size_t count = 0;
    uint64_t value;
    while (text_line(&text, &line)) {
        if (count == 0) {
            size_t found = text_fields(line, names, MOST_IO_FIELDS);
            count = found >= LEAST_IO_FIELDS && text_is(names[0], "nread") ? found : 0;
            continue;
        }
        if (text_fields(line, values, MOST_IO_FIELDS) < count)
            return -EINVAL;
        for (size_t i = 0; i < count; i++) {
            if (text_u64(values[i], &value) < 0)
                return -EINVAL;
            emit_stat(sink, "zfs_zpool", "io", names[i], labels, (double)value);
        }
    }
    return 0;
}

static int parse_objset(struct bytes text, const char *pool, struct metric_sink *sink)
{
    struct bytes line, fields[3];
    char dataset[DATASET_BYTES] = "";
    const char *const labels[] = {"zpool", pool, "dataset", dataset, NULL};
    bool begun = false;
    uint64_t value;
    while (text_line(&text, &line)) {
        size_t count = text_fields(line, fields, 3);
        if (!begun || count < 3) {
            begun = begun || is_head(fields, count);
            continue;
        }
        if (text_is(fields[0], "dataset_name")) /* it may hold blanks */
            text_copy(bytes_skip(line, (size_t)(fields[2].ptr - line.ptr)), dataset, sizeof dataset);
        else if (text_is(fields[1], "4") && text_u64(fields[2], &value) < 0)
            return -EINVAL;
        else if (text_is(fields[1], "4"))
            emit_stat(sink, "zfs_zpool_dataset", "objset", fields[0], labels, (double)value);
    }
    return begun ? 0 : -EINVAL;
}

static void parse_state(const char *text, const char *pool, struct metric_sink *sink)
{
    static const char *const states[] = {"online",  "degraded", "faulted",  "offline",
                                         "removed", "unavail",  "suspended"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        COLLECTOR_SAMPLE(sink, "node_zfs_zpool_state", METRIC_GAUGE, "kstat.zfs.misc.state",
                         strcasecmp(text, states[i]) == 0, "zpool", pool, "state", states[i]);
}

static int update_pool(struct zfs_state *state, const char *pool, struct metric_sink *sink)
{
    struct sysfs_names names;
    struct bytes text;
    if (sysfs_list(&names, "%s/%s", state->folder, pool) < 0)
        return 0; /* a file, no pool */
    int err = 0;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        bool io = strcmp(names.items[i], "io") == 0, is_state = strcmp(names.items[i], "state") == 0;
        if (!io && !is_state && strncmp(names.items[i], "objset-", 7) != 0)
            continue;
        err = read_text(state, pool, names.items[i], &text);
        if (err == 0 && is_state)
            parse_state(state->text, pool, sink);
        else if (err == 0)
            err = io ? parse_io(text, pool, sink) : parse_objset(text, pool, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct zfs_state *state = ctx;
    struct sysfs_names names;
    struct bytes text;
    if (sysfs_list(&names, "%s", state->folder) < 0)
        return -ENODATA;
    int err = 0;
    for (size_t i = 0; i < sizeof stats / sizeof *stats && err == 0; i++)
        if (read_text(state, "", stats[i].file, &text) == 0)
            err = parse_stats(text, stats[i].subsystem, stats[i].file, sink);
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_pool(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_zfs = {.name = "zfs",
                                        .enabled_by_default = true,
                                        .start = start,
                                        .update = update,
                                        .stop = stop,
                                        .announced = true};
