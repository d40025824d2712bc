/* host-metrics-print [PROCFS SYSFS ROOTFS] - what the agent's collectors say of this host, or of the trees
 * given, as a page of the text exposition format. */
#include <stdio.h>
#include <string.h>

#include "node-agent/host_metrics.h"

int main(int argc, char **argv)
{
    struct agent_config config;
    memset(&config, 0, sizeof config);
    config.host_metrics.path_procfs = argc > 3 ? argv[1] : "/proc";
    config.host_metrics.path_sysfs = argc > 3 ? argv[2] : "/sys";
    config.host_metrics.path_rootfs = argc > 3 ? argv[3] : "/";
    config.host_metrics.mount_timeout_ms = 5000;
    struct buf page, errors;
    buf_init(&page, 64 << 20);
    buf_init(&errors, 4096);
    int err = host_metrics_print(&config, &page, &errors);
    if (err < 0)
        fprintf(stderr, "%.*s%s\n", (int)errors.len, (const char *)errors.ptr, strerror(-err));
    else
        fwrite(page.ptr, 1, page.len, stdout);
    buf_fini(&page);
    buf_fini(&errors);
    return err < 0;
}
