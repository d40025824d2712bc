/* bcache.c - block caches: /sys/fs/bcache/UUID, its bdevN (what is cached) and cacheN (where).
 *
 * Numbers are written for people: "3.9k" is 3 KiB and 9/10.24 of one (drivers/md/bcache/util.c, bch_hprint).
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { PATH_BYTES = 512, WORD_BYTES = 64, DEBUG_BYTES = 4096 };

static const double two_to_64 = 18446744073709551616.0;

struct row {
    const char *file, *name;
    enum metric_type type;
    double scale;
    const char *help;
};

static const struct row whole[] = {
    {"average_key_size", "average_key_size_sectors", METRIC_GAUGE, 1,
     "Average data per key in the btree (sectors)."},
    {"btree_cache_size", "btree_cache_size_bytes", METRIC_GAUGE, 1,
     "Amount of memory currently used by the btree cache."},
    {"cache_available_percent", "cache_available_percent", METRIC_GAUGE, 1,
     "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data)."},
    {"congested", "congested", METRIC_GAUGE, 1, "Congestion."},
    {"root_usage_percent", "root_usage_percent", METRIC_GAUGE, 1,
     "Percentage of the root btree node in use (tree depth increases if too high)."},
    {"tree_depth", "tree_depth", METRIC_GAUGE, 1, "Depth of the btree."},
    {"internal/active_journal_entries", "active_journal_entries", METRIC_GAUGE, 1,
     "Number of journal entries that are newer than the index."},
    {"internal/btree_nodes", "btree_nodes", METRIC_GAUGE, 1, "Total nodes in the btree."},
    {"internal/btree_read_average_duration_us", "btree_read_average_duration_seconds", METRIC_GAUGE, 1e-9,
     "Average btree read duration."},
    {"internal/cache_read_races", "cache_read_races_total", METRIC_COUNTER, 1,
     "Counts instances where while data was being read from the cache, the bucket was reused and invalidated "
     "- i.e. where the pointer was stale after the read completed."},
    {0},
};

static const struct row of_backing[] = {
    {"dirty_data", "dirty_data_bytes", METRIC_GAUGE, 1,
     "Amount of dirty data for this backing device in the cache."},
    {"stats_total/bypassed", "bypassed_bytes_total", METRIC_COUNTER, 1,
     "Amount of IO (both reads and writes) that has bypassed the cache."},
    {"stats_total/cache_hits", "cache_hits_total", METRIC_COUNTER, 1,
     "Hits counted per individual IO as bcache sees them."},
    {"stats_total/cache_misses", "cache_misses_total", METRIC_COUNTER, 1,
     "Misses counted per individual IO as bcache sees them."},
    {"stats_total/cache_bypass_hits", "cache_bypass_hits_total", METRIC_COUNTER, 1,
     "Hits for IO intended to skip the cache."},
    {"stats_total/cache_bypass_misses", "cache_bypass_misses_total", METRIC_COUNTER, 1,
     "Misses for IO intended to skip the cache."},
    {"stats_total/cache_miss_collisions", "cache_miss_collisions_total", METRIC_COUNTER, 1,
     "Instances where data insertion from cache miss raced with write (data already present)."},
    {0},
};

static const struct row of_cache[] = {
    {"io_errors", "io_errors", METRIC_GAUGE, 1,
     "Number of errors that have occurred, decayed by io_error_halflife."},
    {"metadata_written", "metadata_written_bytes_total", METRIC_COUNTER, 1,
     "Sum of all non data writes (btree writes and all other metadata)."},
    {"written", "written_bytes_total", METRIC_COUNTER, 1,
     "Sum of all data that has been written to the cache."},
    {0},
};

static const struct row of_writeback[] = {
    /* lines of writeback_rate_debug */
    {"target:", "dirty_target_bytes", METRIC_GAUGE, 1,
     "Current dirty data target threshold for this backing device in bytes."},
    {"rate:", "writeback_rate", METRIC_GAUGE, 1, "Current writeback rate for this backing device in bytes."},
    {"proportional:", "writeback_rate_proportional_term", METRIC_GAUGE, 1,
     "Current result of proportional controller, part of writeback rate"},
    {"integral:", "writeback_rate_integral_term", METRIC_GAUGE, 1,
     "Current result of integral controller, part of writeback rate"},
    {"change:", "writeback_change", METRIC_GAUGE, 1,
     "Last writeback rate change step for this backing device."},
    {0},
};

static const struct row of_priority[] = {
    /* lines of priority_stats */
    {"Unused:", "priority_stats_unused_percent", METRIC_GAUGE, 1,
     "The percentage of the cache that doesn't contain any data."},
    {"Metadata:", "priority_stats_metadata_percent", METRIC_GAUGE, 1, "Bcache's metadata overhead."},
    {0},
};

struct place {                                /* what the samples are of */
    const char *path, *uuid, *label, *device; /* label: NULL for the whole */
    struct metric_sink *sink;
};

static void emit(const struct place *place, const struct row *row, double value)
{
    char name[96];
    snprintf(name, sizeof name, "node_bcache_%s", row->name);
    COLLECTOR_SAMPLE(place->sink, name, row->type, row->help, value * row->scale, "uuid", place->uuid,
                     place->label, place->device);
}

/* "-12.5M/sec" and the like; cut to a whole number as node_exporter does. */
static int parse_human(struct bytes field, double *ret_value)
{
    static const char units[] = "kMGTPEZY";
    char text[WORD_BYTES], *end;
    text_copy(field, text, sizeof text);
    bool negative = *text == '-';
    double value = (double)strtoull(text + negative, &end, 10);
    if (end == text + negative)
        return -EINVAL;
    if (*end == '.')
        value += strtod(end + 1, &end) / 10.24;
    for (int i = 0; *end && units[i]; i++)
        if (*end == units[i])
            for (int power = 0; power <= i; power++)
                value *= 1024;
    uint64_t whole_value = (uint64_t)value;
    *ret_value = negative ? -(double)whole_value : (double)whole_value;
    return 0;
}

static int emit_files(const struct place *place, const struct row *rows)
{
    for (; rows->file; rows++) {
        char word[WORD_BYTES];
        double value = 0;
        int err = sysfs_word(word, sizeof word, "%s/%s", place->path, rows->file);
        if (err == 0)
            err = parse_human(bytes_of_string(word), &value);
        if (err < 0 && err != -ENOENT)
            return err;
        emit(place, rows, value < 0 ? value + two_to_64 : value); /* node_exporter's are unsigned */
    }
    return 0;
}

/* The last field of the line that begins with the row's key. */
static int emit_lines(const struct place *place, const char *file, const struct row *rows)
{
    char path[PATH_BYTES], storage[DEBUG_BYTES];
    snprintf(path, sizeof path, "%s/%s", place->path, file);
    int err = procfile_read_word(path, storage, sizeof storage);
    for (; rows->file && err == 0; rows++) {
        struct bytes rest = bytes_of_string(storage), line, field;
        double value = 0;
        while (err == 0 && text_line(&rest, &line))
            if (text_starts(line, rows->file)) {
                while (text_field(&line, &field))
                    ;
                err = parse_human(field, &value);
            }
        if (err == 0)
            emit(place, rows, value);
    }
    return err;
}

static int emit_backing(const struct place *place)
{
    static const struct row readaheads = {"stats_total/cache_readaheads", "cache_readaheads_total",
                                          METRIC_COUNTER, 1, "Count of times readahead occurred."};
    uint64_t count;
    int err = emit_files(place, of_backing);
    if (err == 0)
        err = emit_lines(place, "writeback_rate_debug", of_writeback);
    if (err == 0 && sysfs_u64(&count, "%s/%s", place->path, readaheads.file) == 0 && count != 0)
        emit(place, &readaheads, (double)count);
    return err;
}

static int update_set(const struct agent_config *config, const char *uuid, struct metric_sink *sink)
{
    char base[PATH_BYTES / 2], path[PATH_BYTES];
    struct sysfs_names names;
    snprintf(base, sizeof base, "%s/fs/bcache/%s", config->host_metrics.path_sysfs, uuid);
    struct place place = {.path = base, .uuid = uuid, .sink = sink};
    int err = emit_files(&place, whole);
    if (err == 0)
        err = sysfs_list(&names, "%s", base);
    if (err < 0)
        return err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        const char *name = names.items[i];
        snprintf(path, sizeof path, "%s/%s", base, name);
        place.path = path;
        place.device = name;
        if (strncmp(name, "bdev", 4) == 0 && isdigit((unsigned char)name[4])) {
            place.label = "backing_device";
            err = emit_backing(&place);
        } else if (strncmp(name, "cache", 5) == 0 && isdigit((unsigned char)name[5])) {
            place.label = "cache_device";
            err = emit_files(&place, of_cache);
            if (err == 0 && collector_flag_is_on(config, "bcache.priorityStats", false))
                err = emit_lines(&place, "priority_stats", of_priority);
        }
    }
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    struct sysfs_names names;
    int err = 0;
    if (sysfs_list(&names, "%s/fs/bcache", config->host_metrics.path_sysfs) < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (strchr(names.items[i], '-')) /* a uuid */
            err = update_set(config, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

static const char *const flags[] = {"bcache.priorityStats", NULL};

const struct collector collector_bcache = {.name = "bcache",
                                           .enabled_by_default = true,
                                           .start = collector_start_with_config,
                                           .update = update,
                                           .stop = collector_stop_nothing,
                                           .announced = true,
                                           .flags = flags};
