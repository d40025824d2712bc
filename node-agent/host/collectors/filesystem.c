/* filesystem.c - sizes of the mounted file systems: /proc/1/mountinfo and statfs(2), with a deadline where it
 * may hang: for every mount of a type that is not known to be the kernel's own, and for all below such a one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/mount_probe.h"
#include "node-agent/host/mountinfo.h"
#include "node-agent/pattern.h"

enum { PATH_BYTES = 8192 };

struct filesystem_state {
    char *rootfs; /* owned: a run may outlive the config */
    int64_t timeout_ms;
    struct mountinfo *mounts; /* owned */
    struct mount_probe *probe;
    struct pattern_filter points, types;
};

static void stop(void *ctx)
{
    struct filesystem_state *state = ctx;
    if (!state)
        return;
    mountinfo_free(state->mounts);
    mount_probe_free(state->probe);
    pattern_filter_fini(&state->points);
    pattern_filter_fini(&state->types);
    free(state->rootfs);
    free(state);
}

static int init_filters(struct filesystem_state *state, const struct agent_config *config)
{
    int err = pattern_filter_init(
        &state->points, config, "filesystem.mount-points-include", "filesystem.mount-points-exclude",
        "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)");
    return err < 0 ? err
                   : pattern_filter_init(&state->types, config, "filesystem.fs-types-include",
                                         "filesystem.fs-types-exclude",
                                         "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|"
                                         "fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|"
                                         "rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$");
}

static int64_t timeout_of(const struct agent_config *config)
{
    int64_t timeout_ms;
    const char *given = collector_flag(config, "filesystem.mount-timeout", "");
    return *given && conf_parse_duration(given, &timeout_ms) == 0 ? timeout_ms
                                                                  : config->host_metrics.mount_timeout_ms;
}

static bool is_wanted(void *ctx, const struct mount *mount)
{
    const struct filesystem_state *state = ctx;
    return pattern_filter_passes(&state->points, bytes_of_string(mount->point)) &&
           pattern_filter_passes(&state->types, bytes_of_string(mount->type));
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct filesystem_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->rootfs = strdup(config->host_metrics.path_rootfs);
    state->timeout_ms = timeout_of(config);
    state->mounts =
        mountinfo_new(config->host_metrics.path_procfs, config->host_metrics.path_rootfs, is_wanted, state);
    int err = mount_probe_new(statfs, &state->probe);
    if (err == 0 && (!state->rootfs || !state->mounts))
        err = -ENOMEM;
    if (err == 0)
        err = init_filters(state, config);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int ask(struct filesystem_state *state, const struct mount *mount, struct statfs *ret_statfs)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s", strcmp(state->rootfs, "/") == 0 ? "" : state->rootfs, mount->point);
    if (mount->may_hang)
        return mount_probe_get(state->probe, path, state->timeout_ms, ret_statfs);
    return statfs(path, ret_statfs) < 0 ? -errno : 0;
}

/* ---- samples ---- */

/* Go's words for an errno, which are the C library's with a small first letter. */
static void describe(int error, char *storage, size_t size)
{
    if (error == -ETIMEDOUT) {
        snprintf(storage, size, "mountpoint timeout");
        return;
    }
    char words[128];
    snprintf(storage, size, "%s", strerror_r(-error, words, sizeof words));
    if (storage[0] >= 'A' && storage[0] <= 'Z' && storage[1] >= 'a' && storage[1] <= 'z')
        storage[0] = (char)(storage[0] - 'A' + 'a');
}

static void emit_sizes(struct metric_sink *sink, const char *const *labels, const struct statfs *s)
{
    const struct {
        const char *name, *help;
        double value;
    } rows[] = {
        {"node_filesystem_size_bytes", "Filesystem size in bytes.", (double)s->f_blocks * (double)s->f_bsize},
        {"node_filesystem_free_bytes", "Filesystem free space in bytes.",
         (double)s->f_bfree * (double)s->f_bsize},
        {"node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
         (double)s->f_bavail * (double)s->f_bsize},
        {"node_filesystem_files", "Filesystem total file nodes.", (double)s->f_files},
        {"node_filesystem_files_free", "Filesystem total free file nodes.", (double)s->f_ffree},
        {"node_filesystem_purgeable_bytes",
         "Filesystem space available including purgeable space (MacOS specific).", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        sink->sample(sink, rows[i].name, METRIC_GAUGE, rows[i].help, labels, rows[i].value);
}

static void emit_mount(struct metric_sink *sink, const struct mount *mount, int error, const struct statfs *s)
{
    char words[160] = "";
    if (error < 0)
        describe(error, words, sizeof words);
    const char *const labels[] = {"device",    mount->device,  "mountpoint", mount->point, "fstype",
                                  mount->type, "device_error", words,        NULL};
    const char *const info[] = {"device",     mount->device, "major",      mount->major, "minor",
                                mount->minor, "mountpoint",  mount->point, NULL};
    sink->sample(sink, "node_filesystem_device_error", METRIC_GAUGE,
                 "Whether an error occurred while getting statistics for the given device.", labels,
                 error < 0);
    sink->sample(sink, "node_filesystem_readonly", METRIC_GAUGE, "Filesystem read-only status.", labels,
                 mount->read_only);
    if (error < 0)
        return;
    emit_sizes(sink, labels, s);
    sink->sample(sink, "node_filesystem_mount_info", METRIC_GAUGE, "Filesystem mount information.", info, 1);
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct filesystem_state *state = ctx;
    const struct mount *mounts;
    size_t count = 0;
    int err = mountinfo_read(state->mounts, &mounts, &count);
    for (size_t i = 0; i < count && err == 0; i++) {
        struct statfs s;
        int error = ask(state, &mounts[i], &s);
        emit_mount(sink, &mounts[i], error, &s);
    }
    return err;
}

static const char *const flags[] = {"filesystem.mount-points-include=~",
                                    "filesystem.mount-points-exclude=~",
                                    "filesystem.fs-types-include=~",
                                    "filesystem.fs-types-exclude=~",
                                    "filesystem.mount-timeout=",
                                    "filesystem.stat-workers=",
                                    NULL};

const struct collector collector_filesystem = {.name = "filesystem",
                                               .enabled_by_default = true,
                                               .start = start,
                                               .update = update,
                                               .stop = stop,
                                               .blocks = true,
                                               .flags = flags};
