#include "node-agent/host/mountinfo.h"

#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { POINT = 5, HEAD_FIELDS = 6, TAIL_FIELDS = 4, MAX_MOUNTS = 16384, NAMES_BYTES = 64 * 1024 };
static const int64_t reread_ns = INT64_C(30) * 1000000000;

struct mountinfo {
    char *root; /* owned */
    bool (*wanted)(void *ctx, const struct mount *mount);
    void *ctx;
    struct procfile *of_init, *of_self; /* owned */
    struct buf text;                    /* what mounts was made of */
    struct buf remote;                  /* mount points, each with a NUL, where asking may hang */
    struct mount *mounts; /* owned; each one's strings are one allocation that begins with device */
    size_t count, room;
    bool is_valid, is_proc;
    int64_t read_at_ns;
};

static void forget_mounts(struct mountinfo *info)
{
    for (size_t i = 0; i < info->count; i++)
        free((char *)info->mounts[i].device);
    info->count = 0;
    info->is_valid = false;
}

void mountinfo_free(struct mountinfo *info)
{
    if (!info)
        return;
    forget_mounts(info);
    procfile_free(info->of_init);
    procfile_free(info->of_self);
    buf_fini(&info->text);
    buf_fini(&info->remote);
    free(info->mounts);
    free(info->root);
    free(info);
}

struct mountinfo *mountinfo_new(const char *procfs, const char *root,
                                bool (*wanted)(void *ctx, const struct mount *mount), void *ctx)
{
    struct mountinfo *info = calloc(1, sizeof *info);
    if (!info)
        return NULL;
    buf_init(&info->text, PROCFILE_BYTES);
    buf_init(&info->remote, PROCFILE_BYTES);
    info->wanted = wanted;
    info->ctx = ctx;
    info->root = strdup(root);
    info->of_init = procfile_new_long(procfs, "1/mountinfo");
    info->of_self = procfile_new_long(procfs, "self/mountinfo");
    if (info->root && info->of_init && info->of_self)
        return info;
    mountinfo_free(info);
    return NULL;
}

/* ---- a line ---- */

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
static void strip_root(char *point, const char *root)
{
    size_t len = strlen(root);
    if (strcmp(root, "/") == 0 || strncmp(point, root, len) != 0)
        return;
    memmove(point, point + len, strlen(point + len) + 1);
    if (!*point)
        strcpy(point, "/"); /* its place held a longer text before */
}

/* The parts, each with a NUL, as the mount's strings. */
static int take_names(const struct bytes parts[5], const char *root, struct mount *mount)
{
    struct buf names;
    size_t at[5];
    int err = 0;
    buf_init(&names, NAMES_BYTES);
    for (int i = 0; i < 5 && err == 0; i++) {
        at[i] = names.len;
        err = utf8_put_valid(parts[i], &names);
        if (err == 0)
            err = buf_append(&names, "\0", 2); /* and room for the "/" of an empty point */
    }
    if (err < 0) {
        buf_fini(&names);
        return err;
    }
    size_t len;
    char *text = (char *)buf_detach(&names, &len);
    unescape(text + at[1]);
    strip_root(text + at[1], root);
    mount->device = text;
    mount->point = text + at[1];
    mount->type = text + at[2];
    mount->major = text + at[3];
    mount->minor = text + at[4];
    return 0;
}

/* The last four parts are "-", type, source, options; what stands before them after the sixth is optional. */
static int parse_mount(struct bytes line, const char *root, struct mount *mount)
{
    struct bytes head[HEAD_FIELDS], tail[TAIL_FIELDS] = {{0}}, part;
    int count = 0;
    for (; next_part(&line, &part); count++) {
        if (count < HEAD_FIELDS)
            head[count] = part;
        memmove(tail, tail + 1, (TAIL_FIELDS - 1) * sizeof *tail);
        tail[TAIL_FIELDS - 1] = part;
    }
    if (count < HEAD_FIELDS + TAIL_FIELDS || !text_is(tail[0], "-") || head[2].len == 0)
        return -EINVAL;
    const uint8_t *colon = memchr(head[2].ptr, ':', head[2].len);
    if (!colon)
        return -EINVAL;
    size_t len = (size_t)(colon - head[2].ptr);
    const struct bytes parts[5] = {
        tail[2], head[4], tail[1], {head[2].ptr, len}, bytes_skip(head[2], len + 1)};
    mount->read_only =
        has_option(head[5], "ro") || has_option(tail[3], "ro") || has_option(tail[3], "emergency_ro");
    return take_names(parts, root, mount);
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
static int find_remote(struct mountinfo *info, struct bytes text)
{
    struct bytes line, part;
    buf_clear(&info->remote);
    while (text_line(&text, &line)) {
        const uint8_t *dash = memmem(line.ptr, line.len, " - ", 3);
        struct bytes tail = dash ? bytes_skip(line, (size_t)(dash - line.ptr) + 3) : (struct bytes){0};
        if (!dash || (next_part(&tail, &part) && is_local(part)))
            continue;
        for (int i = 0; i < POINT && next_part(&line, &part); i++)
            ;
        int err = buf_append(&info->remote, part.ptr, part.len);
        if (err == 0)
            err = buf_append(&info->remote, "", 1);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Whether the point leads through such a mount point or is one, below the root folder; escaped ones count as
 * if they were cut there. */
static bool may_hang(const struct mountinfo *info, const char *point)
{
    const char *root = strcmp(info->root, "/") == 0 ? "" : info->root;
    const char *at = (const char *)info->remote.ptr, *end = at + info->remote.len;
    size_t root_len = strlen(root);
    for (; at < end; at += strlen(at) + 1) {
        size_t len = strcspn(at, "\\"), of_root = len < root_len ? len : root_len;
        if (strncmp(at, root, of_root) == 0 &&
            (len <= root_len || strncmp(at + root_len, point, len - root_len) == 0))
            return true;
    }
    return false;
}

/* ---- the list ---- */

/* Whether there is a mount with the same labels: their series would be the same. */
static bool is_repeated(const struct mountinfo *info, const struct mount *mount)
{
    for (size_t i = 0; i < info->count; i++) {
        const struct mount *other = &info->mounts[i];
        if (strcmp(other->point, mount->point) == 0 && strcmp(other->device, mount->device) == 0 &&
            strcmp(other->type, mount->type) == 0)
            return true;
    }
    return false;
}

/* Takes the mount's strings in any case. */
static int keep_mount(struct mountinfo *info, struct mount mount)
{
    if (!info->wanted(info->ctx, &mount) || is_repeated(info, &mount)) {
        free((char *)mount.device);
        return 0;
    }
    if (info->count == info->room) {
        size_t room = info->room ? 2 * info->room : 8;
        struct mount *mounts = room <= MAX_MOUNTS ? realloc(info->mounts, room * sizeof *mounts) : NULL;
        if (!mounts) {
            free((char *)mount.device);
            return room <= MAX_MOUNTS ? -ENOMEM : 0;
        }
        info->mounts = mounts;
        info->room = room;
    }
    mount.may_hang = may_hang(info, mount.point);
    info->mounts[info->count++] = mount;
    return 0;
}

static int parse(struct mountinfo *info, struct bytes text)
{
    struct bytes rest = text, line;
    struct mount mount = {0};
    forget_mounts(info);
    buf_clear(&info->text);
    int err = find_remote(info, text);
    while (err == 0 && text_line(&rest, &line)) {
        err = parse_mount(line, info->root, &mount);
        if (err == 0)
            err = keep_mount(info, mount);
    }
    if (err == 0)
        err = buf_append(&info->text, text.ptr, text.len);
    info->is_valid = err == 0;
    return err;
}

/* ---- the file ---- */

/* Whether the kernel would have told of a change since the last read and did not. */
static bool is_as_read(const struct mountinfo *info)
{
    int fd = info->of_init->fd >= 0 ? info->of_init->fd : info->of_self->fd;
    struct pollfd changes = {.fd = fd, .events = POLLPRI};
    return info->is_valid && info->is_proc && fd >= 0 && clock_mono_ns() - info->read_at_ns < reread_ns &&
           poll(&changes, 1, 0) == 0;
}

static bool is_of_proc(const struct procfile *file)
{
    struct statfs s;
    return file->fd >= 0 && fstatfs(file->fd, &s) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

static int read_again(struct mountinfo *info)
{
    struct bytes text;
    int64_t now_ns = clock_mono_ns();
    int err = procfile_read(info->of_init, &text);
    if (err < 0) /* where hidepid hides the first process */
        err = procfile_read(info->of_self, &text);
    if (err < 0)
        return err;
    info->is_proc = is_of_proc(info->of_init->fd >= 0 ? info->of_init : info->of_self);
    info->read_at_ns = now_ns;
    return info->is_valid && bytes_equal(text, buf_bytes(&info->text)) ? 0 : parse(info, text);
}

int mountinfo_read(struct mountinfo *info, const struct mount **ret_mounts, size_t *ret_count)
{
    int err = is_as_read(info) ? 0 : read_again(info);
    if (err < 0) {
        forget_mounts(info);
        return err;
    }
    *ret_mounts = info->mounts;
    *ret_count = info->count;
    return 0;
}
