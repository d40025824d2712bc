/* uname.c - what uname(2) says, as labels. */
#include <errno.h>
#include <sys/utsname.h>

#include "node-agent/host/collectors/table.h"

static int start(const struct agent_config *config, void **ret_state)
{
    (void)config;
    *ret_state = NULL;
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    (void)state;
    struct utsname u;
    if (uname(&u) < 0)
        return -errno;
    const char *const labels[] = {"sysname",    u.sysname,    "release", u.release,  "version",
                                  u.version,    "machine",    u.machine, "nodename", u.nodename,
                                  "domainname", u.domainname, NULL};
    sink->sample(sink, "node_uname_info", METRIC_GAUGE,
                 "Labeled system information as provided by the uname system call.", labels, 1);
    return 0;
}

static void stop(void *state)
{
    (void)state;
}

const struct collector collector_uname = {.name = "uname",
                                          .enabled_by_default = true,
                                          .start = start,
                                          .update = update,
                                          .stop = stop,
                                          .blocks = false};
