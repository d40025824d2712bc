/* thermal_zone.c - /sys/class/thermal: zones in thousandths of a degree, and cooling devices. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { TYPE_BYTES = 128 };
static const char zone_prefix[] = "thermal_zone", device_prefix[] = "cooling_device";

static const char *number_after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 && isdigit((unsigned char)name[len]) ? name + len : NULL;
}

static void emit_zone(const char *sysfs, const char *zone, struct metric_sink *sink)
{
    char type[TYPE_BYTES];
    int64_t temp;
    if (sysfs_word(type, sizeof type, "%s/class/thermal/%s%s/type", sysfs, zone_prefix, zone) < 0)
        type[0] = '\0';
    if (sysfs_i64(&temp, "%s/class/thermal/%s%s/temp", sysfs, zone_prefix, zone) < 0)
        temp = 0;
    COLLECTOR_SAMPLE(sink, "node_thermal_zone_temp", METRIC_GAUGE, "Zone temperature in Celsius",
                     (double)temp / 1000.0, "zone", zone, "type", type);
}

static bool is_ignored(int err)
{
    return err == -ENOENT || err == -EACCES || err == -EPERM || err == -EOPNOTSUPP || err == -EINVAL;
}

static int emit_device(const char *sysfs, const char *device, struct metric_sink *sink)
{
    char type[TYPE_BYTES];
    int64_t max, current;
    int err = sysfs_word(type, sizeof type, "%s/class/thermal/%s%s/type", sysfs, device_prefix, device);
    if (err == 0)
        err = sysfs_i64(&max, "%s/class/thermal/%s%s/max_state", sysfs, device_prefix, device);
    if (err == 0)
        err = sysfs_i64(&current, "%s/class/thermal/%s%s/cur_state", sysfs, device_prefix, device);
    if (err < 0)
        return is_ignored(err) ? 0 : err;
    COLLECTOR_SAMPLE(sink, "node_cooling_device_cur_state", METRIC_GAUGE,
                     "Current throttle state of the cooling device", (double)current, "name", device, "type",
                     type);
    COLLECTOR_SAMPLE(sink, "node_cooling_device_max_state", METRIC_GAUGE,
                     "Maximum throttle state of the cooling device", (double)max, "name", device, "type",
                     type);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs, *number;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/thermal", sysfs);
    if (err < 0)
        return 0; /* none: nothing to say, which is no failure */
    for (size_t i = 0; i < names.count && err == 0; i++) {
        if ((number = number_after(names.items[i], zone_prefix)))
            emit_zone(sysfs, number, sink);
        if ((number = number_after(names.items[i], device_prefix)))
            err = emit_device(sysfs, number, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_thermal_zone = {.name = "thermal_zone",
                                                 .enabled_by_default = true,
                                                 .start = collector_start_with_config,
                                                 .update = update,
                                                 .stop = collector_stop_nothing,
                                                 .announced = true};
