/* os.c - os-release(5) of the host: NAME=VALUE lines, values in quotes or not. Read again only when it has
 * changed. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum {
    FILE_BYTES = 16384,
    VALUE_BYTES = 256,
    KEYS = 13,
    SUPPORT_END = 12,
    ID = 1,
    ID_LIKE = 2,
    NAME = 5,
    VERSION_ID = 11
};

static const char *const keys[KEYS] = {
    "BUILD_ID", "ID",         "ID_LIKE", "IMAGE_ID",         "IMAGE_VERSION", "NAME",       "PRETTY_NAME",
    "VARIANT",  "VARIANT_ID", "VERSION", "VERSION_CODENAME", "VERSION_ID",    "SUPPORT_END"};
static const char *const labels[KEYS] = {
    "build_id", "id",         "id_like", "image_id",         "image_version", "name", "pretty_name",
    "variant",  "variant_id", "version", "version_codename", "version_id",    NULL};

struct os_state {
    const char *rootfs; /* borrowed from the config */
    struct timespec read_at;
    ino_t inode;
    char values[KEYS][VALUE_BYTES];
};

static int start(const struct agent_config *config, void **ret_state)
{
    struct os_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->rootfs = config->host_metrics.path_rootfs;
    *ret_state = state;
    return 0;
}

static void stop(void *state)
{
    free(state);
}

/* The value without its quotes and backslashes, as a shell would take it. */
static void unquote(struct bytes value, char storage[VALUE_BYTES])
{
    size_t len = 0;
    char quote = 0;
    for (size_t i = 0; i < value.len && len < VALUE_BYTES - 1; i++) {
        char c = (char)value.ptr[i];
        if ((c == '"' || c == '\'') && (!quote || quote == c)) {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && quote != '\'' && i + 1 < value.len)
            c = (char)value.ptr[++i];
        storage[len++] = c;
    }
    storage[len] = '\0';
}

static void parse(struct os_state *state, struct bytes text)
{
    struct bytes line;
    memset(state->values, 0, sizeof state->values);
    while (text_line(&text, &line)) {
        const uint8_t *equals = memchr(line.ptr, '=', line.len);
        if (!equals)
            continue;
        struct bytes key = {line.ptr, (size_t)(equals - line.ptr)};
        for (int i = 0; i < KEYS; i++)
            if (text_is(key, keys[i]))
                unquote(bytes_skip(line, key.len + 1), state->values[i]);
    }
}

static int read_release(struct os_state *state)
{
    static const char *const names[] = {"etc/os-release", "usr/lib/os-release"};
    char path[1024], storage[FILE_BYTES];
    struct stat st;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", state->rootfs, names[i]);
        if (stat(path, &st) < 0)
            continue;
        if (st.st_ino == state->inode && st.st_mtim.tv_sec == state->read_at.tv_sec &&
            st.st_mtim.tv_nsec == state->read_at.tv_nsec)
            return 0;
        int err = procfile_read_word(path, storage, sizeof storage);
        if (err < 0)
            return err;
        parse(state, bytes_of_string(storage));
        state->inode = st.st_ino;
        state->read_at = st.st_mtim;
        return 0;
    }
    return errno == ENOENT ? -ENODATA : -errno;
}

/* "12.3.1" is 12.3. */
static double major_minor(const char *version)
{
    size_t len = strspn(version, "0123456789");
    char text[VALUE_BYTES];
    if (len == 0)
        return 0;
    if (version[len] == '.')
        len += 1 + strspn(version + len + 1, "0123456789");
    snprintf(text, sizeof text, "%.*s", (int)len, version);
    return strtod(text, NULL);
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct os_state *state = ctx;
    const char *pairs[2 * KEYS];
    struct tm end = {0};
    int err = read_release(state);
    if (err < 0)
        return err;
    for (int i = 0; i < SUPPORT_END; i++) {
        pairs[2 * i] = labels[i];
        pairs[2 * i + 1] = state->values[i];
    }
    pairs[2 * SUPPORT_END] = NULL;
    sink->sample(sink, "node_os_info", METRIC_GAUGE,
                 "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
                 "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
                 "version_id.",
                 pairs, 1);
    double version = major_minor(state->values[VERSION_ID]);
    if (version > 0)
        COLLECTOR_SAMPLE(sink, "node_os_version", METRIC_GAUGE,
                         "Metric containing the major.minor part of the OS version.", version, "id",
                         state->values[ID], "id_like", state->values[ID_LIKE], "name", state->values[NAME]);
    if (!state->values[SUPPORT_END][0])
        return 0;
    if (!strptime(state->values[SUPPORT_END], "%Y-%m-%d", &end))
        return -EINVAL;
    collector_emit(sink, "node_os_support_end_timestamp_seconds", METRIC_GAUGE,
                   "Metric containing the end-of-life date timestamp of the OS.", (double)timegm(&end));
    return 0;
}

const struct collector collector_os = {
    .name = "os", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
