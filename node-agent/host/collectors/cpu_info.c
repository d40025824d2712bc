/* cpu_info.c - /proc/cpuinfo: a block of "KEY : VALUE" lines for each CPU, with a blank line after it. */
#include "node-agent/host/collectors/cpu_info.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum key {
    PROCESSOR,
    VENDOR,
    FAMILY,
    MODEL,
    MODEL_NAME,
    STEPPING,
    MICROCODE,
    MHZ,
    CACHE,
    PACKAGE,
    CORE,
    FLAGS,
    BUGS,
    KEYS
};
static const char *const keys[KEYS] = {
    [PROCESSOR] = "processor", [VENDOR] = "vendor_id",      [FAMILY] = "cpu family",
    [MODEL] = "model",         [MODEL_NAME] = "model name", [STEPPING] = "stepping",
    [MICROCODE] = "microcode", [MHZ] = "cpu MHz",           [CACHE] = "cache size",
    [PACKAGE] = "physical id", [CORE] = "core id",          [FLAGS] = "flags",
    [BUGS] = "bugs",
};
enum { VALUE_BYTES = 128 };

struct cpu_info {
    struct procfile *file;        /* owned */
    struct pattern *flags, *bugs; /* owned; NULL: none are shown */
    bool frequencies;
};

void cpu_info_free(struct cpu_info *info)
{
    if (!info)
        return;
    procfile_free(info->file);
    pattern_free(info->flags);
    pattern_free(info->bugs);
    free(info);
}

int cpu_info_new(const struct agent_config *config, struct cpu_info **ret_info)
{
    const char *flags = collector_flag(config, "cpu.info.flags-include", "");
    const char *bugs = collector_flag(config, "cpu.info.bugs-include", "");
    *ret_info = NULL;
    if (!collector_flag_is_on(config, "cpu.info", false) && !*flags && !*bugs)
        return 0;
    struct cpu_info *info = calloc(1, sizeof *info);
    if (!info)
        return -ENOMEM;
    info->frequencies =
        collector_flag_is_on(config, "cpufreq", !collector_flag_is_on(config, "disable-defaults", false));
    info->file = procfile_new_long(config->host_metrics.path_procfs, "cpuinfo");
    int err = info->file ? 0 : -ENOMEM;
    if (err == 0 && *flags)
        err = pattern_new(flags, &info->flags);
    if (err == 0 && *bugs)
        err = pattern_new(bugs, &info->bugs);
    if (err < 0)
        cpu_info_free(info);
    else
        *ret_info = info;
    return err;
}

static void take_line(struct bytes line, struct bytes values[KEYS])
{
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (!colon)
        return;
    struct bytes key = {line.ptr, (size_t)(colon - line.ptr)}, value = bytes_skip(line, key.len + 1);
    while (key.len && (key.ptr[key.len - 1] == '\t' || key.ptr[key.len - 1] == ' '))
        key.len--;
    while (value.len && *value.ptr == ' ')
        value = bytes_skip(value, 1);
    for (int i = 0; i < KEYS; i++)
        if (text_is(key, keys[i]))
            values[i] = value;
}

static void emit_matching(struct pattern *pattern, struct bytes list, const char *name, const char *help,
                          const char *label, struct metric_sink *sink)
{
    struct bytes field;
    char value[VALUE_BYTES];
    while (pattern && text_field(&list, &field))
        if (pattern_matches(pattern, field))
            COLLECTOR_SAMPLE(sink, name, METRIC_GAUGE, help, 1, label, text_copy(field, value, sizeof value));
}

static void emit_cpu(const struct cpu_info *info, const struct bytes values[KEYS], struct metric_sink *sink)
{
    char v[KEYS][VALUE_BYTES];
    double mhz;
    for (int i = 0; i < FLAGS; i++)
        text_copy(values[i], v[i], VALUE_BYTES);
    COLLECTOR_SAMPLE(sink, "node_cpu_info", METRIC_GAUGE, "CPU information from /proc/cpuinfo.", 1, "package",
                     v[PACKAGE], "core", v[CORE], "cpu", v[PROCESSOR], "vendor", v[VENDOR], "family",
                     v[FAMILY], "model", v[MODEL], "model_name", v[MODEL_NAME], "microcode", v[MICROCODE],
                     "stepping", v[STEPPING], "cachesize", v[CACHE]);
    if (info->frequencies && text_double(values[MHZ], &mhz) == 0)
        COLLECTOR_SAMPLE(sink, "node_cpu_frequency_hertz", METRIC_GAUGE,
                         "CPU frequency in hertz from /proc/cpuinfo.", mhz * 1e6, "package", v[PACKAGE],
                         "core", v[CORE], "cpu", v[PROCESSOR]);
}

static void emit_first(const struct cpu_info *info, const struct bytes values[KEYS], struct metric_sink *sink)
{
    emit_matching(info->flags, values[FLAGS], "node_cpu_flag_info",
                  "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
                  "flag", sink);
    emit_matching(info->bugs, values[BUGS], "node_cpu_bug_info",
                  "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.", "bug",
                  sink);
}

int cpu_info_update(struct cpu_info *info, struct metric_sink *sink)
{
    struct bytes text, line, values[KEYS] = {{0}};
    int err = procfile_read(info->file, &text);
    bool first = true, more = err == 0;
    while (more) {
        more = text_line(&text, &line);
        if (more && line.len)
            take_line(line, values);
        if ((!more || !line.len) && values[PROCESSOR].ptr) {
            emit_cpu(info, values, sink);
            if (first)
                emit_first(info, values, sink);
            first = false;
            memset(values, 0, sizeof values);
        }
    }
    return err;
}
