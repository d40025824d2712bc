/* systemd.c - the state of systemd and its units, asked over D-Bus (org.freedesktop.systemd1(5)). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/dbus.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { STATES = 5, WITH_SYSTEM_STATE = 212, VERSION_BYTES = 128, EXPRESSION_BYTES = 4096, ROOM = 64 };
static const char service[] = "org.freedesktop.systemd1", manager_path[] = "/org/freedesktop/systemd1";
static const char manager[] = "org.freedesktop.systemd1.Manager";
static const char *const states[STATES] = {"active", "activating", "deactivating", "inactive", "failed"};

struct unit {
    char *name, *path, *active; /* owned */
};

struct summary { /* of all units */
    char state[32];
    unsigned count;
};

struct systemd_state {
    struct pattern *include, *exclude; /* owned */
    bool is_private, with_tasks, with_restarts, with_start_times;
    struct dbus *dbus;  /* owned; during an update */
    struct unit *units; /* owned; that are shown */
    size_t unit_count;
    struct summary summary[16];
    size_t summary_count;
    struct metric_sink *sink;
};

static void stop(void *ctx)
{
    struct systemd_state *state = ctx;
    pattern_free(state->include);
    pattern_free(state->exclude);
    free(state);
}

/* An expression that must match the whole name. */
static int whole_pattern(const char *expression, struct pattern **ret_pattern)
{
    char whole[EXPRESSION_BYTES];
    int len = snprintf(whole, sizeof whole, "^(?:%s)$", expression);
    return len < 0 || (size_t)len >= sizeof whole ? -EINVAL : pattern_new(whole, ret_pattern);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct systemd_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->is_private = collector_flag_is_on(config, "systemd.private", false);
    state->with_tasks = collector_flag_is_on(config, "systemd.enable-task-metrics", false);
    state->with_restarts = collector_flag_is_on(config, "systemd.enable-restarts-metrics", false);
    state->with_start_times = collector_flag_is_on(config, "systemd.enable-start-time-metrics", false);
    int err = whole_pattern(collector_flag(config, "systemd.unit-include", ".+"), &state->include);
    if (err == 0)
        err = whole_pattern(
            collector_flag(config, "systemd.unit-exclude", ".+\\.(automount|device|mount|scope|slice)"),
            &state->exclude);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* ---- the manager ---- */

static int manager_word(const struct systemd_state *state, const char *property, char *word, size_t size)
{
    struct dbus_reader reader;
    int err = dbus_get_property(state->dbus, service, manager_path, manager, property, "s", &reader);
    if (err == 0)
        text_copy(bytes_of_string(dbus_read_string(&reader)), word, size);
    return err;
}

/* The first three digits or more in a row, with what follows a point. */
static double parse_version(const char *text)
{
    for (; *text; text++) {
        size_t digits = strspn(text, "0123456789");
        char number[VERSION_BYTES];
        if (digits >= 3) {
            size_t more = text[digits] == '.' ? strspn(text + digits + 1, "0123456789") : 0;
            snprintf(number, sizeof number, "%.*s", (int)(digits + (more ? more + 1 : 0)), text);
            return strtod(number, NULL);
        }
        text += digits ? digits - 1 : 0;
    }
    return 0;
}

static double emit_version(const struct systemd_state *state)
{
    char version[VERSION_BYTES] = "", virtualization[VERSION_BYTES] = "unknown";
    double number = manager_word(state, "Version", version, sizeof version) == 0 ? parse_version(version) : 0;
    if (number == 0)
        version[0] = '\0';
    COLLECTOR_SAMPLE(state->sink, "node_systemd_version", METRIC_GAUGE, "Detected systemd version", number,
                     "version", version);
    manager_word(state, "Virtualization", virtualization, sizeof virtualization);
    COLLECTOR_SAMPLE(state->sink, "node_systemd_virtualization_info", METRIC_GAUGE,
                     "Detected virtualization technology", 1, "virtualization_type",
                     *virtualization ? virtualization : "none");
    return number;
}

/* ---- the units ---- */

static void clear_units(struct systemd_state *state)
{
    for (size_t i = 0; i < state->unit_count; i++) {
        free(state->units[i].name);
        free(state->units[i].path);
        free(state->units[i].active);
    }
    free(state->units);
    state->units = NULL;
    state->unit_count = 0;
}

static void count_state(struct systemd_state *state, const char *active)
{
    for (size_t i = 0; i < state->summary_count; i++)
        if (strcmp(state->summary[i].state, active) == 0) {
            state->summary[i].count++;
            return;
        }
    if (state->summary_count == sizeof state->summary / sizeof *state->summary)
        return;
    struct summary *summary = &state->summary[state->summary_count++];
    *summary = (struct summary){.count = 1};
    snprintf(summary->state, sizeof summary->state, "%s", active);
}

static int add_unit(struct systemd_state *state, const char *name, const char *path, const char *active)
{
    if (state->unit_count % ROOM == 0) {
        struct unit *units = realloc(state->units, (state->unit_count + ROOM) * sizeof *units);
        if (!units)
            return -ENOMEM;
        state->units = units;
    }
    struct unit *unit = &state->units[state->unit_count++];
    *unit = (struct unit){strdup(name), strdup(path), strdup(active)};
    return unit->name && unit->path && unit->active ? 0 : -ENOMEM;
}

/* "a(ssssssouso)": name, description, load, active and sub state, followed, path, job, its type and path. */
static int list_units(struct systemd_state *state)
{
    struct dbus_reader reader;
    int err = dbus_call(state->dbus, service, manager_path, manager, "ListUnits", NULL, &reader);
    if (err < 0)
        return err;
    state->summary_count = 0;
    for (size_t i = 0; i < STATES; i++)
        count_state(state, states[i]);
    for (size_t i = 0; i < STATES; i++)
        state->summary[i].count = 0;
    for (size_t end = dbus_read_array(&reader); err == 0 && dbus_read_struct(&reader, end);) {
        const char *name = dbus_read_string(&reader);
        dbus_read_string(&reader);
        const char *load = dbus_read_string(&reader), *active = dbus_read_string(&reader);
        dbus_read_string(&reader);
        dbus_read_string(&reader);
        const char *path = dbus_read_string(&reader);
        dbus_read_u32(&reader);
        dbus_read_string(&reader);
        dbus_read_string(&reader);
        count_state(state, active);
        if (strcmp(load, "loaded") == 0 && pattern_matches(state->include, bytes_of_string(name)) &&
            !pattern_matches(state->exclude, bytes_of_string(name)))
            err = add_unit(state, name, path, active);
    }
    return err == 0 && reader.failed ? -EBADMSG : err;
}

static bool is_of(const struct unit *unit, const char *suffix)
{
    return text_ends(bytes_of_string(unit->name), suffix);
}

/* A number of a unit; kind is "Service" and the like. */
static int unit_number(const struct systemd_state *state, const struct unit *unit, const char *kind,
                       const char *property, const char *type, uint64_t *ret_value)
{
    char interface[64];
    struct dbus_reader reader;
    snprintf(interface, sizeof interface, "%s.%s", service, kind);
    int err = dbus_get_property(state->dbus, service, unit->path, interface, property, type, &reader);
    if (err == 0)
        *ret_value = *type == 'u' ? dbus_read_u32(&reader) : dbus_read_u64(&reader);
    return err;
}

/* What a unit does not tell is left out; only the connection's errors count. */
static int is_fatal(int err)
{
    return err == -EREMOTEIO || err == -EBADMSG ? 0 : err;
}

/* ret_err: how the property was asked for; 0 where it was shown. */
static int emit_number(const struct systemd_state *state, const struct unit *unit, const char *kind,
                       const char *property, const char *type, const char *name, enum metric_type metric_type,
                       const char *help, double scale)
{
    uint64_t value = 0;
    int err = unit_number(state, unit, kind, property, type, &value);
    bool is_unset = strncmp(property, "Tasks", 5) == 0 && value == UINT64_MAX;
    if (err == 0 && !is_unset)
        COLLECTOR_SAMPLE(state->sink, name, metric_type, help, (double)value / scale, "name", unit->name);
    return err;
}

static int emit_state(const struct systemd_state *state, const struct unit *unit)
{
    const char *kind = is_of(unit, ".service") ? "Service" : is_of(unit, ".mount") ? "Mount" : NULL;
    char type[64] = "", interface[64];
    struct dbus_reader reader;
    int err = 0;
    if (kind) {
        snprintf(interface, sizeof interface, "%s.%s", service, kind);
        err = dbus_get_property(state->dbus, service, unit->path, interface, "Type", "s", &reader);
        if (err == 0)
            text_copy(bytes_of_string(dbus_read_string(&reader)), type, sizeof type);
    }
    for (int i = 0; i < STATES; i++)
        COLLECTOR_SAMPLE(state->sink, "node_systemd_unit_state", METRIC_GAUGE, "Systemd unit",
                         strcmp(states[i], unit->active) == 0, "name", unit->name, "state", states[i], "type",
                         type);
    return is_fatal(err);
}

static int emit_socket(const struct systemd_state *state, const struct unit *unit)
{
    int err =
        emit_number(state, unit, "Socket", "NAccepted", "u", "node_systemd_socket_accepted_connections_total",
                    METRIC_COUNTER, "Total number of accepted socket connections", 1);
    if (err == 0)
        err =
            emit_number(state, unit, "Socket", "NConnections", "u", "node_systemd_socket_current_connections",
                        METRIC_GAUGE, "Current number of socket connections", 1);
    if (err == 0)
        err = emit_number(state, unit, "Socket", "NRefused", "u",
                          "node_systemd_socket_refused_connections_total", METRIC_GAUGE,
                          "Total number of refused socket connections", 1);
    return is_fatal(err);
}

static int emit_service(const struct systemd_state *state, const struct unit *unit)
{
    int err = 0;
    if (state->with_restarts)
        err = is_fatal(emit_number(state, unit, "Service", "NRestarts", "u",
                                   "node_systemd_service_restart_total", METRIC_COUNTER,
                                   "Service unit count of Restart triggers", 1));
    if (err == 0 && state->with_tasks)
        err = is_fatal(emit_number(state, unit, "Service", "TasksCurrent", "t",
                                   "node_systemd_unit_tasks_current", METRIC_GAUGE,
                                   "Current number of tasks per Systemd unit", 1));
    if (err == 0 && state->with_tasks)
        err = is_fatal(emit_number(state, unit, "Service", "TasksMax", "t", "node_systemd_unit_tasks_max",
                                   METRIC_GAUGE, "Maximum number of tasks per Systemd unit", 1));
    return err;
}

static int emit_start_time(const struct systemd_state *state, const struct unit *unit)
{
    static const char name[] = "node_systemd_unit_start_time_seconds",
                      help[] = "Start time of the unit since unix epoch in seconds.";
    if (strcmp(unit->active, "active") == 0)
        return is_fatal(
            emit_number(state, unit, "Unit", "ActiveEnterTimestamp", "t", name, METRIC_GAUGE, help, 1e6));
    COLLECTOR_SAMPLE(state->sink, name, METRIC_GAUGE, help, 0, "name", unit->name);
    return 0;
}

static int emit_unit(const struct systemd_state *state, const struct unit *unit, bool with_timers)
{
    int err = emit_state(state, unit);
    if (err == 0 && state->with_start_times)
        err = emit_start_time(state, unit);
    if (err == 0 && is_of(unit, ".service"))
        err = emit_service(state, unit);
    if (err == 0 && is_of(unit, ".socket"))
        err = emit_socket(state, unit);
    if (err == 0 && with_timers && is_of(unit, ".timer"))
        err = is_fatal(emit_number(state, unit, "Timer", "LastTriggerUSec", "t",
                                   "node_systemd_timer_last_trigger_seconds", METRIC_GAUGE,
                                   "Seconds since epoch of last trigger.", 1e6));
    return err;
}

/* ---- all ---- */

static int emit_system_state(const struct systemd_state *state)
{
    char word[64];
    int err = manager_word(state, "SystemState", word, sizeof word);
    if (err == 0)
        collector_emit(state->sink, "node_systemd_system_running", METRIC_GAUGE,
                       "Whether the system is operational (see 'systemctl is-system-running')",
                       strcmp(word, "running") == 0);
    return err;
}

static int ask(struct systemd_state *state)
{
    bool is_new = emit_version(state) >= WITH_SYSTEM_STATE;
    int err = list_units(state);
    for (size_t i = 0; i < state->summary_count && err == 0; i++)
        COLLECTOR_SAMPLE(state->sink, "node_systemd_units", METRIC_GAUGE, "Summary of systemd unit states",
                         state->summary[i].count, "state", state->summary[i].state);
    for (size_t i = 0; i < state->unit_count && err == 0; i++)
        err = emit_unit(state, &state->units[i], is_new);
    return err == 0 && is_new ? emit_system_state(state) : err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    static const char private_socket[] = "/run/systemd/private";
    struct systemd_state *state = ctx;
    int err = state->is_private ? -ENOENT : dbus_open_system(&state->dbus);
    if (err < 0 && (state->is_private || geteuid() == 0))
        err = dbus_open_private(private_socket, &state->dbus);
    state->sink = sink;
    if (err == 0)
        err = ask(state);
    clear_units(state);
    dbus_free(state->dbus);
    state->dbus = NULL;
    return err;
}

static const char *const flags[] = {"systemd.unit-include=~",
                                    "systemd.unit-exclude=~",
                                    "systemd.private",
                                    "systemd.enable-task-metrics",
                                    "systemd.enable-restarts-metrics",
                                    "systemd.enable-start-time-metrics",
                                    NULL};

const struct collector collector_systemd = {.name = "systemd",
                                            .start = start,
                                            .update = update,
                                            .stop = stop,
                                            .blocks = true,
                                            .asks = true,
                                            .flags = flags};
