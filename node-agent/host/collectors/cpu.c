/* cpu.c - the cpuN lines of /proc/stat, and cpu*'s throttle counts and online state below
 * /sys/devices/system/cpu.
 *
 * /proc/stat: "cpu0 USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL GUEST GUEST_NICE" in hundredths of a
 * second. The kernel lets some of them go back a little: the last value is kept then, unless idle goes back
 * by three seconds (the CPU was unplugged and plugged in again).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/cpu_info.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/stat_file.h"
#include "node-agent/host/text.h"

enum { TICKS_PER_SECOND = 100, IDLE = 3, GUEST = 8, MODES = 10, MAX_CPUS = 8192 };
static const double jump_back_seconds = 3;
static const char *const mode_names[MODES] = {"user", "nice",    "system", "idle", "iowait",
                                              "irq",  "softirq", "steal",  "user", "nice"};

struct cpu {
    unsigned number;
    bool seen; /* in this update */
    double seconds[MODES];
};

struct site { /* a folder cpuN of sysfs, in alphabetical order */
    unsigned number;
    uint64_t package, core;
    bool has_topology, counts_core, counts_package; /* the first of its core, its package */
};

struct cpu_state {
    const char *sysfs; /* borrowed from the config */
    struct stat_file *stat;
    unsigned reader;
    struct cpu *cpus; /* owned; in the order of /proc/stat */
    size_t cpu_count, cpu_room;
    struct site *sites; /* owned; found again whenever the number of CPUs changes */
    size_t site_count, scanned_for;
    bool has_online;
    unsigned *isolated;    /* owned */
    struct cpu_info *info; /* owned; NULL: off */
    bool guest;
    size_t isolated_count;
};

/* ---- /proc/stat ---- */

static struct cpu *cpu_of(struct cpu_state *state, unsigned number)
{
    for (size_t i = 0; i < state->cpu_count; i++)
        if (state->cpus[i].number == number)
            return &state->cpus[i];
    if (state->cpu_count == state->cpu_room) {
        size_t room = state->cpu_room ? 2 * state->cpu_room : 8;
        struct cpu *cpus = room <= MAX_CPUS ? realloc(state->cpus, room * sizeof *cpus) : NULL;
        if (!cpus)
            return NULL;
        state->cpus = cpus;
        state->cpu_room = room;
    }
    state->cpus[state->cpu_count] = (struct cpu){.number = number};
    return &state->cpus[state->cpu_count++];
}

static void keep_forward(struct cpu *cpu, const double now[MODES])
{
    if (cpu->seconds[IDLE] - now[IDLE] >= jump_back_seconds)
        memset(cpu->seconds, 0, sizeof cpu->seconds);
    for (int i = 0; i < MODES; i++)
        if (now[i] >= cpu->seconds[i])
            cpu->seconds[i] = now[i];
    cpu->seen = true;
}

/* A line that begins with "cpu"; that of all CPUs together has no number and is passed over. */
static int parse_cpu(struct cpu_state *state, struct bytes line)
{
    struct bytes key, field;
    uint64_t number, ticks;
    double now[MODES] = {0};
    text_field(&line, &key);
    if (key.len == 3)
        return 0;
    if (text_u64(bytes_skip(key, 3), &number) < 0 || number > UINT32_MAX)
        return -EINVAL;
    for (int i = 0; i < MODES && text_field(&line, &field); i++) {
        if (text_u64(field, &ticks) < 0)
            return -EINVAL;
        now[i] = (double)ticks / TICKS_PER_SECOND;
    }
    struct cpu *cpu = cpu_of(state, (unsigned)number);
    if (!cpu)
        return -ENOMEM;
    keep_forward(cpu, now);
    return 0;
}

static void forget_offline(struct cpu_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->cpu_count; i++)
        if (state->cpus[i].seen)
            state->cpus[kept++] = state->cpus[i];
    state->cpu_count = kept;
}

static int read_stat(struct cpu_state *state)
{
    struct bytes text, line;
    int err = stat_file_read(state->stat, state->reader, &text);
    for (size_t i = 0; i < state->cpu_count; i++)
        state->cpus[i].seen = false;
    while (err == 0 && text_line(&text, &line))
        if (text_starts(line, "cpu"))
            err = parse_cpu(state, line);
    forget_offline(state);
    return err;
}

static void emit_seconds(const struct cpu_state *state, struct metric_sink *sink)
{
    for (size_t i = 0; i < state->cpu_count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%u", state->cpus[i].number);
        for (int mode = 0; mode < MODES; mode++) {
            const char *const labels[] = {"cpu", number, "mode", mode_names[mode], NULL};
            double seconds = state->cpus[i].seconds[mode];
            if (mode < GUEST)
                sink->sample(sink, "node_cpu_seconds_total", METRIC_COUNTER,
                             "Seconds the CPUs spent in each mode.", labels, seconds);
            else if (state->guest)
                sink->sample(sink, "node_cpu_guest_seconds_total", METRIC_COUNTER,
                             "Seconds the CPUs spent in guests (VMs) for each mode.", labels, seconds);
        }
    }
}

/* ---- sysfs ---- */

static void site_path(const struct cpu_state *state, unsigned number, const char *file, char path[512])
{
    snprintf(path, 512, "%s/devices/system/cpu/cpu%u/%s", state->sysfs, number, file);
}

static int read_site(const struct cpu_state *state, unsigned number, const char *file, uint64_t *ret_value)
{
    char path[512];
    site_path(state, number, file, path);
    return procfile_read_u64(path, ret_value);
}

/* As text, "10" stands before "2": the first of a core is then the same one as node_exporter's. */
static int compare_sites(const void *a, const void *b)
{
    char left[16], right[16];
    snprintf(left, sizeof left, "%u", ((const struct site *)a)->number);
    snprintf(right, sizeof right, "%u", ((const struct site *)b)->number);
    return strcmp(left, right);
}

/* The next folder cpuN. */
static bool next_site(DIR *folder, unsigned *ret_number)
{
    for (struct dirent *e; (e = readdir(folder));) {
        struct bytes name = bytes_of_string(e->d_name);
        uint64_t number;
        if (text_starts(name, "cpu") && text_u64(bytes_skip(name, 3), &number) == 0 && number < MAX_CPUS) {
            *ret_number = (unsigned)number;
            return true;
        }
    }
    return false;
}

static int list_sites(struct cpu_state *state)
{
    char path[512];
    snprintf(path, sizeof path, "%s/devices/system/cpu", state->sysfs);
    DIR *folder = opendir(path);
    state->site_count = 0;
    if (!folder)
        return 0;
    int err = 0;
    for (unsigned number; err == 0 && state->site_count < MAX_CPUS && next_site(folder, &number);) {
        struct site *sites = realloc(state->sites, (state->site_count + 1) * sizeof *sites);
        if (sites) {
            state->sites = sites;
            sites[state->site_count++] = (struct site){.number = number};
        } else {
            err = -ENOMEM;
        }
    }
    closedir(folder);
    qsort(state->sites, state->site_count, sizeof *state->sites, compare_sites);
    return err;
}

/* Which of the sites counts for its core and which for its package: the first that has the file. */
static void choose_counting(struct cpu_state *state, struct site *site)
{
    uint64_t count;
    bool core = false, package = false;
    for (const struct site *s = state->sites; s < site; s++) {
        package = package || (s->package == site->package && s->counts_package);
        core = core || (s->package == site->package && s->core == site->core && s->counts_core);
    }
    site->counts_core =
        !core && read_site(state, site->number, "thermal_throttle/core_throttle_count", &count) == 0;
    site->counts_package =
        !package && read_site(state, site->number, "thermal_throttle/package_throttle_count", &count) == 0;
}

static int scan_sites(struct cpu_state *state)
{
    char path[512];
    int err = list_sites(state);
    if (err < 0)
        return err;
    for (size_t i = 0; i < state->site_count; i++) {
        struct site *site = &state->sites[i];
        site->has_topology =
            read_site(state, site->number, "topology/physical_package_id", &site->package) == 0 &&
            read_site(state, site->number, "topology/core_id", &site->core) == 0;
        if (site->has_topology)
            choose_counting(state, site);
    }
    site_path(state, state->site_count ? state->sites[0].number : 0, "online", path);
    state->has_online = state->site_count && access(path, R_OK) == 0;
    state->scanned_for = state->cpu_count;
    return 0;
}

static void emit_throttles(const struct cpu_state *state, struct metric_sink *sink)
{
    for (size_t i = 0; i < state->site_count; i++) {
        const struct site *site = &state->sites[i];
        char package[24], core[24];
        uint64_t count;
        snprintf(package, sizeof package, "%llu", (unsigned long long)site->package);
        snprintf(core, sizeof core, "%llu", (unsigned long long)site->core);
        const char *const labels[] = {"package", package, "core", core, NULL};
        const char *const package_labels[] = {"package", package, NULL};
        if (site->counts_core &&
            read_site(state, site->number, "thermal_throttle/core_throttle_count", &count) == 0)
            sink->sample(sink, "node_cpu_core_throttles_total", METRIC_COUNTER,
                         "Number of times this CPU core has been throttled.", labels, (double)count);
        if (site->counts_package &&
            read_site(state, site->number, "thermal_throttle/package_throttle_count", &count) == 0)
            sink->sample(sink, "node_cpu_package_throttles_total", METRIC_COUNTER,
                         "Number of times this CPU package has been throttled.", package_labels,
                         (double)count);
    }
}

static void emit_numbered(struct metric_sink *sink, const char *name, const char *help, unsigned number,
                          double value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    const char *const labels[] = {"cpu", text, NULL};
    sink->sample(sink, name, METRIC_GAUGE, help, labels, value);
}

static void emit_online(const struct cpu_state *state, struct metric_sink *sink)
{
    for (size_t i = 0; state->has_online && i < state->site_count; i++) {
        uint64_t online = 0;
        if (read_site(state, state->sites[i].number, "online", &online) < 0)
            online = 0;
        emit_numbered(sink, "node_cpu_online", "CPUs that are online and being scheduled.",
                      state->sites[i].number, online == 1 ? 1 : 0);
    }
}

static void emit_isolated(const struct cpu_state *state, struct metric_sink *sink)
{
    for (size_t i = 0; i < state->isolated_count; i++)
        emit_numbered(sink, "node_cpu_isolated",
                      "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
                      state->isolated[i], 1);
}

/* "0-3,7" as numbers. */
static int parse_isolated(struct cpu_state *state, const char *text)
{
    while (*text) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (end == text || (*end && *end != ',') || last >= MAX_CPUS || first > last)
            return -EINVAL;
        unsigned *more = realloc(state->isolated, (state->isolated_count + last - first + 1) * sizeof *more);
        if (!more)
            return -ENOMEM;
        state->isolated = more;
        for (unsigned long n = first; n <= last; n++)
            more[state->isolated_count++] = (unsigned)n;
        text = *end ? end + 1 : end;
    }
    return 0;
}

/* ---- the collector ---- */

static void stop(void *ctx)
{
    struct cpu_state *state = ctx;
    if (!state)
        return;
    stat_file_leave(state->stat);
    free(state->cpus);
    free(state->sites);
    free(state->isolated);
    cpu_info_free(state->info);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    char path[512], isolated[1024];
    struct cpu_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->sysfs = config->host_metrics.path_sysfs;
    state->stat = stat_file_join(config->host_metrics.path_procfs, &state->reader);
    int err = state->stat ? 0 : -ENOMEM;
    snprintf(path, sizeof path, "%s/devices/system/cpu/isolated", state->sysfs);
    if (err == 0 && procfile_read_word(path, isolated, sizeof isolated) == 0)
        err = parse_isolated(state, isolated);
    state->guest = collector_flag_is_on(config, "cpu.guest", true);
    if (err == 0)
        err = cpu_info_new(config, &state->info);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct cpu_state *state = ctx;
    int err = state->info ? cpu_info_update(state->info, sink) : 0;
    if (err == 0)
        err = read_stat(state);
    if (err == 0 && state->scanned_for != state->cpu_count)
        err = scan_sites(state);
    if (err < 0)
        return err;
    emit_seconds(state, sink);
    emit_isolated(state, sink);
    emit_throttles(state, sink);
    emit_online(state, sink);
    return 0;
}

static const char *const flags[] = {"cpu.guest", "cpu.info", "cpu.info.flags-include=~",
                                    "cpu.info.bugs-include=~", NULL};

const struct collector collector_cpu = {.name = "cpu",
                                        .enabled_by_default = true,
                                        .start = start,
                                        .update = update,
                                        .stop = stop,
                                        .blocks = false,
                                        .flags = flags};
