/* rapl.c - energy of the power zones: /sys/class/powercap/ZONE/energy_uj. A name like "package-1" carries its
 * index; of others with the same name the second is 1, and so on. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { NAME_BYTES = 128, MAX_ZONES = 256, PATH_BYTES = 1024 };

struct zone {
    char name[NAME_BYTES];
    int index;
};

struct rapl_state {
    const char *sysfs; /* borrowed from the config */
    bool zone_label;
    struct zone zones[MAX_ZONES]; /* of this update */
    size_t count;
};

static int start(const struct agent_config *config, void **ret_state)
{
    struct rapl_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->zone_label = collector_flag_is_on(config, "rapl.enable-zone-label", false);
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

/* The one after the last zone of that name. */
static int next_index(const struct rapl_state *state, const char *name)
{
    for (size_t i = state->count; i > 0; i--)
        if (strcmp(state->zones[i - 1].name, name) == 0)
            return state->zones[i - 1].index + 1;
    return 0;
}

static struct zone *add_zone(struct rapl_state *state, const char *name)
{
    struct zone *zone = &state->zones[state->count];
    const char *dash = strchr(name, '-');
    char *end = NULL;
    long index = dash && dash == strrchr(name, '-') ? strtol(dash + 1, &end, 10) : 0;
    bool numbered = end && end != dash + 1 && !*end;
    snprintf(zone->name, sizeof zone->name, "%.*s", numbered ? (int)(dash - name) : NAME_BYTES - 1, name);
    zone->index = numbered ? (int)index : next_index(state, name);
    state->count++;
    return zone;
}

static void emit(const struct rapl_state *state, const struct zone *zone, const char *path, double joules,
                 struct metric_sink *sink)
{
    char name[NAME_BYTES + 64], help[NAME_BYTES + 64], index[16];
    snprintf(index, sizeof index, "%d", zone->index);
    if (state->zone_label) {
        COLLECTOR_SAMPLE(sink, "node_rapl_joules_total", METRIC_COUNTER, "Current RAPL value in joules",
                         joules, "index", index, "path", path, "rapl_zone", zone->name);
        return;
    }
    int len = snprintf(name, sizeof name, "node_rapl_%s_joules_total", zone->name);
    for (int i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != ':')
            name[i] = '_';
    snprintf(help, sizeof help, "Current RAPL %s value in joules", zone->name);
    COLLECTOR_SAMPLE(sink, name, METRIC_COUNTER, help, joules, "index", index, "path", path);
}

static int update_zone(struct rapl_state *state, const char *folder, struct metric_sink *sink)
{
    char word[NAME_BYTES], path[PATH_BYTES];
    uint64_t most, microjoules;
    snprintf(path, sizeof path, "%s/class/powercap/%s", state->sysfs, folder);
    if (state->count == MAX_ZONES || sysfs_word(word, sizeof word, "%s/name", path) < 0)
        return 0;
    int err = sysfs_u64(&most, "%s/max_energy_range_uj", path);
    const struct zone *zone = err == 0 ? add_zone(state, word) : NULL;
    if (err == 0)
        err = sysfs_u64(&microjoules, "%s/energy_uj", path);
    if (err == 0)
        emit(state, zone, path, (double)microjoules / 1e6, sink);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct rapl_state *state = ctx;
    struct sysfs_names names;
    state->count = 0;
    int err = sysfs_list(&names, "%s/class/powercap", state->sysfs);
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_zone(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err == -ENOENT || err == -EACCES || err == -EPERM ? -ENODATA : err;
}

static const char *const flags[] = {"rapl.enable-zone-label", NULL};

const struct collector collector_rapl = {.name = "rapl",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .announced = true,
                                         .flags = flags};
