#include "node-agent/logs/access_why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CAN_OVERRIDE = 1, CAN_READ_SEARCH = 2 }; /* bits of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH */
enum { MAX_GROUPS = 256, MAX_LABEL = 256 };

static bool has_capability(int bit)
{
    char line[256];
    unsigned long long effective = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    if (status)
        fclose(status);
    return effective >> bit & 1;
}

static bool is_in_group(gid_t gid)
{
    gid_t groups[MAX_GROUPS];
    int count = getgroups(MAX_GROUPS, groups);
    bool found = getegid() == gid;
    for (int i = 0; i < count && !found; i++)
        found = groups[i] == gid;
    return found;
}

/* Whether the mode lets this process do it; bit: S_IROTH, S_IWOTH or S_IXOTH. */
static bool is_allowed(const struct stat *st, mode_t bit)
{
    mode_t mode = st->st_mode;
    if (geteuid() == st->st_uid)
        mode >>= 6;
    else if (is_in_group(st->st_gid))
        mode >>= 3;
    return mode & bit;
}

/* The first folder of the path that refuses, or the path itself, in storage. */
static void find_refusing(const char *path, mode_t wanted, char storage[PATH_MAX], mode_t *ret_bit)
{
    *ret_bit = S_IXOTH;
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(storage, PATH_MAX, "%.*s", (int)(slash - path), path);
        if (faccessat(AT_FDCWD, storage, X_OK, AT_EACCESS) < 0)
            return;
    }
    snprintf(storage, PATH_MAX, "%s", path);
    struct stat st;
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (!is_folder || !is_allowed(&st, wanted))
        *ret_bit = wanted;
}

static void read_label(char label[MAX_LABEL])
{
    FILE *current = fopen("/proc/self/attr/current", "re");
    size_t len = current ? fread(label, 1, MAX_LABEL - 1, current) : 0;
    if (current)
        fclose(current);
    while (len > 0 && (label[len - 1] == '\n' || label[len - 1] == '\0'))
        len--;
    label[len] = '\0';
}

/* The mode allows it, so something else refuses. */
static int tell_label(const char *path, struct buf *out)
{
    char of_file[MAX_LABEL], of_process[MAX_LABEL];
    ssize_t len = getxattr(path, "security.selinux", of_file, sizeof of_file - 1);
    read_label(of_process);
    if (len <= 0)
        return buf_printf(out, "; its mode would allow it, so a security module refuses (this process is %s)",
                          of_process[0] ? of_process : "without a label");
    of_file[len] = '\0';
    return buf_printf(out,
                      "; its mode would allow it, so SELinux refuses: the label of this process is %s, "
                      "the label of %s is %s",
                      of_process[0] ? of_process : "unknown", path, of_file);
}

static int tell_denied(const char *path, mode_t wanted, struct buf *out)
{
    char refusing[PATH_MAX];
    mode_t bit;
    struct stat st;
    find_refusing(path, wanted, refusing, &bit);
    const char *verb = bit == S_IXOTH ? "search" : bit == S_IWOTH ? "write to" : "read";
    int err = buf_printf(out, "permission denied: uid %d gid %d may not %s %s", (int)geteuid(),
                         (int)getegid(), verb, refusing);
    if (err < 0 || stat(refusing, &st) < 0)
        return err;
    err = buf_printf(out, ", which is %04o of uid %d gid %d", (unsigned)(st.st_mode & 07777), (int)st.st_uid,
                     (int)st.st_gid);
    if (err < 0)
        return err;
    if (is_allowed(&st, bit) || has_capability(CAN_OVERRIDE) ||
        (bit != S_IWOTH && has_capability(CAN_READ_SEARCH)))
        return tell_label(refusing, out);
    err = buf_append_string(out, "; missing: ");
    if (err == 0 && st.st_mode & bit << 6)
        err = buf_printf(out, "user %d, or ", (int)st.st_uid);
    if (err == 0 && st.st_mode & bit << 3)
        err = buf_printf(out, "group %d, or ", (int)st.st_gid);
    return err < 0 ? err
                   : buf_printf(out, "the capability %s",
                                bit == S_IWOTH ? "CAP_DAC_OVERRIDE" : "CAP_DAC_READ_SEARCH");
}

static int tell_absent(const char *path, struct buf *out)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len <= 0)
        return buf_append_string(out, "no such file or folder");
    target[len] = '\0';
    return buf_printf(out, "dangling symlink: its target %s is not there", target);
}

static int tell_descriptors(struct buf *out)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    return buf_printf(out, "descriptor limit: all %llu that this process may open are in use (RLIMIT_NOFILE)",
                      (unsigned long long)limit.rlim_cur);
}

bool access_why_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
}

int access_why_tell(const char *path, enum access_why use, int err, struct buf *out)
{
    switch (-err) {
    case EACCES:
    case EPERM:
        return tell_denied(path, use == ACCESS_WRITE ? S_IWOTH : S_IROTH, out);
    case ENOENT:
        return tell_absent(path, out);
    case EMFILE:
        return tell_descriptors(out);
    case ELOOP:
        return buf_append_string(out, "its symlinks go round in a circle");
    case EROFS:
        return buf_append_string(out, "the file system is mounted read-only");
    case ENOSPC:
        return buf_append_string(out, "no space is left on the file system");
    case EBADMSG:
        return buf_append_string(out, "not a whole gzip file");
    case ESTALE:
        return buf_append_string(out, "another file has its name");
    default:
        return buf_append_string(out, strerror(-err));
    }
}
