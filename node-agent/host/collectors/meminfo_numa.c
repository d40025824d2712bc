/* meminfo_numa.c - the memory of each NUMA node: /sys/devices/system/node/nodeN/meminfo ("Node N NAME: VALUE
 * kB") and numastat ("NAME VALUE"). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { MEMINFO_FIELDS = 6, NAME_BYTES = 96, FILE_BYTES = 4096, PATH_BYTES = 512 };

/* "Active(anon):" is Active_anon. */
static void put_name(struct bytes key, char name[NAME_BYTES])
{
    char word[NAME_BYTES];
    while (key.len && key.ptr[key.len - 1] == ':')
        key.len--;
    text_copy(key, word, sizeof word);
    char *open = strchr(word, '('), *close = strrchr(word, ')');
    if (open && close && open < close) {
        *open = '_';
        memmove(close, close + 1, strlen(close + 1) + 1);
    }
    snprintf(name, NAME_BYTES, "%s", word);
}

static void emit(struct metric_sink *sink, const char *field, enum metric_type type, const char *node,
                 double value)
{
    char name[NAME_BYTES + 32], help[NAME_BYTES + 32];
    snprintf(name, sizeof name, "node_memory_numa_%s", field);
    snprintf(help, sizeof help, "Memory information field %s.", field);
    COLLECTOR_SAMPLE(sink, name, type, help, value, "node", node);
}

static int emit_memory(struct bytes line, struct metric_sink *sink)
{
    struct bytes fields[MEMINFO_FIELDS];
    char name[NAME_BYTES], node[16];
    double value;
    size_t count = text_fields(line, fields, MEMINFO_FIELDS);
    if (count == 0)
        return 0;
    if (count < 4 || count > 5 || text_double(fields[3], &value) < 0 ||
        (count == 5 && !text_is(fields[4], "kB")))
        return -EINVAL;
    put_name(fields[2], name);
    emit(sink, name, METRIC_GAUGE, text_copy(fields[1], node, sizeof node),
         count == 5 ? value * 1024 : value);
    return 0;
}

static int emit_stat(struct bytes line, const char *node, struct metric_sink *sink)
{
    struct bytes fields[3];
    char name[NAME_BYTES], word[NAME_BYTES - 8];
    double value;
    size_t count = text_fields(line, fields, 3);
    if (count == 0)
        return 0;
    if (count != 2 || text_double(fields[1], &value) < 0)
        return -EINVAL;
    snprintf(name, sizeof name, "%s_total", text_copy(fields[0], word, sizeof word));
    emit(sink, name, METRIC_COUNTER, node, value);
    return 0;
}

static int update_node(const char *folder, const char *node, struct metric_sink *sink)
{
    char storage[FILE_BYTES];
    int err = sysfs_word(storage, sizeof storage, "%s/%s/meminfo", folder, node);
    struct bytes text = bytes_of_string(storage), line;
    while (err == 0 && text_line(&text, &line))
        err = emit_memory(line, sink);
    if (err == 0)
        err = sysfs_word(storage, sizeof storage, "%s/%s/numastat", folder, node);
    text = bytes_of_string(storage);
    while (err == 0 && text_line(&text, &line))
        err = emit_stat(line, node + 4, sink);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    char folder[PATH_BYTES];
    struct sysfs_names names;
    snprintf(folder, sizeof folder, "%s/devices/system/node", config->host_metrics.path_sysfs);
    int err = sysfs_list(&names, "%s", folder);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        struct bytes name = bytes_of_string(names.items[i]);
        if (text_starts(name, "node") && name.len > 4 && text_digits(bytes_skip(name, 4)) == name.len - 4)
            err = update_node(folder, names.items[i], sink);
    }
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_meminfo_numa = {.name = "meminfo_numa",
                                                 .start = collector_start_with_config,
                                                 .update = update,
                                                 .stop = collector_stop_nothing};
