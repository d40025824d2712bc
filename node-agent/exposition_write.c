#include "node-agent/exposition_write.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAMILY_BYTES = 16 * 1024 * 1024 };

struct family {
    char *name; /* owned */
    struct buf page;
};

struct exposition_writer {
    struct metric_sink sink; /* first, so that a sink is a writer */
    struct family *families; /* owned */
    size_t count, room;
    int error;
};

/* ---- one line ---- */

static int put_escaped(struct buf *out, const char *text, bool quotes)
{
    int err = 0;
    for (; *text && err == 0; text++)
        if (*text == '\n')
            err = buf_append(out, "\\n", 2);
        else if (*text == '\\' || (quotes && *text == '"'))
            err = buf_printf(out, "\\%c", *text);
        else
            err = buf_append(out, text, 1);
    return err;
}

/* The shortest decimal that is read back as the same value. */
static int put_value(struct buf *out, double value)
{
    char text[40];
    if (isnan(value))
        return buf_append_string(out, "NaN");
    if (isinf(value))
        return buf_append_string(out, value > 0 ? "+Inf" : "-Inf");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return buf_append_string(out, text);
}

static int put_labels(struct buf *out, const char *const *labels)
{
    int err = 0;
    for (size_t i = 0; labels && labels[i] && err == 0; i += 2) {
        err = buf_printf(out, "%c%s=\"", i ? ',' : '{', labels[i]);
        if (err == 0)
            err = put_escaped(out, labels[i + 1], true);
        if (err == 0)
            err = buf_append(out, "\"", 1);
    }
    return err == 0 && labels && labels[0] ? buf_append(out, "}", 1) : err;
}

static int put_sample(struct buf *out, const char *name, const char *const *labels, double value)
{
    int err = buf_append_string(out, name);
    if (err == 0)
        err = put_labels(out, labels);
    if (err == 0)
        err = buf_append(out, " ", 1);
    if (err == 0)
        err = put_value(out, value);
    return err == 0 ? buf_append(out, "\n", 1) : err;
}

/* ---- families ---- */

static int put_head(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_UNTYPED] = "untyped"};
    int err = buf_printf(out, "# HELP %s ", name);
    if (err == 0)
        err = put_escaped(out, help, false);
    return err == 0 ? buf_printf(out, "\n# TYPE %s %s\n", name, types[type]) : err;
}

static int add_family(struct exposition_writer *writer, const char *name, enum metric_type type,
                      const char *help)
{
    if (writer->count == writer->room) {
        size_t room = writer->room ? 2 * writer->room : 64;
        struct family *families = realloc(writer->families, room * sizeof *families);
        if (!families)
            return -ENOMEM;
        writer->families = families;
        writer->room = room;
    }
    struct family *family = &writer->families[writer->count];
    family->name = strdup(name);
    if (!family->name)
        return -ENOMEM;
    buf_init(&family->page, FAMILY_BYTES);
    writer->count++;
    return put_head(&family->page, name, type, help);
}

/* The newest families first: samples of one come together. */
static struct family *find_family(const struct exposition_writer *writer, const char *name)
{
    for (size_t i = writer->count; i > 0; i--)
        if (strcmp(writer->families[i - 1].name, name) == 0)
            return &writer->families[i - 1];
    return NULL;
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    struct exposition_writer *writer = (struct exposition_writer *)sink;
    int err = writer->error;
    if (err == 0 && !find_family(writer, name))
        err = add_family(writer, name, type, help);
    if (err == 0)
        err = put_sample(&find_family(writer, name)->page, name, labels, value);
    writer->error = err;
}

struct exposition_writer *exposition_writer_new(void)
{
    struct exposition_writer *writer = calloc(1, sizeof *writer);
    if (writer)
        writer->sink.sample = put;
    return writer;
}

void exposition_writer_free(struct exposition_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->count; i++) {
        free(writer->families[i].name);
        buf_fini(&writer->families[i].page);
    }
    free(writer->families);
    free(writer);
}

struct metric_sink *exposition_writer_sink(struct exposition_writer *writer)
{
    return &writer->sink;
}

static int compare_families(const void *a, const void *b)
{
    const struct family *left = a, *right = b;
    return strcmp(left->name, right->name);
}

int exposition_writer_finish(struct exposition_writer *writer, struct buf *out)
{
    int err = writer->error;
    if (writer->count)
        qsort(writer->families, writer->count, sizeof *writer->families, compare_families);
    for (size_t i = 0; i < writer->count && err == 0; i++)
        err = buf_append(out, writer->families[i].page.ptr, writer->families[i].page.len);
    return err;
}
