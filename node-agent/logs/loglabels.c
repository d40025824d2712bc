#include "node-agent/logs/loglabels.h"

#include <stdio.h>
#include <stdlib.h>

#include "node-agent/logs/logtext.h"

enum { BUILT_IN = 5 };

struct label {
    char name[LOGLABELS_MAX_NAME + 1];
    struct bytes value;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void set_name(struct label *label, const char *name)
{
    size_t n = 0;
    if (*name >= '0' && *name <= '9')
        label->name[n++] = '_';
    for (; *name && n < LOGLABELS_MAX_NAME; name++)
        label->name[n++] = is_letter(*name) || (*name >= '0' && *name <= '9') ? *name : '_';
    label->name[n] = '\0';
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static bool is_known(const struct label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, name) == 0)
            return true;
    return false;
}

/* Adds the configured labels behind the built-in ones; returns how many there are then. */
static size_t add_configured(struct label *labels, size_t count, const struct conf_map *configured)
{
    for (size_t i = 0; i < configured->count && count < LOGLABELS_MAX; i++) {
        struct label *label = &labels[count];
        set_name(label, configured->items[i].key);
        label->value = bytes_of_string(configured->items[i].value);
        if (label->name[0] && label->value.len && !is_known(labels, count, label->name))
            count++;
    }
    return count;
}

static int write_char(struct buf *out, uint8_t c)
{
    if (c == '"' || c == '\\')
        return buf_printf(out, "\\%c", c);
    if (c == '\n')
        return buf_append_string(out, "\\n");
    if (c < 0x20 || c == 0x7f)
        return buf_printf(out, "\\x%02x", c);
    return buf_append(out, &c, 1);
}

static int write_value(struct buf *out, struct bytes value)
{
    struct buf clean;
    int err;
    if (value.len > LOGLABELS_MAX_VALUE)
        value.len = LOGLABELS_MAX_VALUE;
    buf_init(&clean, 3 * LOGLABELS_MAX_VALUE);
    err = logtext_repair(value, &clean);
    size_t len = logtext_cut_len(buf_bytes(&clean), LOGLABELS_MAX_VALUE);
    for (size_t i = 0; i < len && err == 0; i++)
        err = write_char(out, clean.ptr[i]);
    buf_fini(&clean);
    return err;
}

static int write_all(struct buf *out, const struct label *labels, size_t count)
{
    int err = buf_append_string(out, "{");
    for (size_t i = 0; i < count && err == 0; i++) {
        err = buf_printf(out, "%s%s=\"", i ? ", " : "", labels[i].name);
        if (err == 0)
            err = write_value(out, labels[i].value);
        if (err == 0)
            err = buf_append_string(out, "\"");
    }
    return err < 0 ? err : buf_append_string(out, "}");
}

/* job is NAMESPACE/POD, written to storage. */
static size_t add_built_in(struct label labels[BUILT_IN], const struct podpath *path, const char *container,
                           const char *stream, char *storage, size_t size)
{
    int len = snprintf(storage, size, "%.*s/%.*s", (int)path->namespace.len,
                       (const char *)path->namespace.ptr, (int)path->pod.len, (const char *)path->pod.ptr);
    const struct label built_in[BUILT_IN] = {
        {"container", bytes_of_string(container)},
        {"job", {(const uint8_t *)storage, (size_t)len < size ? (size_t)len : size - 1}},
        {"namespace", path->namespace},
        {"pod", path->pod},
        {"stream", bytes_of_string(stream)},
    };
    memcpy(labels, built_in, sizeof built_in);
    return BUILT_IN;
}

int loglabels_write(const struct podpath *path, const char *container, const char *stream,
                    const struct conf_map *extra, const struct conf_map *configured, struct buf *out)
{
    char job[512];
    struct label labels[LOGLABELS_MAX];
    size_t count = path ? add_built_in(labels, path, container, stream, job, sizeof job) : 0;
    if (extra)
        count = add_configured(labels, count, extra);
    count = add_configured(labels, count, configured);
    if (!path && count < LOGLABELS_MAX && !is_known(labels, count, "job"))
        labels[count++] = (struct label){"job", bytes_of_string("files")};
    qsort(labels, count, sizeof *labels, compare);
    return write_all(out, labels, count);
}

size_t loglabels_left_out(const struct conf_map *configured)
{
    return configured->count > LOGLABELS_MAX - BUILT_IN ? configured->count - (LOGLABELS_MAX - BUILT_IN) : 0;
}
