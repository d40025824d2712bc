/* not_offered.c - collectors of node_exporter's that are off by default there and not offered here. Their
 * flags are taken, so that its users' command lines work; one that is switched on says at every scrape that
 * it failed. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"

static int update(void *state, struct metric_sink *sink)
{
    (void)state;
    (void)sink;
    return -EOPNOTSUPP;
}

static const char *const perf_flags[] = {"perf.cpus=",
                                         "perf.tracepoint=",
                                         "perf.disable-hardware-profilers",
                                         "perf.hardware-profilers=",
                                         "perf.disable-software-profilers",
                                         "perf.software-profilers=",
                                         "perf.disable-cache-profilers",
                                         "perf.cache-profilers=",
                                         NULL};
static const char *const runit_flags[] = {"runit.servicedir=", NULL};
static const char *const supervisord_flags[] = {"supervisord.url=", NULL};

#define NOT_OFFERED(its_name, its_flags)                                                                     \
    {                                                                                                        \
        .name = its_name, .start = collector_start_with_config, .update = update,                            \
        .stop = collector_stop_nothing, .flags = its_flags                                                   \
    }
const struct collector collector_drm = NOT_OFFERED("drm", NULL);
const struct collector collector_nvmesubsystem = NOT_OFFERED("nvmesubsystem", NULL);
const struct collector collector_perf = NOT_OFFERED("perf", perf_flags);
const struct collector collector_runit = NOT_OFFERED("runit", runit_flags);
const struct collector collector_supervisord = NOT_OFFERED("supervisord", supervisord_flags);
