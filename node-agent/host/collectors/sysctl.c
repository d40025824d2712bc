/* sysctl.c - values of /proc/sys that are asked for: --collector.sysctl.include=NAME or NAME:KEY,... for
 * numbers,
 * --collector.sysctl.include-info=NAME for words. A file holds one or several, separated by blanks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/scrape/metric_name.h"

enum { NAME_BYTES = 256, VALUES = 64, WORD_BYTES = 128, STORAGE_BYTES = 4096 };

struct sysctl {
    char name[NAME_BYTES], metric[NAME_BYTES];
    const char *keys; /* borrowed from the config; NULL without */
    bool is_info;
};

struct sysctl_state {
    const char *procfs;   /* borrowed from the config */
    struct sysctl *items; /* owned */
    size_t count;
    bool own_net; /* what /proc/sys/net says is the host's */
};

static void stop(void *ctx)
{
    struct sysctl_state *state = ctx;
    free(state->items);
    free(state);
}

static int add(struct sysctl_state *state, const char *given, bool is_info)
{
    struct sysctl *items = realloc(state->items, (state->count + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    state->items = items;
    struct sysctl *item = &items[state->count++];
    const char *colon = strchr(given, ':');
    *item = (struct sysctl){.keys = colon ? colon + 1 : NULL, .is_info = is_info};
    snprintf(item->name, sizeof item->name, "%.*s", colon ? (int)(colon - given) : (int)strlen(given), given);
    metric_name_sanitize(item->name, item->metric, sizeof item->metric);
    return 0;
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct sysctl_state *state = calloc(1, sizeof *state);
    const char *given;
    int err = state ? 0 : -ENOMEM;
    if (err < 0)
        return err;
    state->procfs = config->host_metrics.path_procfs;
    state->own_net = host_net_is_own(config);
    for (size_t at = 0; err == 0 && (given = collector_flag_next(config, "sysctl.include", &at));)
        err = add(state, given, false);
    for (size_t at = 0; err == 0 && (given = collector_flag_next(config, "sysctl.include-info", &at));)
        err = add(state, given, true);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static void emit_info(struct metric_sink *sink, const struct sysctl *item, struct bytes value, size_t index)
{
    char word[WORD_BYTES], number[24];
    snprintf(number, sizeof number, "%zu", index);
    COLLECTOR_SAMPLE(sink, "node_sysctl_info", METRIC_GAUGE, "sysctl info", 1, "name", item->name, "value",
                     text_copy(value, word, sizeof word), "index", number);
}

/* The key of that number; its length in ret_len. */
static const char *key_at(const char *keys, size_t index, int *ret_len)
{
    for (; index > 0; index--)
        keys += strcspn(keys, ",") + 1;
    *ret_len = (int)strcspn(keys, ",");
    return keys;
}

static void emit_number(struct metric_sink *sink, const struct sysctl *item, double value, size_t index,
                        size_t count)
{
    char name[2 * NAME_BYTES + 32], help[NAME_BYTES + 48], number[24];
    int len;
    snprintf(name, sizeof name, "node_sysctl_%s", item->metric);
    snprintf(help, sizeof help, "sysctl %s", item->name);
    snprintf(number, sizeof number, "%zu", index);
    if (item->keys) {
        const char *key = key_at(item->keys, index, &len);
        snprintf(name, sizeof name, "node_sysctl_%s_%.*s", item->metric, len, key);
        snprintf(help, sizeof help, "sysctl %s, field %zu", item->name, index);
    }
    const char *const labels[] = {"index", number, NULL};
    sink->sample(sink, name, METRIC_UNTYPED, help, count > 1 && !item->keys ? labels : NULL, value);
}

static size_t count_keys(const char *keys)
{
    size_t count = 1;
    for (; *keys; keys++)
        count += *keys == ',' ? 1 : 0;
    return count;
}

/* The fields of all lines. */
static size_t take_fields(struct bytes text, struct bytes fields[VALUES])
{
    struct bytes line;
    size_t count = 0;
    while (count < VALUES && text_line(&text, &line))
        count += text_fields(line, fields + count, VALUES - count);
    return count;
}

static int update_item(const struct sysctl_state *state, const struct sysctl *item, struct metric_sink *sink)
{
    char path[2 * NAME_BYTES + 64], storage[STORAGE_BYTES];
    struct bytes fields[VALUES];
    if (strncmp(item->name, "net.", 4) == 0 && !state->own_net)
        return -EACCES;
    int len = snprintf(path, sizeof path, "%s/sys/%s", state->procfs, item->name);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    for (char *c = path + strlen(state->procfs) + 5; *c; c++)
        *c = *c == '.' ? '/' : *c;
    int err = procfile_read_word(path, storage, sizeof storage);
    size_t count = err == 0 ? take_fields(bytes_of_string(storage), fields) : 0;
    if (err == 0 &&
        (count == 0 || (item->keys && (count == 1 || item->is_info || count != count_keys(item->keys)))))
        err = -EINVAL;
    for (size_t i = 0; i < count && err == 0; i++) {
        double value;
        if (item->is_info)
            emit_info(sink, item, fields[i], i);
        else if (text_double(fields[i], &value) == 0)
            emit_number(sink, item, value, i, count);
        else
            err = -EINVAL;
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct sysctl_state *state = ctx;
    int err = 0;
    for (size_t i = 0; i < state->count && err == 0; i++)
        err = update_item(state, &state->items[i], sink);
    return err;
}

static const char *const flags[] = {"sysctl.include=", "sysctl.include-info=", NULL};

const struct collector collector_sysctl = {
    .name = "sysctl", .start = start, .update = update, .stop = stop, .flags = flags};
