/* watchdog.c - /sys/class/watchdog. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { WORD_BYTES = 256, INFOS = 5 };

static const struct {
    const char *file, *name;
} rows[] = {
    {"bootstatus", "bootstatus"},     {"fw_version", "fw_version"},   {"nowayout", "nowayout"},
    {"timeleft", "timeleft_seconds"}, {"timeout", "timeout_seconds"}, {"pretimeout", "pretimeout_seconds"},
    {"access_cs0", "access_cs0"},
};

static int emit_info(const char *sysfs, const char *device, struct metric_sink *sink)
{
    static const char *const files[INFOS] = {"options", "identity", "state", "status", "pretimeout_governor"};
    char words[INFOS][WORD_BYTES];
    for (int i = 0; i < INFOS; i++) {
        int err = sysfs_word(words[i], WORD_BYTES, "%s/class/watchdog/%s/%s", sysfs, device, files[i]);
        if (err < 0 && err != -ENOENT)
            return err;
        if (err < 0)
            words[i][0] = '\0';
    }
    COLLECTOR_SAMPLE(sink, "node_watchdog_info", METRIC_GAUGE, "Info of /sys/class/watchdog/<watchdog>", 1,
                     "name", device, "options", words[0], "identity", words[1], "state", words[2], "status",
                     words[3], "pretimeout_governor", words[4]);
    return 0;
}

static int update_device(const char *sysfs, const char *device, struct metric_sink *sink)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64], help[96];
        int64_t value;
        int err = sysfs_i64(&value, "%s/class/watchdog/%s/%s", sysfs, device, rows[i].file);
        if (err == -ENOENT)
            continue;
        if (err < 0)
            return err;
        snprintf(name, sizeof name, "node_watchdog_%s", rows[i].name);
        snprintf(help, sizeof help, "Value of /sys/class/watchdog/<watchdog>/%s", rows[i].file);
        COLLECTOR_SAMPLE(sink, name, METRIC_GAUGE, help, (double)value, "name", device);
    }
    return emit_info(sysfs, device, sink);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/watchdog", sysfs);
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_device(sysfs, names.items[i], sink);
    sysfs_names_fini(&names);
    return err == -ENOENT || err == -EACCES || err == -EPERM || err == -EINVAL ? -ENODATA : err;
}

const struct collector collector_watchdog = {.name = "watchdog",
                                             .enabled_by_default = true,
                                             .start = collector_start_with_config,
                                             .update = update,
                                             .stop = collector_stop_nothing,
                                             .announced = true};
