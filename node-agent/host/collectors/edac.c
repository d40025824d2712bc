/* edac.c - memory errors: /sys/devices/system/edac/mc/mcN, its csrowN, and their channels. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { LABEL_BYTES = 256, PATH_BYTES = 768 };

static const char *number_after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 && isdigit((unsigned char)name[len]) ? name + len : NULL;
}

/* "mc#0csrow#0channel#0" is shown as "mc0_csrow0_channel0". */
static void tidy_label(const char *raw, char label[LABEL_BYTES])
{
    size_t len = 0;
    for (; *raw && len + 2 < LABEL_BYTES; raw++) {
        if (*raw == '#')
            continue;
        if (strncmp(raw, "csrow", 5) == 0 || strncmp(raw, "channel", 7) == 0)
            label[len++] = '_';
        label[len++] = *raw;
    }
    label[len] = '\0';
}

static int emit_channel(const char *path, const char *controller, const char *row, const char *channel,
                        struct metric_sink *sink)
{
    char raw[LABEL_BYTES], label[LABEL_BYTES] = "unknown";
    uint64_t count;
    if (sysfs_word(raw, sizeof raw, "%s/ch%s_dimm_label", path, channel) == 0)
        tidy_label(raw, label);
    int err = sysfs_u64(&count, "%s/ch%s_ce_count", path, channel);
    if (err < 0)
        return err;
    COLLECTOR_SAMPLE(sink, "node_edac_channel_correctable_errors_total", METRIC_COUNTER,
                     "Total correctable memory errors for this channel.", (double)count, "controller",
                     controller, "csrow", row, "channel", channel, "dimm_label", label);
    if (sysfs_u64(&count, "%s/ch%s_ue_count", path, channel) == 0)
        COLLECTOR_SAMPLE(sink, "node_edac_channel_uncorrectable_errors_total", METRIC_COUNTER,
                         "Total uncorrectable memory errors for this channel.", (double)count, "controller",
                         controller, "csrow", row, "channel", channel, "dimm_label", label);
    return 0;
}

static int emit_channels(const char *path, const char *controller, const char *row, struct metric_sink *sink)
{
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s", path);
    for (size_t i = 0; i < names.count && err == 0; i++) {
        const char *number = number_after(names.items[i], "ch");
        char channel[16];
        if (!number)
            continue;
        size_t digits = strspn(number, "0123456789");
        if (strcmp(number + digits, "_ce_count") != 0)
            continue;
        snprintf(channel, sizeof channel, "%.*s", (int)digits, number);
        err = emit_channel(path, controller, row, channel, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

static int emit_row(const char *path, const char *ce_file, const char *ue_file, const char *controller,
                    const char *row, struct metric_sink *sink)
{
    uint64_t correctable, uncorrectable;
    int err = sysfs_u64(&correctable, "%s/%s", path, ce_file);
    if (err == 0)
        err = sysfs_u64(&uncorrectable, "%s/%s", path, ue_file);
    if (err < 0)
        return err;
    COLLECTOR_SAMPLE(sink, "node_edac_csrow_correctable_errors_total", METRIC_COUNTER,
                     "Total correctable memory errors for this csrow.", (double)correctable, "controller",
                     controller, "csrow", row);
    COLLECTOR_SAMPLE(sink, "node_edac_csrow_uncorrectable_errors_total", METRIC_COUNTER,
                     "Total uncorrectable memory errors for this csrow.", (double)uncorrectable, "controller",
                     controller, "csrow", row);
    return 0;
}

static int emit_controller(const char *path, const char *controller, struct metric_sink *sink)
{
    uint64_t correctable, uncorrectable;
    int err = sysfs_u64(&correctable, "%s/ce_count", path);
    if (err == 0)
        err = sysfs_u64(&uncorrectable, "%s/ue_count", path);
    if (err < 0)
        return err;
    COLLECTOR_SAMPLE(sink, "node_edac_correctable_errors_total", METRIC_COUNTER,
                     "Total correctable memory errors.", (double)correctable, "controller", controller);
    COLLECTOR_SAMPLE(sink, "node_edac_uncorrectable_errors_total", METRIC_COUNTER,
                     "Total uncorrectable memory errors.", (double)uncorrectable, "controller", controller);
    return emit_row(path, "ce_noinfo_count", "ue_noinfo_count", controller, "unknown", sink);
}

static int update_controller(const char *sysfs, const char *controller, struct metric_sink *sink)
{
    char path[PATH_BYTES / 2], row_path[PATH_BYTES];
    struct sysfs_names names;
    snprintf(path, sizeof path, "%s/devices/system/edac/mc/mc%s", sysfs, controller);
    int err = emit_controller(path, controller, sink);
    if (err == 0)
        err = sysfs_list(&names, "%s", path);
    if (err < 0)
        return err;
    for (size_t i = 0; i < names.count && err == 0; i++) {
        const char *row = number_after(names.items[i], "csrow");
        if (!row)
            continue;
        snprintf(row_path, sizeof row_path, "%s/csrow%s", path, row);
        err = emit_row(row_path, "ce_count", "ue_count", controller, row, sink);
        if (err == 0)
            err = emit_channels(row_path, controller, row, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs, *controller;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/devices/system/edac/mc", sysfs);
    if (err < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++)
        if ((controller = number_after(names.items[i], "mc")))
            err = update_controller(sysfs, controller, sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_edac = {.name = "edac",
                                         .enabled_by_default = true,
                                         .start = collector_start_with_config,
                                         .update = update,
                                         .stop = collector_stop_nothing,
                                         .announced = true};
