/* hwmon.c - sensors: /sys/class/hwmon/hwmonN, and its folder device where older drivers keep their files.
 *
 * A file is TYPE N _ PROPERTY (temp1_input, in0_max, pwm1): Documentation/hwmon/sysfs-interface.rst. Values
 * are thousandths (volt, degree, ampere), millionths (watt, joule) or plain (rpm).
 */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum {
    NAME_BYTES = 128,
    VALUE_BYTES = 129,
    MAX_VALUES = 4096,
    MAX_CHIPS = 256,
    LABEL_BYTES = 3 * VALUE_BYTES
};

struct value { /* a file */
    char type[32], sensor[48], property[64], text[VALUE_BYTES];
};

struct chip {
    char folder[NAME_BYTES], base[NAME_BYTES], name_file[NAME_BYTES];
};

struct hwmon_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter chips, sensors;
    struct value *values; /* owned; of the chip being looked at, in the order of their sensors */
    size_t count;
    struct chip *found; /* owned */
    size_t found_count;
};

static void stop(void *ctx)
{
    struct hwmon_state *state = ctx;
    pattern_filter_fini(&state->chips);
    pattern_filter_fini(&state->sensors);
    free(state->values);
    free(state->found);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct hwmon_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    int err = pattern_filter_init(&state->chips, config, "hwmon.chip-include", "hwmon.chip-exclude", "");
    if (err == 0)
        err =
            pattern_filter_init(&state->sensors, config, "hwmon.sensor-include", "hwmon.sensor-exclude", "");
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* ---- names ---- */

/* Lower case; what a metric's name cannot hold is '_'; none of those at either end. */
static void clean(const char *raw, char storage[NAME_BYTES])
{
    size_t len = 0;
    for (; *raw && len < NAME_BYTES - 1; raw++) {
        char c = (char)tolower((unsigned char)*raw);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_';
        if (len > 0 || (fine && c != '_'))
            storage[len++] = fine ? c : '_';
    }
    while (len > 0 && storage[len - 1] == '_')
        len--;
    storage[len] = '\0';
}

/* From where its device stands, else from its name, else from its folder. */
static void name_chip(const struct hwmon_state *state, const char *folder, char base[NAME_BYTES])
{
    char path[PATH_MAX], real[PATH_MAX], device[NAME_BYTES], bus[NAME_BYTES] = "", word[NAME_BYTES];
    snprintf(path, sizeof path, "%s/class/hwmon/%s/device", state->sysfs, folder);
    if (realpath(path, real)) {
        clean(basename(real), device);
        char *slash = strrchr(real, '/');
        if (slash && slash != real) {
            *slash = '\0';
            clean(basename(real), bus);
        }
        snprintf(base, NAME_BYTES, "%.60s%s%.60s", bus, *bus ? "_" : "", device);
        if (*device)
            return;
    }
    base[0] = '\0';
    if (sysfs_word(word, sizeof word, "%s/class/hwmon/%s/name", state->sysfs, folder) == 0)
        clean(word, base);
    snprintf(path, sizeof path, "%s/class/hwmon/%s", state->sysfs, folder);
    if (!*base && realpath(path, real))
        clean(basename(real), base);
}

/* Chips of the same base name are told apart by their name, or their folder. */
static void full_name(const struct hwmon_state *state, const struct chip *chip, char name[2 * NAME_BYTES])
{
    int same = 0, same_name = 0;
    char suffix[NAME_BYTES];
    for (size_t i = 0; i < state->found_count; i++)
        if (strcmp(state->found[i].base, chip->base) == 0) {
            same++;
            same_name += strcmp(state->found[i].name_file, chip->name_file) == 0;
        }
    clean(chip->name_file, suffix);
    if (!*suffix || same_name > 1)
        clean(chip->folder, suffix);
    snprintf(name, 2 * NAME_BYTES, "%s%s%s", chip->base, same > 1 ? "_" : "", same > 1 ? suffix : "");
}

/* ---- the files ---- */

static bool is_sensor_type(const char *type)
{
    static const char *const types[] = {
        "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
        "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* "temp1_crit_alarm" is temp, 1, crit_alarm; false when it is no sensor's file. */
static bool take_name(const char *file, struct value *value)
{
    size_t type = strcspn(file, "0123456789");
    size_t digits = strspn(file + type, "0123456789");
    const char *rest = file + type + digits;
    if (type == 0 || type >= sizeof value->type || (*rest && *rest != '_') || digits > 9)
        return false;
    snprintf(value->type, sizeof value->type, "%.*s", (int)type, file);
    snprintf(value->sensor, sizeof value->sensor, "%s%d", value->type, digits ? atoi(file + type) : 0);
    snprintf(value->property, sizeof value->property, "%s", *rest ? rest + 1 : "");
    return is_sensor_type(value->type);
}

static struct value *find_value(const struct hwmon_state *state, const char *sensor, const char *property)
{
    for (size_t i = 0; i < state->count; i++)
        if (strcmp(state->values[i].sensor, sensor) == 0 && strcmp(state->values[i].property, property) == 0)
            return &state->values[i];
    return NULL;
}

static int add_value(struct hwmon_state *state, const struct value *value)
{
    struct value *same = find_value(state, value->sensor, value->property);
    if (same) {
        *same = *value;
        return 0;
    }
    if (state->count == MAX_VALUES)
        return -E2BIG;
    if (state->count % 32 == 0) {
        struct value *values = realloc(state->values, (state->count + 32) * sizeof *values);
        if (!values)
            return -ENOMEM;
        state->values = values;
    }
    state->values[state->count++] = *value;
    return 0;
}

static int read_folder(struct hwmon_state *state, const char *folder, const char *below)
{
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/hwmon/%s%s", state->sysfs, folder, below);
    for (size_t i = 0; i < names.count && err == 0; i++) {
        struct value value;
        if (take_name(names.items[i], &value) &&
            sysfs_word(value.text, sizeof value.text, "%s/class/hwmon/%s%s/%s", state->sysfs, folder, below,
                       names.items[i]) == 0)
            err = add_value(state, &value);
    }
    sysfs_names_fini(&names);
    return err;
}

/* ---- samples ---- */

static const struct {
    const char *type;
    enum metric_type kind;
    double scale;
    const char *suffix, *help;
} units[] = {
    {"in", METRIC_GAUGE, 1e-3, "_volts", "Hardware monitor for voltage (%s)"},
    {"cpu", METRIC_GAUGE, 1e-3, "_volts", "Hardware monitor for voltage (%s)"},
    {"temp", METRIC_GAUGE, 1e-3, "_celsius", "Hardware monitor for temperature (%s)"},
    {"curr", METRIC_GAUGE, 1e-3, "_amps", "Hardware monitor for current (%s)"},
    {"energy", METRIC_COUNTER, 1e6, "_joule_total", "Hardware monitor for joules used so far (%s)"},
    {"power", METRIC_GAUGE, 1e6, "_watt", "Hardware monitor for power usage in watts (%s)"},
    {"humidity", METRIC_GAUGE, 1e6, "",
     "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) "
     "(%s)"},
};

static void emit(struct metric_sink *sink, const char *chip, const char *sensor, const char *name,
                 enum metric_type kind, const char *help, double value)
{
    COLLECTOR_SAMPLE(sink, name, kind, help, value, "chip", chip, "sensor", sensor);
}

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* Those whose name does not follow from their type alone. False: it does. */
static bool emit_special(const struct hwmon_state *state, struct metric_sink *sink, const char *chip,
                         const struct value *v, const char *name, double value)
{
    static const char *const intervals[] = {"average_interval", "average_interval_min",
                                            "average_interval_max"};
    static const char *const speeds[] = {"input", "min", "max", "target"};
    char full[4 * NAME_BYTES], help[4 * NAME_BYTES], label[NAME_BYTES];
    bool power = strcmp(v->type, "power") == 0;
    if (strcmp(v->property, "fault") == 0 || strcmp(v->property, "alarm") == 0) {
        snprintf(help, sizeof help, "Hardware sensor %s status (%s)", v->property, v->type);
        emit(sink, chip, v->sensor, name, METRIC_GAUGE, help, value);
    } else if (strcmp(v->property, "beep") == 0) {
        snprintf(full, sizeof full, "%s_enabled", name);
        emit(sink, chip, v->sensor, full, METRIC_GAUGE, "Hardware monitor sensor has beeping enabled", value);
    } else if (power && strcmp(v->property, "accuracy") == 0) {
        emit(sink, chip, v->sensor, name, METRIC_GAUGE, "Hardware monitor power meter accuracy, as a ratio",
             value / 1e6);
    } else if (power && is_one_of(v->property, intervals, 3)) {
        snprintf(full, sizeof full, "%s_seconds", name);
        snprintf(help, sizeof help, "Hardware monitor power usage update interval (%s)", v->property);
        emit(sink, chip, v->sensor, full, METRIC_GAUGE, help, value * 0.001);
    } else if (strcmp(v->type, "fan") == 0 && is_one_of(v->property, speeds, 4)) {
        snprintf(full, sizeof full, "%s_rpm", name);
        snprintf(help, sizeof help, "Hardware monitor for fan revolutions per minute (%s)", v->property);
        emit(sink, chip, v->sensor, full, METRIC_GAUGE, help, value);
    } else if (strcmp(v->type, "freq") == 0 && strcmp(v->property, "input") == 0) {
        const struct value *labelled = find_value(state, v->sensor, "label");
        snprintf(full, sizeof full, "%s_freq_mhz", name);
        clean(labelled ? labelled->text : "", label);
        if (labelled)
            emit(sink, chip, label, full, METRIC_GAUGE, "Hardware monitor for GPU frequency in MHz",
                 value / 1e6);
    } else {
        return false;
    }
    return true;
}

static void emit_by_unit(struct metric_sink *sink, const char *chip, const struct value *v, const char *name,
                         double value)
{
    char full[4 * NAME_BYTES], help[4 * NAME_BYTES];
    bool temp = strcmp(v->type, "temp") == 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(v->type, units[i].type) != 0 || (temp && strcmp(v->property, "type") == 0))
            continue;
        const char *element = temp && !*v->property ? "input" : v->property;
        snprintf(full, sizeof full, "%s%s", name, units[i].suffix);
        int before = (int)(strstr(units[i].help, "%s") - units[i].help);
        snprintf(help, sizeof help, "%.*s%s%s", before, units[i].help, element, units[i].help + before + 2);
        emit(sink, chip, v->sensor, full, units[i].kind, help,
             units[i].scale < 1 ? value * units[i].scale : value / units[i].scale);
        return;
    }
    snprintf(help, sizeof help, "Hardware monitor %s element %s", v->type, v->property);
    emit(sink, chip, v->sensor, name, METRIC_GAUGE, help, value);
}

/* True for the types that have one metric a sensor. */
static bool emit_whole(struct metric_sink *sink, const char *chip, const struct value *v)
{
    static const struct {
        const char *type, *name, *help;
        double scale;
    } whole[] = {
        {"vrm", "node_hwmon_voltage_regulator_version", "Hardware voltage regulator", 1},
        {"update_interval", "node_hwmon_update_interval_seconds", "Hardware monitor update interval", 0.001},
    };
    double value;
    if (strcmp(v->type, "beep_enable") == 0) {
        if (!*v->property)
            emit(sink, chip, v->sensor, "node_hwmon_beep_enabled", METRIC_GAUGE, "Hardware beep enabled",
                 strcmp(v->text, "1") == 0);
        return true;
    }
    for (int i = 0; i < 2; i++) {
        if (strcmp(v->type, whole[i].type) != 0)
            continue;
        if (!*v->property && text_double(bytes_of_string(v->text), &value) == 0)
            emit(sink, chip, v->sensor, whole[i].name, METRIC_GAUGE, whole[i].help, value * whole[i].scale);
        return true;
    }
    return false;
}

static void emit_label(struct metric_sink *sink, const char *chip, const struct value *v)
{
    char label[LABEL_BYTES];
    struct buf valid;
    buf_init(&valid, LABEL_BYTES);
    if (utf8_put_valid(bytes_of_string(v->text), &valid) == 0)
        COLLECTOR_SAMPLE(sink, "node_hwmon_sensor_label", METRIC_GAUGE, "Label for given chip and sensor", 1,
                         "chip", chip, "sensor", v->sensor, "label",
                         text_copy(buf_bytes(&valid), label, sizeof label));
    buf_fini(&valid);
}

static void emit_value(const struct hwmon_state *state, struct metric_sink *sink, const char *chip,
                       const struct value *v)
{
    char name[2 * NAME_BYTES], property[NAME_BYTES];
    double value;
    if (strcmp(v->property, "label") == 0)
        emit_label(sink, chip, v);
    if (emit_whole(sink, chip, v) || strcmp(v->property, "label") == 0)
        return;
    if (text_double(bytes_of_string(v->text), &value) < 0)
        return;
    clean(v->property, property);
    if (strcmp(v->property, "input") == 0 && !find_value(state, v->sensor, ""))
        property[0] = '\0';
    snprintf(name, sizeof name, "node_hwmon_%s%s%s", v->type, *property ? "_" : "", property);
    if (!emit_special(state, sink, chip, v, name, value))
        emit_by_unit(sink, chip, v, name, value);
}

/* ---- the collector ---- */

static int update_chip(struct hwmon_state *state, const struct chip *chip, const char *name,
                       struct metric_sink *sink)
{
    char key[2 * NAME_BYTES + 64], chip_name[NAME_BYTES];
    state->count = 0;
    int err = read_folder(state, chip->folder, "");
    if (err == 0 && sysfs_exists("%s/class/hwmon/%s/device", state->sysfs, chip->folder))
        err = read_folder(state, chip->folder, "/device");
    if (err < 0)
        return err;
    clean(chip->name_file, chip_name);
    if (*chip_name)
        COLLECTOR_SAMPLE(sink, "node_hwmon_chip_names", METRIC_GAUGE,
                         "Annotation metric for human-readable chip names", 1, "chip", name, "chip_name",
                         chip_name);
    for (size_t i = 0; i < state->count; i++) {
        snprintf(key, sizeof key, "%s;%s", name, state->values[i].sensor);
        if (pattern_filter_passes(&state->sensors, bytes_of_string(key)))
            emit_value(state, sink, name, &state->values[i]);
    }
    return 0;
}

static int find_chips(struct hwmon_state *state)
{
    struct sysfs_names names;
    state->found_count = 0;
    int err = sysfs_list(&names, "%s/class/hwmon", state->sysfs);
    if (err == 0 && names.count > 0) {
        struct chip *found = realloc(state->found, names.count * sizeof *found);
        err = found ? 0 : -ENOMEM;
        state->found = found ? found : state->found;
    }
    for (size_t i = 0; i < names.count && err == 0; i++) {
        struct chip *chip = &state->found[state->found_count];
        if (!sysfs_exists("%s/class/hwmon/%s/.", state->sysfs, names.items[i]))
            continue;
        snprintf(chip->folder, sizeof chip->folder, "%s", names.items[i]);
        name_chip(state, chip->folder, chip->base);
        if (sysfs_word(chip->name_file, NAME_BYTES, "%s/class/hwmon/%s/name", state->sysfs, chip->folder) < 0)
            chip->name_file[0] = '\0';
        state->found_count += *chip->base != '\0';
    }
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct hwmon_state *state = ctx;
    char name[2 * NAME_BYTES];
    int err = find_chips(state), last = 0;
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    for (size_t i = 0; i < state->found_count; i++) {
        full_name(state, &state->found[i], name);
        if (!pattern_filter_passes(&state->chips, bytes_of_string(name)))
            continue;
        err = update_chip(state, &state->found[i], name, sink);
        last = err < 0 ? err : last;
    }
    return last;
}

static const char *const flags[] = {"hwmon.chip-include=~", "hwmon.chip-exclude=~", "hwmon.sensor-include=~",
                                    "hwmon.sensor-exclude=~", NULL};

const struct collector collector_hwmon = {.name = "hwmon",
                                          .enabled_by_default = true,
                                          .start = start,
                                          .update = update,
                                          .stop = stop,
                                          .announced = true,
                                          .flags = flags};
