/* bcachefs.c - /sys/fs/bcachefs/UUID: sizes, errors, counters, and the devices dev-N. Sizes are written for
 * people ("48.9G"). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { PATH_BYTES = 512, FILE_BYTES = 32768, WORD_BYTES = 128 };

struct bcachefs_state {
    const char *sysfs;     /* borrowed from the config */
    char text[FILE_BYTES]; /* of the file being looked at */
};

static const double two_to_64 = 18446744073709551616.0;

struct place {
    struct bcachefs_state *state;
    struct metric_sink *sink;
    const char *uuid, *device;
    char path[PATH_BYTES];
};

static int start(const struct agent_config *config, void **ret_state)
{
    struct bcachefs_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

/* ---- what files hold ---- */

static int parse_size(struct bytes field, double *ret_value)
{
    static const char units[] = "kmgtpe";
    char text[WORD_BYTES], *end;
    double value = strtod(text_copy(field, text, sizeof text), &end);
    if (end == text)
        return -EINVAL;
    for (int i = 0; *end && units[i]; i++)
        if (tolower((unsigned char)*end) == units[i])
            for (int power = 0; power <= i; power++)
                value *= 1024;
    *ret_value = value < two_to_64 ? (double)(uint64_t)value : two_to_64 / 2; /* as Go has it on amd64 */
    return 0;
}

/* The whole file; empty when there is none. */
static int read_text(const struct place *place, const char *file, struct bytes *ret_text)
{
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", place->path, file);
    int err = procfile_read_word(path, place->state->text, sizeof place->state->text);
    if (err == -ENOENT)
        place->state->text[0] = '\0';
    else if (err < 0)
        return err;
    *ret_text = bytes_of_string(place->state->text);
    return 0;
}

/* "NAME:   NUMBER" */
static bool split(struct bytes line, char name[WORD_BYTES], struct bytes *ret_value)
{
    struct bytes field;
    const uint8_t *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon)
        return false;
    struct bytes key = {line.ptr, (size_t)(colon - line.ptr)}, rest = bytes_skip(line, key.len + 1);
    if (!text_field(&key, &field) || !text_field(&rest, ret_value))
        return false;
    text_copy(field, name, WORD_BYTES);
    return true;
}

/* ---- the file system ---- */

static int emit_compression(const struct place *place)
{
    struct bytes text, line, fields[3];
    char algorithm[WORD_BYTES];
    double compressed, uncompressed;
    int err = read_text(place, "compression_stats", &text);
    bool heads = err == 0 && text_line(&text, &line);
    while (err == 0 && heads && text_line(&text, &line)) {
        if (text_fields(line, fields, 3) < 3)
            continue;
        fields[0].len -= text_ends(fields[0], ":") ? 1 : 0;
        text_copy(fields[0], algorithm, sizeof algorithm);
        if (parse_size(fields[1], &compressed) < 0 || parse_size(fields[2], &uncompressed) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(place->sink, "node_bcachefs_compression_compressed_bytes", METRIC_GAUGE,
                         "Compressed size by algorithm.", compressed, "uuid", place->uuid, "algorithm",
                         algorithm);
        COLLECTOR_SAMPLE(place->sink, "node_bcachefs_compression_uncompressed_bytes", METRIC_GAUGE,
                         "Uncompressed size by algorithm.", uncompressed, "uuid", place->uuid, "algorithm",
                         algorithm);
    }
    return err;
}

static int emit_errors(const struct place *place)
{
    struct bytes text, line, fields[2];
    char type[WORD_BYTES];
    uint64_t count;
    int err = read_text(place, "errors", &text);
    while (err == 0 && text_line(&text, &line)) {
        if (text_fields(line, fields, 2) < 2)
            continue;
        if (text_u64(fields[1], &count) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(place->sink, "node_bcachefs_errors_total", METRIC_COUNTER,
                         "Error count by error type.", (double)count, "uuid", place->uuid, "error_type",
                         text_copy(fields[0], type, sizeof type));
    }
    return err;
}

static int emit_counter(const struct place *place, const char *counter)
{
    static const char since[] = "since filesystem creation:";
    char file[WORD_BYTES], name[2 * WORD_BYTES], help[2 * WORD_BYTES];
    struct bytes text, line, field;
    double value = 0;
    snprintf(file, sizeof file, "counters/%.100s", counter);
    int err = read_text(place, file, &text);
    bool known = false;
    while (err == 0 && text_line(&text, &line)) {
        known = known || text_starts(line, "since ");
        if (!text_starts(line, since))
            continue;
        line = bytes_skip(line, sizeof since - 1);
        err = text_field(&line, &field) ? parse_size(field, &value) : -EINVAL;
    }
    if (err < 0 || !known)
        return err < 0 ? err : -EINVAL;
    int len = snprintf(name, sizeof name, "node_bcachefs_%.100s_total", counter);
    for (int i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != ':')
            name[i] = '_';
    snprintf(help, sizeof help, "Bcachefs counter %.100s since filesystem creation.", counter);
    COLLECTOR_SAMPLE(place->sink, name, METRIC_COUNTER, help, value, "uuid", place->uuid);
    return 0;
}

static int emit_counters(const struct place *place)
{
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/counters", place->path);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = emit_counter(place, names.items[i]);
    sysfs_names_fini(&names);
    return err;
}

static int emit_writes(const struct place *place)
{
    struct bytes text, line, fields[3];
    char type[WORD_BYTES];
    double count, size;
    int err = read_text(place, "btree_write_stats", &text);
    bool heads = err == 0 && text_line(&text, &line);
    while (err == 0 && heads && text_line(&text, &line)) {
        if (text_fields(line, fields, 3) < 3)
            continue;
        fields[0].len -= text_ends(fields[0], ":") ? 1 : 0;
        text_copy(fields[0], type, sizeof type);
        if (text_double(fields[1], &count) < 0 || parse_size(fields[2], &size) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(place->sink, "node_bcachefs_btree_writes_total", METRIC_COUNTER,
                         "Number of btree writes by type.", count, "uuid", place->uuid, "type", type);
        COLLECTOR_SAMPLE(place->sink, "node_bcachefs_btree_write_average_size_bytes", METRIC_GAUGE,
                         "Average btree write size by type.", size, "uuid", place->uuid, "type", type);
    }
    return err;
}

/* ---- a device ---- */

static int emit_io_done(const struct place *place)
{
    struct bytes text, line, value;
    char operation[WORD_BYTES] = "", type[WORD_BYTES];
    uint64_t bytes;
    int err = read_text(place, "io_done", &text);
    while (err == 0 && text_line(&text, &line)) {
        if (text_is(line, "read:") || text_is(line, "write:"))
            text_copy((struct bytes){line.ptr, line.len - 1}, operation, sizeof operation);
        else if (*operation && split(line, type, &value)) {
            if (text_u64(value, &bytes) < 0)
                return -EINVAL;
            COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_io_done_bytes_total", METRIC_COUNTER,
                             "IO bytes by operation type and data type.", (double)bytes, "uuid", place->uuid,
                             "device", place->device, "operation", operation, "data_type", type);
        }
    }
    return err;
}

/* Those since the file system was made; those since a reset follow. */
static int emit_io_errors(const struct place *place)
{
    struct bytes text, line, value;
    char type[WORD_BYTES];
    uint64_t count;
    bool begun = false;
    int err = read_text(place, "io_errors", &text);
    while (err == 0 && text_line(&text, &line)) {
        if (text_starts(line, "IO errors since filesystem creation"))
            begun = true;
        else if (text_starts(line, "IO errors since "))
            break;
        else if (begun && split(line, type, &value)) {
            if (text_u64(value, &count) < 0)
                return -EINVAL;
            COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_io_errors_total", METRIC_COUNTER,
                             "IO errors by error type.", (double)count, "uuid", place->uuid, "device",
                             place->device, "type", type);
        }
    }
    return err;
}

static int emit_device(const struct place *place)
{
    char label[WORD_BYTES] = "", state[WORD_BYTES] = "", bucket[WORD_BYTES] = "";
    uint64_t buckets = 0, durability = 0;
    double size = 0;
    sysfs_word(label, sizeof label, "%s/label", place->path);
    sysfs_word(state, sizeof state, "%s/state", place->path);
    if (sysfs_word(bucket, sizeof bucket, "%s/bucket_size", place->path) == 0 && *bucket &&
        parse_size(bytes_of_string(bucket), &size) < 0)
        return -EINVAL;
    sysfs_u64(&buckets, "%s/nbuckets", place->path);
    sysfs_u64(&durability, "%s/durability", place->path);
    COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_info", METRIC_GAUGE, "Device information.", 1, "uuid",
                     place->uuid, "device", place->device, "label", label, "state", state);
    COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_bucket_size_bytes", METRIC_GAUGE,
                     "Bucket size in bytes.", size, "uuid", place->uuid, "device", place->device);
    COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_buckets", METRIC_GAUGE, "Total number of buckets.",
                     (double)buckets, "uuid", place->uuid, "device", place->device);
    COLLECTOR_SAMPLE(place->sink, "node_bcachefs_device_durability", METRIC_GAUGE,
                     "Device durability setting.", (double)durability, "uuid", place->uuid, "device",
                     place->device);
    int err = emit_io_done(place);
    return err == 0 ? emit_io_errors(place) : err;
}

static int update_filesystem(struct bcachefs_state *state, const char *uuid, struct metric_sink *sink)
{
    struct place place = {.state = state, .sink = sink, .uuid = uuid};
    struct sysfs_names names;
    char word[WORD_BYTES];
    double size = 0;
    snprintf(place.path, sizeof place.path, "%s/fs/bcachefs/%s", state->sysfs, uuid);
    int err = sysfs_list(&names, "%s", place.path);
    if (err < 0)
        return err == -ENOTDIR ? 0 : err;
    COLLECTOR_SAMPLE(sink, "node_bcachefs_info", METRIC_GAUGE, "Filesystem information.", 1, "uuid", uuid);
    if (sysfs_word(word, sizeof word, "%s/btree_cache_size", place.path) == 0 && *word)
        err = parse_size(bytes_of_string(word), &size);
    COLLECTOR_SAMPLE(sink, "node_bcachefs_btree_cache_size_bytes", METRIC_GAUGE,
                     "Btree cache memory usage in bytes.", size, "uuid", uuid);
    static int (*const parts[])(const struct place *) = {emit_compression, emit_errors, emit_counters,
                                                         emit_writes};
    for (int i = 0; i < 4 && err == 0; i++)
        err = parts[i](&place);
    for (size_t i = 0; i < names.count && err == 0; i++) {
        if (strncmp(names.items[i], "dev-", 4) != 0)
            continue;
        place.device = names.items[i] + 4;
        snprintf(place.path, sizeof place.path, "%s/fs/bcachefs/%s/%s", state->sysfs, uuid, names.items[i]);
        err = emit_device(&place);
    }
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct bcachefs_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/fs/bcachefs", state->sysfs);
    if (err < 0 || names.count == 0)
        return err < 0 && err != -ENOENT ? err : -ENODATA;
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_filesystem(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_bcachefs = {.name = "bcachefs",
                                             .enabled_by_default = true,
                                             .start = start,
                                             .update = update,
                                             .stop = stop,
                                             .announced = true};
