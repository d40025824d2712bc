/* powersupplyclass.c - /sys/class/power_supply: batteries, chargers. Files hold millionths of a unit
 * (temperatures: tenths of a degree). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { WORD_BYTES = 256, VALID_BYTES = 3 * WORD_BYTES };

static const struct {
    const char *file, *name;
    double divisor;
} rows[] = {
    {"authentic", "authentic", 1},
    {"calibrate", "calibrate", 1},
    {"capacity", "capacity", 1},
    {"capacity_alert_max", "capacity_alert_max", 1},
    {"capacity_alert_min", "capacity_alert_min", 1},
    {"cycle_count", "cyclecount", 1},
    {"online", "online", 1},
    {"present", "present", 1},
    {"time_to_empty_now", "time_to_empty_seconds", 1},
    {"time_to_full_now", "time_to_full_seconds", 1},
    {"current_boot", "current_boot", 1e6},
    {"current_max", "current_max", 1e6},
    {"current_now", "current_ampere", 1e6},
    {"energy_empty", "energy_empty", 1e6},
    {"energy_empty_design", "energy_empty_design", 1e6},
    {"energy_full", "energy_full", 1e6},
    {"energy_full_design", "energy_full_design", 1e6},
    {"energy_now", "energy_watthour", 1e6},
    {"voltage_boot", "voltage_boot", 1e6},
    {"voltage_max", "voltage_max", 1e6},
    {"voltage_max_design", "voltage_max_design", 1e6},
    {"voltage_min", "voltage_min", 1e6},
    {"voltage_min_design", "voltage_min_design", 1e6},
    {"voltage_now", "voltage_volt", 1e6},
    {"voltage_ocv", "voltage_ocv", 1e6},
    {"charge_control_limit", "charge_control_limit", 1e6},
    {"charge_control_limit_max", "charge_control_limit_max", 1e6},
    {"charge_counter", "charge_counter", 1e6},
    {"charge_empty", "charge_empty", 1e6},
    {"charge_empty_design", "charge_empty_design", 1e6},
    {"charge_full", "charge_full", 1e6},
    {"charge_full_design", "charge_full_design", 1e6},
    {"charge_now", "charge_ampere", 1e6},
    {"charge_term_current", "charge_term_current", 1e6},
    {"constant_charge_current", "constant_charge_current", 1e6},
    {"constant_charge_current_max", "constant_charge_current_max", 1e6},
    {"constant_charge_voltage", "constant_charge_voltage", 1e6},
    {"constant_charge_voltage_max", "constant_charge_voltage_max", 1e6},
    {"precharge_current", "precharge_current", 1e6},
    {"input_current_limit", "input_current_limit", 1e6},
    {"power_now", "power_watt", 1e6},
    {"temp", "temp_celsius", 10},
    {"temp_alert_max", "temp_alert_max_celsius", 10},
    {"temp_alert_min", "temp_alert_min_celsius", 10},
    {"temp_ambient", "temp_ambient_celsius", 10},
    {"temp_ambient_max", "temp_ambient_max_celsius", 10},
    {"temp_ambient_min", "temp_ambient_min_celsius", 10},
    {"temp_max", "temp_max_celsius", 10},
    {"temp_min", "temp_min_celsius", 10},
};

static const char *const info_files[] = {"capacity_level", "charge_type",   "health", "manufacturer",
                                         "model_name",     "serial_number", "status", "technology",
                                         "type",           "usb_type",      "scope"};
enum { INFOS = sizeof info_files / sizeof *info_files };

struct power_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter supplies;
};

static void stop(void *ctx)
{
    struct power_state *state = ctx;
    pattern_filter_fini(&state->supplies);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct power_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    int err = pattern_filter_init(&state->supplies, config, NULL, "powersupply.ignored-supplies", "^$");
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static bool is_ignored(int err)
{
    return err == -ENOENT || err == -EOPNOTSUPP || err == -ENODEV || err == -EINVAL;
}

static void put_valid(const char *word, char storage[VALID_BYTES])
{
    struct buf valid;
    buf_init(&valid, VALID_BYTES);
    storage[0] = '\0';
    if (utf8_put_valid(bytes_of_string(word), &valid) == 0)
        text_copy(buf_bytes(&valid), storage, VALID_BYTES);
    buf_fini(&valid);
}

static int emit_info(const struct power_state *state, const char *supply, struct metric_sink *sink)
{
    char word[WORD_BYTES], values[INFOS][VALID_BYTES];
    const char *labels[2 * INFOS + 3] = {"power_supply", supply};
    int count = 2;
    for (int i = 0; i < INFOS; i++) {
        int err =
            sysfs_word(word, sizeof word, "%s/class/power_supply/%s/%s", state->sysfs, supply, info_files[i]);
        if (err < 0 && !is_ignored(err))
            return err;
        if (err < 0 || !*word)
            continue;
        put_valid(word, values[i]);
        labels[count++] = info_files[i];
        labels[count++] = values[i];
    }
    labels[count] = NULL;
    sink->sample(sink, "node_power_supply_info", METRIC_GAUGE,
                 "info of /sys/class/power_supply/<power_supply>.", labels, 1);
    return 0;
}

static int update_supply(const struct power_state *state, const char *supply, struct metric_sink *sink)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64], help[128];
        int64_t value;
        int err = sysfs_i64(&value, "%s/class/power_supply/%s/%s", state->sysfs, supply, rows[i].file);
        if (err < 0 && !is_ignored(err))
            return err;
        if (err < 0)
            continue;
        snprintf(name, sizeof name, "node_power_supply_%s", rows[i].name);
        snprintf(help, sizeof help, "%s value of /sys/class/power_supply/<power_supply>.", rows[i].name);
        COLLECTOR_SAMPLE(sink, name, METRIC_GAUGE, help, (double)value / rows[i].divisor, "power_supply",
                         supply);
    }
    return emit_info(state, supply, sink);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct power_state *state = ctx;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/power_supply", state->sysfs);
    for (size_t i = 0; i < names.count && err == 0; i++)
        if (pattern_filter_passes(&state->supplies, bytes_of_string(names.items[i])))
            err = update_supply(state, names.items[i], sink);
    sysfs_names_fini(&names);
    return err == -ENOENT ? -ENODATA : err;
}

static const char *const flags[] = {"powersupply.ignored-supplies=~", NULL};

const struct collector collector_powersupplyclass = {.name = "powersupplyclass",
                                                     .enabled_by_default = true,
                                                     .start = start,
                                                     .update = update,
                                                     .stop = stop,
                                                     .announced = true,
                                                     .flags = flags};
