/* filesystem.c - sizes of the mounted file systems: /proc/1/mountinfo and statfs(2), with a deadline where it
 * may hang: for every mount of a type that is not known to be the kernel's own, and for all below such a one.
 *
 * A line of mountinfo (proc(5)), separated by single blanks: id, parent, major:minor, root, mount point,
 * options, optional fields, "-", type, source, options of the file system.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/collector_flags.h"
#include "node-agent/collectors/table.h"
#include "node-agent/mount_probe.h"
#include "node-agent/pattern.h"
#include "node-agent/procfile.h"
#include "node-agent/text.h"

enum { POINT = 5, HEAD_FIELDS = 6, TAIL_FIELDS = 4, MAX_MOUNTS = 16384, TEXT_BYTES = 4096 };

struct mount {
    char device[TEXT_BYTES], point[TEXT_BYTES], type[128], major[16], minor[16];
    bool read_only;
};

struct filesystem_state {
    char *rootfs; /* owned: a run may outlive the config */
    int64_t timeout_ms;
    struct procfile *of_init, *of_self;
    struct mount_probe *probe;
    struct pattern_filter points, types;
    struct mount mount; /* the one being looked at */
    uint64_t *seen;     /* owned; hashes of the mounts of this update */
    size_t seen_count, seen_room;
    struct buf remote; /* mount points, each with a NUL, where asking may hang */
};

static void stop(void *ctx)
{
    struct filesystem_state *state = ctx;
    if (!state)
        return;
    procfile_free(state->of_init);
    procfile_free(state->of_self);
    mount_probe_free(state->probe);
    pattern_filter_fini(&state->points);
    pattern_filter_fini(&state->types);
    free(state->rootfs);
    free(state->seen);
    buf_fini(&state->remote);
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

static int start(const struct agent_config *config, void **ret_state)
{
    struct filesystem_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->rootfs = strdup(config->host_metrics.path_rootfs);
    state->timeout_ms = timeout_of(config);
    buf_init(&state->remote, MAX_MOUNTS * TEXT_BYTES);
    state->of_init = procfile_new_long(config->host_metrics.path_procfs, "1/mountinfo");
    state->of_self = procfile_new_long(config->host_metrics.path_procfs, "self/mountinfo");
    int err = mount_probe_new(statfs, &state->probe);
    if (err == 0 && (!state->rootfs || !state->of_init || !state->of_self))
        err = -ENOMEM;
    if (err == 0)
        err = init_filters(state, config);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* ---- a line of mountinfo ---- */

/* Cuts at the first blank; fields may be empty. */
static bool next_part(struct bytes *rest, struct bytes *ret_part)
{
    if (!rest->ptr)
        return false;
    const uint8_t *blank = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    size_t len = blank ? (size_t)(blank - rest->ptr) : rest->len;
    *ret_part = (struct bytes){rest->ptr, len};
    *rest = blank ? bytes_skip(*rest, len + 1) : (struct bytes){0};
    return true;
}

static bool has_option(struct bytes options, const char *option)
{
    while (options.len) {
        const uint8_t *comma = memchr(options.ptr, ',', options.len);
        size_t len = comma ? (size_t)(comma - options.ptr) : options.len;
        if (text_is((struct bytes){options.ptr, len}, option))
            return true;
        options = bytes_skip(options, comma ? len + 1 : len);
    }
    return false;
}

static void put_valid(struct bytes text, char *storage, size_t size)
{
    struct buf valid;
    buf_init(&valid, 3 * text.len + 1);
    if (utf8_put_valid(text, &valid) == 0)
        text_copy(buf_bytes(&valid), storage, size);
    else
        storage[0] = '\0';
    buf_fini(&valid);
}

/* Blanks and tabs of a mount point are written as \040 and \011; in place. */
static void unescape(char *point)
{
    char *to = point;
    for (const char *from = point; *from; to++) {
        bool blank = strncmp(from, "\\040", 4) == 0, tab = strncmp(from, "\\011", 4) == 0;
        *to = blank ? ' ' : tab ? '\t' : *from;
        from += blank || tab ? 4 : 1;
    }
    *to = '\0';
}

/* Takes the prefix off a mount point seen through a host's root that is mounted elsewhere. */
static void strip_rootfs(char *point, const char *rootfs)
{
    size_t len = strlen(rootfs);
    if (strcmp(rootfs, "/") == 0 || strncmp(point, rootfs, len) != 0)
        return;
    memmove(point, point + len, strlen(point + len) + 1);
    if (!*point)
        strcpy(point, "/");
}

static int parse_device(struct bytes number, struct mount *mount)
{
    const uint8_t *colon = number.len ? memchr(number.ptr, ':', number.len) : NULL;
    if (!colon)
        return -EINVAL;
    size_t len = (size_t)(colon - number.ptr);
    text_copy((struct bytes){number.ptr, len}, mount->major, sizeof mount->major);
    text_copy(bytes_skip(number, len + 1), mount->minor, sizeof mount->minor);
    return 0;
}

/* The last four parts are "-", type, source, options; what stands before them after the sixth is optional. */
static int parse_mount(struct bytes line, const char *rootfs, struct mount *mount)
{
    struct bytes head[HEAD_FIELDS], tail[TAIL_FIELDS] = {{0}}, part;
    int count = 0;
    for (; next_part(&line, &part); count++) {
        if (count < HEAD_FIELDS)
            head[count] = part;
        memmove(tail, tail + 1, (TAIL_FIELDS - 1) * sizeof *tail);
        tail[TAIL_FIELDS - 1] = part;
    }
    if (count < HEAD_FIELDS + TAIL_FIELDS || !text_is(tail[0], "-") || parse_device(head[2], mount) < 0)
        return -EINVAL;
    put_valid(head[4], mount->point, sizeof mount->point);
    put_valid(tail[1], mount->type, sizeof mount->type);
    put_valid(tail[2], mount->device, sizeof mount->device);
    unescape(mount->point);
    strip_rootfs(mount->point, rootfs);
    mount->read_only =
        has_option(head[5], "ro") || has_option(tail[3], "ro") || has_option(tail[3], "emergency_ro");
    return 0;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return hash;
}

/* Whether a mount with the same labels was shown already in this update: their series would be the same. */
static bool was_seen(struct filesystem_state *state)
{
    const struct mount *m = &state->mount;
    uint64_t hash =
        hash_text(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), m->device), m->point), m->type);
    for (size_t i = 0; i < state->seen_count; i++)
        if (state->seen[i] == hash)
            return true;
    if (state->seen_count == state->seen_room) {
        size_t room = state->seen_room ? 2 * state->seen_room : 64;
        uint64_t *seen = room <= MAX_MOUNTS ? realloc(state->seen, room * sizeof *seen) : NULL;
        if (!seen)
            return true;
        state->seen = seen;
        state->seen_room = room;
    }
    state->seen[state->seen_count++] = hash;
    return false;
}

/* ---- which mounts may hang ---- */

/* Types that the kernel answers for by itself, from memory. */
static bool is_local(struct bytes type)
{
    static const char *const types[] = {
        "bpf",      "btrfs", "cgroup",  "cgroup2", "configfs", "debugfs", "devpts",     "devtmpfs",
        "efivarfs", "erofs", "ext2",    "ext3",    "ext4",     "f2fs",    "hugetlbfs",  "iso9660",
        "mqueue",   "nsfs",  "overlay", "proc",    "pstore",   "ramfs",   "securityfs", "selinuxfs",
        "squashfs", "sysfs", "tmpfs",   "tracefs", "vfat",     "xfs",     NULL};
    for (const char *const *t = types; *t; t++)
        if (text_is(type, *t))
            return true;
    return false;
}

/* Notes the mount points of all other types, as mountinfo writes them. */
static int find_remote(struct filesystem_state *state, struct bytes text)
{
    struct bytes line, part;
    buf_clear(&state->remote);
    while (text_line(&text, &line)) {
        const uint8_t *dash = memmem(line.ptr, line.len, " - ", 3);
        struct bytes tail = dash ? bytes_skip(line, (size_t)(dash - line.ptr) + 3) : (struct bytes){0};
        if (!dash || (next_part(&tail, &part) && is_local(part)))
            continue;
        for (int i = 0; i < POINT && next_part(&line, &part); i++)
            ;
        int err = buf_append(&state->remote, part.ptr, part.len);
        if (err == 0)
            err = buf_append(&state->remote, "", 1);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Whether a path leads through such a mount point or ends at it; escaped ones count as if they were cut
 * there. */
static bool may_hang(const struct filesystem_state *state, const char *path)
{
    const char *at = (const char *)state->remote.ptr, *end = at + state->remote.len;
    for (; at < end; at += strlen(at) + 1) {
        size_t len = strcspn(at, "\\");
        if (strncmp(at, path, len) == 0)
            return true;
    }
    return false;
}

static int ask(struct filesystem_state *state, const char *path, struct statfs *ret_statfs)
{
    if (may_hang(state, path))
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

static int update_mount(struct filesystem_state *state, struct bytes line, struct metric_sink *sink)
{
    struct mount *mount = &state->mount;
    int err = parse_mount(line, state->rootfs, mount);
    if (err < 0)
        return err;
    if (!pattern_filter_passes(&state->points, bytes_of_string(mount->point)) ||
        !pattern_filter_passes(&state->types, bytes_of_string(mount->type)) || was_seen(state))
        return 0;
    char path[2 * TEXT_BYTES];
    struct statfs s;
    snprintf(path, sizeof path, "%s%s", strcmp(state->rootfs, "/") == 0 ? "" : state->rootfs, mount->point);
    int error = ask(state, path, &s);
    emit_mount(sink, mount, error, &s);
    return 0;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct filesystem_state *state = ctx;
    struct bytes text, line;
    state->seen_count = 0;
    int err = procfile_read(state->of_init, &text);
    if (err < 0) /* where hidepid hides the first process */
        err = procfile_read(state->of_self, &text);
    if (err == 0)
        err = find_remote(state, text);
    while (err == 0 && text_line(&text, &line))
        err = update_mount(state, line, sink);
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
