/* selinux.c - whether SELinux is there, how it enforces now (its file system's enforce) and what
 * /etc/selinux/config sets: enforcing 1, permissive 0, disabled -1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"

enum { SELINUX_MAGIC_NUMBER = (int)0xf97cff8c, CONFIG_BYTES = 16384 };

static bool is_mounted(const char *path)
{
    struct statfs s;
    return statfs(path, &s) == 0 && (int)s.f_type == SELINUX_MAGIC_NUMBER;
}

static int configured_mode(void)
{
    char storage[CONFIG_BYTES];
    int mode = -1;
    if (procfile_read_word("/etc/selinux/config", storage, sizeof storage) < 0)
        return mode;
    struct bytes rest = bytes_of_string(storage), line;
    while (text_line(&rest, &line)) {
        if (text_is(line, "SELINUX=enforcing"))
            mode = 1;
        else if (text_is(line, "SELINUX=permissive"))
            mode = 0;
    }
    return mode;
}

static int update(void *state, struct metric_sink *sink)
{
    (void)state;
    static const char root[] = "/sys/fs/selinux";
    bool enabled = is_mounted(root);
    collector_emit(sink, "node_selinux_enabled", METRIC_GAUGE, "SELinux is enabled, 1 is true, 0 is false",
                   enabled);
    if (!enabled)
        return 0;
    int64_t current;
    if (sysfs_i64(&current, "%s/enforce", root) < 0)
        current = -1;
    collector_emit(sink, "node_selinux_config_mode", METRIC_GAUGE, "Configured SELinux enforcement mode",
                   configured_mode());
    collector_emit(sink, "node_selinux_current_mode", METRIC_GAUGE, "Current SELinux enforcement mode",
                   (double)current);
    return 0;
}

const struct collector collector_selinux = {.name = "selinux",
                                            .enabled_by_default = true,
                                            .start = collector_start_with_config,
                                            .update = update,
                                            .stop = collector_stop_nothing};
