#include "node-agent/logs/logs_entries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-agent/logs/access_why.h"
#include "node-agent/logs/hostpath.h"
#include "node-agent/logs/podpath.h"

int logs_entries_parse(const char *text, struct logs_wanted *ret_wanted)
{
    struct bytes parts[3] = {{0}};
    for (int i = 0; *text; i++) {
        size_t len = strcspn(text, "/");
        if (i == 3 || len == 0)
            return -EINVAL;
        parts[i] = (struct bytes){(const uint8_t *)text, len};
        text += len + (text[len] == '/');
    }
    *ret_wanted = (struct logs_wanted){parts[0], parts[1], parts[2]};
    return 0;
}

static bool is_wanted(struct bytes wanted, struct bytes is)
{
    return wanted.len == 0 || bytes_equal(wanted, is);
}

static bool is_asked_for(const struct logs_wanted *wanted, const struct logs_entry *entry)
{
    return is_wanted(wanted->namespace, entry->namespace) && is_wanted(wanted->pod, entry->pod) &&
           is_wanted(wanted->container, entry->container);
}

/* Names of NAMESPACE_POD_UID/CONTAINER..., in the caller's storage for the first of the two. */
static void take_names(const char *name, char storage[NAME_MAX + 1], struct logs_entry *entry)
{
    struct podpath path;
    size_t pod_len = strcspn(name, "/");
    const char *container = name[pod_len] ? name + pod_len + 1 : "";
    snprintf(storage, NAME_MAX + 1, "%.*s", (int)pod_len, name);
    if (podpath_parse_folder(storage, &path) < 0)
        return;
    entry->namespace = path.namespace;
    entry->pod = path.pod;
    entry->container = (struct bytes){(const uint8_t *)container, strcspn(container, "/")};
}

/* ---- files that are followed */

static const char *format_name(enum tail_format format)
{
    switch (format) {
    case TAIL_FORMAT_CRI:
        return "cri";
    case TAIL_FORMAT_DOCKER:
        return "docker";
    case TAIL_FORMAT_OPEN:
        break;
    }
    return "unknown";
}

static const char *state_name(const struct tail_file *file)
{
    return file->live ? "live" : file->linked ? "rotated" : "deleted";
}

static void tell_why(const struct logs_standing *standing, const struct tail_log *log,
                     const struct tail_file *file, const char *path, struct buf *why)
{
    int64_t rate = standing->config->logs.stream_rate_bytes;
    if (file->error < 0)
        access_why_tell(path, ACCESS_READ, file->error, why);
    else if (log->held)
        buf_printf(why, "waits: the agent has as many streams as logs.max_streams allows, %lld",
                   (long long)standing->config->logs.max_streams);
    else if (rate > 0 && file->pos < file->size && log->allowance_bytes <= 0)
        buf_printf(why, "held back by its rate limit: logs.stream_rate is %lld bytes a second",
                   (long long)rate);
}

static void show_file(const struct logs_standing *standing, const struct tail_log *log,
                      const struct tail_file *file, struct logs_entry *entry, logs_entry_fn *fn, void *ctx)
{
    char path[PATH_MAX], why_text[LOGS_WHY_LEN] = "", storage[TAIL_KEY_LEN];
    struct buf why;
    buf_init(&why, LOGS_WHY_LEN - 1);
    snprintf(path, sizeof path, "%s/%s%s", log->folder, file->name, file->zipped ? PODPATH_ZIPPED : "");
    tell_why(standing, log, file, path, &why);
    if (why.len)
        memcpy(why_text, why.ptr, why.len);
    buf_fini(&why);
    const struct offset *at =
        file->identity ? offsets_find(standing->offsets, tail_file_key(file, -1, storage)) : NULL;
    entry->path = path;
    entry->state = state_name(file);
    entry->format = log->plain ? "plain" : format_name(file->format);
    entry->size = file->size;
    entry->read = file->pos;
    entry->sent = file->told_base;
    entry->committed = at ? at->committed : 0;
    entry->delivered = at ? at->delivered : 0;
    entry->bytes_per_second = file->bytes_per_second;
    entry->tally = &file->tally;
    entry->why = why_text;
    fn(ctx, entry);
}

void logs_entries_followed(const struct logs_standing *standing, const struct logs_wanted *wanted,
                           logs_entry_fn *fn, void *ctx)
{
    size_t count;
    struct tail_log **logs = tail_logs(standing->tail, &count);
    for (size_t i = 0; i < count; i++) {
        char pod_folder[NAME_MAX + 1];
        struct logs_entry entry = {.restart = logs[i]->restart};
        take_names(logs[i]->name, pod_folder, &entry);
        for (struct tail_file *f = logs[i]->files; f && is_asked_for(wanted, &entry); f = f->next)
            show_file(standing, logs[i], f, &entry, fn, ctx);
    }
}

/* ---- files that are not */

struct missed {
    const struct logs_standing *standing;
    const struct logs_wanted *wanted;
    logs_entry_fn *fn;
    void *ctx;
    size_t pods, others;
};

static void tell_missed(struct missed *missed, const char *path, struct logs_entry *entry, int err,
                        const char *words)
{
    char text[LOGS_WHY_LEN] = "";
    struct buf why;
    if (!is_asked_for(missed->wanted, entry))
        return;
    buf_init(&why, LOGS_WHY_LEN - 1);
    if (words)
        buf_append_string(&why, words);
    else
        access_why_tell(path, ACCESS_READ, err, &why);
    if (why.len)
        memcpy(text, why.ptr, why.len);
    buf_fini(&why);
    entry->path = path;
    entry->state = "not read";
    entry->format = "unknown";
    entry->why = text;
    missed->fn(missed->ctx, entry);
}

static bool is_followed(const struct tail_log *log, const char *folder, const char *name, bool zipped)
{
    size_t len = strlen(name) - (zipped ? strlen(PODPATH_ZIPPED) : 0);
    for (const struct tail_file *f = strcmp(log->folder, folder) == 0 ? log->files : NULL; f; f = f->next)
        if (strncmp(f->name, name, len) == 0 && !f->name[len])
            return true;
    return false;
}

static bool is_known(const struct missed *missed, const char *folder, const char *name, bool zipped)
{
    size_t count;
    struct tail_log **logs = tail_logs(missed->standing->tail, &count);
    for (size_t i = 0; i < count; i++)
        if (is_followed(logs[i], folder, name, zipped))
            return true;
    return false;
}

static void look_at_file(struct missed *missed, const char *folder, const char *name,
                         struct logs_entry *entry)
{
    struct podpath_file parsed;
    char path[PATH_MAX];
    struct stat st;
    size_t open_files, max_files;
    if (podpath_parse_file(name, &parsed) < 0 || is_known(missed, folder, name, parsed.zipped) ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return;
    entry->restart = parsed.restart;
    tail_descriptors(missed->standing->tail, &open_files, &max_files);
    int fd = hostpath_open(missed->standing->config->host_metrics.path_rootfs, path, O_RDONLY);
    int err = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (err < 0)
        tell_missed(missed, path, entry, err, NULL);
    else if (!S_ISREG(st.st_mode))
        tell_missed(missed, path, entry, 0, "not a regular file");
    else if (open_files >= max_files) {
        char words[128];
        snprintf(words, sizeof words, "descriptor limit: %zu of %zu for log files are open; it waits for one",
                 open_files, max_files);
        tell_missed(missed, path, entry, 0, words);
    } else
        tell_missed(missed, path, entry, 0, "found just now; not opened yet");
}

static void look_at_container(struct missed *missed, const char *pod_path, const char *pod_folder,
                              const char *container)
{
    char path[PATH_MAX], name[2 * NAME_MAX + 2], storage[NAME_MAX + 1];
    struct logs_entry entry = {0};
    snprintf(name, sizeof name, "%s/%s", pod_folder, container);
    take_names(name, storage, &entry);
    if (!is_asked_for(missed->wanted, &entry) ||
        snprintf(path, sizeof path, "%s/%s", pod_path, container) >= (int)sizeof path)
        return;
    DIR *dir = opendir(path);
    if (!dir && errno != ENOTDIR)
        tell_missed(missed, path, &entry, -errno, NULL);
    for (struct dirent *e; dir && (e = readdir(dir));)
        look_at_file(missed, path, e->d_name, &entry);
    if (dir)
        closedir(dir);
}

static void look_at_pod(struct missed *missed, const char *root, const char *pod_folder)
{
    struct podpath parsed;
    char path[PATH_MAX], storage[NAME_MAX + 1];
    struct logs_entry entry = {0};
    if (podpath_parse_folder(pod_folder, &parsed) < 0) {
        missed->others++;
        return;
    }
    missed->pods++;
    take_names(pod_folder, storage, &entry);
    if (snprintf(path, sizeof path, "%s/%s", root, pod_folder) >= (int)sizeof path)
        return;
    DIR *dir = opendir(path);
    if (!dir)
        tell_missed(missed, path, &entry, -errno, NULL);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            look_at_container(missed, path, pod_folder, e->d_name);
    if (dir)
        closedir(dir);
}

void logs_entries_missed(const struct logs_standing *standing, const struct logs_wanted *wanted,
                         logs_entry_fn *fn, void *ctx, size_t *ret_pods, size_t *ret_others)
{
    struct missed missed = {.standing = standing, .wanted = wanted, .fn = fn, .ctx = ctx};
    static const struct logs_wanted any;
    struct logs_entry entry = {0};
    const char *root = standing->config->logs.root;
    DIR *dir = opendir(root);
    if (!dir) {
        missed.wanted = &any;
        tell_missed(&missed, root, &entry, -errno, NULL);
    }
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            look_at_pod(&missed, root, e->d_name);
    if (dir)
        closedir(dir);
    *ret_pods = missed.pods;
    *ret_others = missed.others;
}
