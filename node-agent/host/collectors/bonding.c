/* bonding.c - /sys/class/net/bonding_masters, each master's slaves, and which of them are up. */
#include <errno.h>
#include <string.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { LIST_BYTES = 4096 };

static int read_state(const char *sysfs, const char *master, const char *slave, char state[64])
{
    static const char *const links[] = {"lower", "slave"}; /* newer kernels, older ones */
    int err = -ENOENT;
    for (int i = 0; i < 2 && err == -ENOENT; i++)
        err = sysfs_word(state, 64, "%s/class/net/%s/%s_%s/bonding_slave/mii_status", sysfs, master, links[i],
                         slave);
    return err;
}

static int update_master(const char *sysfs, const char *master, struct metric_sink *sink)
{
    char slaves[LIST_BYTES], slave[64], state[64];
    int count = 0, active = 0;
    int err = sysfs_word(slaves, sizeof slaves, "%s/class/net/%s/bonding/slaves", sysfs, master);
    struct bytes rest = bytes_of_string(err == 0 ? slaves : ""), field;
    while (err == 0 && text_field(&rest, &field)) {
        err = read_state(sysfs, master, text_copy(field, slave, sizeof slave), state);
        count++;
        active += err == 0 && strcmp(state, "up") == 0;
    }
    if (err < 0)
        return err;
    COLLECTOR_SAMPLE(sink, "node_bonding_slaves", METRIC_GAUGE,
                     "Number of configured slaves per bonding interface.", count, "master", master);
    COLLECTOR_SAMPLE(sink, "node_bonding_active", METRIC_GAUGE,
                     "Number of active slaves per bonding interface.", active, "master", master);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    char masters[LIST_BYTES], master[64];
    int err = sysfs_word(masters, sizeof masters, "%s/class/net/bonding_masters", sysfs);
    struct bytes rest = bytes_of_string(err == 0 ? masters : ""), field;
    while (err == 0 && text_field(&rest, &field))
        err = update_master(sysfs, text_copy(field, master, sizeof master), sink);
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_bonding = {.name = "bonding",
                                            .enabled_by_default = true,
                                            .start = collector_start_with_config,
                                            .update = update,
                                            .stop = collector_stop_nothing,
                                            .announced = true};
