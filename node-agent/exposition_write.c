#include "node-agent/exposition_write.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAMILY_BYTES = 16 * 1024 * 1024, MAX_LABELS = 64, FIRST_SLOTS = 256, PLAIN_DIGITS = 6 };

struct line { /* of a family's page */
    size_t values, begin, end;
    unsigned labels;
};

struct family {
    char *name; /* owned */
    struct buf head;
    struct buf page;    /* per sample: the label values it is sorted by, each with a NUL, then its line */
    struct line *lines; /* owned */
    size_t line_count, line_room;
};

struct exposition_writer {
    struct metric_sink sink; /* first, so that a sink is a writer */
    struct family *families; /* owned */
    size_t count, room;
    size_t *slots; /* owned; hash table of indices + 1 */
    size_t slot_count;
    int error;
};

/* ---- one line ---- */

static int put_escaped(struct buf *out, const char *text, bool quotes)
{
    int err = 0;
    while (*text && err == 0) {
        size_t plain = strcspn(text, quotes ? "\n\\\"" : "\n\\");
        err = buf_append(out, text, plain);
        text += plain;
        if (*text && err == 0)
            err = *text == '\n' ? buf_append(out, "\\n", 2) : buf_printf(out, "\\%c", *text);
        text += *text ? 1 : 0;
    }
    return err;
}

/* The shortest digits that are read back as the same value, as "d.ddde+XX". */
static void shortest(double value, char text[40])
{
    for (int digits = 14; digits <= 16; digits++) {
        snprintf(text, 40, "%.*e", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

/* Digits, without a point and trailing zeros, and the power of ten of the first. */
static void take_digits(double value, char digits[24], int *ret_power)
{
    char text[40];
    int count = 0;
    if (value < 1e15 && value == (double)(int64_t)value) {
        count = snprintf(digits, 24, "%lld", (long long)value);
        *ret_power = count - 1;
    } else {
        shortest(value, text);
        const char *exponent = strchr(text, 'e');
        *ret_power = atoi(exponent + 1);
        for (const char *c = text; c < exponent; c++)
            if (*c != '.')
                digits[count++] = *c;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
}

/* As Prometheus' own library writes it: Go's shortest 'g', with an exponent below 1e-4 and from 1e6 on. */
int exposition_put_value(struct buf *out, double value)
{
    char digits[24];
    int power;
    if (isnan(value))
        return buf_append_string(out, "NaN");
    if (isinf(value))
        return buf_append_string(out, value > 0 ? "+Inf" : "-Inf");
    if (signbit(value) && buf_append(out, "-", 1) < 0)
        return -ENOMEM;
    take_digits(fabs(value), digits, &power);
    int count = (int)strlen(digits);
    if (power < -4 || power >= PLAIN_DIGITS)
        return buf_printf(out, "%c%s%se%c%02d", digits[0], count > 1 ? "." : "", digits + 1,
                          power < 0 ? '-' : '+', abs(power));
    if (power < 0)
        return buf_printf(out, "0.%.*s%s", -power - 1, "0000", digits);
    if (count <= power + 1)
        return buf_printf(out, "%s%.*s", digits, power + 1 - count, "00000000");
    return buf_printf(out, "%.*s.%s", power + 1, digits, digits + power + 1);
}

/* The label that tells the parts of one histogram or summary apart; NULL for other types. */
static const char *part_label(enum metric_type type)
{
    return type == METRIC_HISTOGRAM ? "le" : type == METRIC_SUMMARY ? "quantile" : NULL;
}

static bool comes_after(const char *a, const char *b, const char *last)
{
    if (last && strcmp(b, last) == 0)
        return false;
    return (last && strcmp(a, last) == 0) || strcmp(a, b) > 0;
}

/* The indices of the label pairs in the order of their names, the one called last behind. */
static unsigned order_labels(const char *const *labels, const char *last, unsigned order[MAX_LABELS])
{
    unsigned count = 0;
    for (; labels && count < MAX_LABELS && labels[2 * count]; count++) {
        unsigned at = count;
        for (; at > 0 && comes_after(labels[2 * order[at - 1]], labels[2 * count], last); at--)
            order[at] = order[at - 1];
        order[at] = count;
    }
    return count;
}

static int put_labels(struct buf *out, const char *const *labels, const unsigned *order, unsigned count)
{
    int err = 0;
    for (unsigned i = 0; i < count && err == 0; i++) {
        const char *const *pair = &labels[2 * order[i]];
        err = buf_printf(out, "%c%s=\"", i ? ',' : '{', pair[0]);
        if (err == 0)
            err = put_escaped(out, pair[1], true);
        if (err == 0)
            err = buf_append(out, "\"", 1);
    }
    return err == 0 && count ? buf_append(out, "}", 1) : err;
}

static int put_line(struct buf *out, const char *name, const char *const *labels, const unsigned *order,
                    unsigned count, double value)
{
    int err = buf_append_string(out, name);
    if (err == 0)
        err = put_labels(out, labels, order, count);
    if (err == 0)
        err = buf_append(out, " ", 1);
    if (err == 0)
        err = exposition_put_value(out, value);
    return err == 0 ? buf_append(out, "\n", 1) : err;
}

/* ---- families ---- */

static int put_head(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_UNTYPED] = "untyped",
                                        [METRIC_SUMMARY] = "summary",
                                        [METRIC_HISTOGRAM] = "histogram"};
    int err = buf_printf(out, "# HELP %s ", name);
    if (err == 0)
        err = put_escaped(out, help, false);
    return err == 0 ? buf_printf(out, "\n# TYPE %s %s\n", name, types[type]) : err;
}

/* The slot of the family's name in the hash table: its own, or the free one that it would get. */
static size_t *slot_of(const struct exposition_writer *writer, const char *name, size_t len)
{
    size_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
    for (size_t at = hash;; at++) {
        size_t *slot = &writer->slots[at & (writer->slot_count - 1)];
        if (*slot == 0)
            return slot;
        const char *other = writer->families[*slot - 1].name;
        if (strncmp(other, name, len) == 0 && other[len] == '\0')
            return slot;
    }
}

static int grow(struct exposition_writer *writer)
{
    size_t room = writer->room ? 2 * writer->room : FIRST_SLOTS;
    struct family *families = realloc(writer->families, room * sizeof *families);
    if (!families)
        return -ENOMEM;
    writer->families = families;
    size_t *slots = calloc(2 * room, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(writer->slots);
    writer->slots = slots;
    writer->slot_count = 2 * room;
    writer->room = room;
    for (size_t i = 0; i < writer->count; i++)
        *slot_of(writer, families[i].name, strlen(families[i].name)) = i + 1;
    return 0;
}

static int add_family(struct exposition_writer *writer, const char *name, size_t len, enum metric_type type,
                      const char *help)
{
    struct family *family = &writer->families[writer->count];
    *family = (struct family){.name = strndup(name, len)};
    if (!family->name)
        return -ENOMEM;
    buf_init(&family->head, FAMILY_BYTES);
    buf_init(&family->page, FAMILY_BYTES);
    *slot_of(writer, name, len) = ++writer->count;
    return put_head(&family->head, family->name, type, help);
}

static int add_sample(struct family *family, const char *name, enum metric_type type,
                      const char *const *labels, double value)
{
    const char *last = part_label(type);
    unsigned order[MAX_LABELS], count = order_labels(labels, last, order);
    unsigned keys = count && last && strcmp(labels[2 * order[count - 1]], last) == 0 ? count - 1 : count;
    struct line line = {.values = family->page.len, .labels = keys};
    int err = 0;
    if (family->line_count == family->line_room) {
        size_t room = family->line_room ? 2 * family->line_room : 8;
        struct line *lines = realloc(family->lines, room * sizeof *lines);
        if (!lines)
            return -ENOMEM;
        family->lines = lines;
        family->line_room = room;
    }
    for (unsigned i = 0; i < keys && err == 0; i++)
        err = buf_append(&family->page, labels[2 * order[i] + 1], strlen(labels[2 * order[i] + 1]) + 1);
    line.begin = family->page.len;
    if (err == 0)
        err = put_line(&family->page, name, labels, order, count, value);
    line.end = family->page.len;
    if (err == 0)
        family->lines[family->line_count++] = line;
    return err;
}

/* How much of a sample's name is its family's: a summary's and a histogram's have parts. */
static size_t family_length(const char *name, enum metric_type type)
{
    static const char *const parts[] = {"_bucket", "_count", "_sum"};
    size_t len = strlen(name);
    for (int i = 0; (type == METRIC_SUMMARY || type == METRIC_HISTOGRAM) && i < 3; i++) {
        size_t part = strlen(parts[i]);
        if (len > part && strcmp(name + len - part, parts[i]) == 0)
            return len - part;
    }
    return len;
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    struct exposition_writer *writer = (struct exposition_writer *)sink;
    size_t len = family_length(name, type);
    int err = writer->error;
    if (err == 0 && writer->count == writer->room)
        err = grow(writer);
    if (err == 0 && *slot_of(writer, name, len) == 0)
        err = add_family(writer, name, len, type, help);
    if (err == 0) {
        struct family *family = &writer->families[*slot_of(writer, name, len) - 1];
        err = add_sample(family, name, type, labels, value);
    }
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
        free(writer->families[i].lines);
        buf_fini(&writer->families[i].head);
        buf_fini(&writer->families[i].page);
    }
    free(writer->families);
    free(writer->slots);
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

/* Fewer labels first, then by their values in the order of the labels' names. */
static int compare_lines(const void *a, const void *b, void *page)
{
    const struct line *left = a, *right = b;
    if (left->labels != right->labels)
        return left->labels < right->labels ? -1 : 1;
    const char *x = (const char *)page + left->values, *y = (const char *)page + right->values;
    for (unsigned i = 0; i < left->labels; i++) {
        int order = strcmp(x, y);
        if (order)
            return order;
        x += strlen(x) + 1;
        y += strlen(y) + 1;
    }
    return (left->values > right->values) - (left->values < right->values);
}

static int put_family(struct family *family, struct buf *out)
{
    int err = buf_append(out, family->head.ptr, family->head.len);
    if (family->line_count > 1)
        qsort_r(family->lines, family->line_count, sizeof *family->lines, compare_lines, family->page.ptr);
    for (size_t i = 0; i < family->line_count && err == 0; i++)
        err = buf_append(out, family->page.ptr + family->lines[i].begin,
                         family->lines[i].end - family->lines[i].begin);
    return err;
}

int exposition_writer_finish(struct exposition_writer *writer, struct buf *out)
{
    int err = writer->error;
    if (writer->count)
        qsort(writer->families, writer->count, sizeof *writer->families, compare_families);
    for (size_t i = 0; i < writer->count && err == 0; i++)
        err = put_family(&writer->families[i], out);
    return err;
}
