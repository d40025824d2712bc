/* cpufreq.c - the frequencies and governors of the CPUs: /sys/devices/system/cpu/cpuN/cpufreq. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

static const struct {
    const char *file, *name, *help;
} rows[] = {
    {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."},
    {"cpuinfo_avg_freq", "node_cpu_frequency_avg_hertz", "Average CPU thread frequency in hertz."},
    {"cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."},
    {"cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."},
    {"scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."},
    {"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz",
     "Minimum scaled CPU thread frequency in hertz."},
    {"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz",
     "Maximum scaled CPU thread frequency in hertz."},
};

/* Whether the CPU is in a list such as "2,4-6". */
static bool is_listed(const char *list, unsigned long cpu)
{
    while (*list) {
        char *end;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (end == list)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (cpu >= first && cpu <= last)
            return true;
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

static void emit_governors(struct metric_sink *sink, const char *cpu, const char *available,
                           const char *governor)
{
    struct bytes rest = bytes_of_string(available), field;
    char name[64];
    while (*governor && text_field(&rest, &field))
        COLLECTOR_SAMPLE(sink, "node_cpu_scaling_governor", METRIC_GAUGE,
                         "Current enabled CPU frequency governor.", text_is(field, governor), "cpu", cpu,
                         "governor", text_copy(field, name, sizeof name));
}

static int update_cpu(const char *folder, const char *cpu, struct metric_sink *sink)
{
    char available[512], governor[64];
    uint64_t khz;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int err = sysfs_u64(&khz, "%s/cpu%s/cpufreq/%s", folder, cpu, rows[i].file);
        if (err == 0)
            COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_GAUGE, rows[i].help, (double)khz * 1000.0, "cpu",
                             cpu);
        else if (err != -ENOENT && err != -EACCES && err != -EPERM)
            return err;
    }
    int err =
        sysfs_word(available, sizeof available, "%s/cpu%s/cpufreq/scaling_available_governors", folder, cpu);
    if (err == 0)
        err = sysfs_word(governor, sizeof governor, "%s/cpu%s/cpufreq/scaling_governor", folder, cpu);
    if (err == 0)
        emit_governors(sink, cpu, available, governor);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    char folder[512], offline[1024];
    struct sysfs_names names;
    snprintf(folder, sizeof folder, "%s/devices/system/cpu", config->host_metrics.path_sysfs);
    int err = sysfs_word(offline, sizeof offline, "%s/offline", folder);
    if (err == 0)
        err = sysfs_list(&names, "%s", folder);
    if (err < 0)
        return err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        const char *cpu = names.items[i] + 3;
        if (strncmp(names.items[i], "cpu", 3) == 0 && isdigit((unsigned char)*cpu) &&
            !is_listed(offline, strtoul(cpu, NULL, 10)) && sysfs_exists("%s/cpu%s/cpufreq", folder, cpu))
            err = update_cpu(folder, cpu, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_cpufreq = {.name = "cpufreq",
                                            .enabled_by_default = true,
                                            .start = collector_start_with_config,
                                            .update = update,
                                            .stop = collector_stop_nothing,
                                            .announced = true};
