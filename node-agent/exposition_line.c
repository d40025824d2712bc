#include "node-agent/exposition_line.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/exposition_value.h"

enum { LINE_BYTES = 16 * 1024 * 1024, MAX_LABELS = 64 };

int exposition_line_escape(struct buf *out, const char *text, bool quotes)
{
    size_t len = strlen(text);
    int err = 0;
    if (!memchr(text, '\n', len) && !memchr(text, '\\', len) && (!quotes || !memchr(text, '"', len)))
        return buf_append(out, text, len);
    for (size_t i = 0; i < len && err == 0; i++) {
        char c = text[i];
        bool escaped = c == '\n' || c == '\\' || (quotes && c == '"');
        err = !escaped    ? buf_append(out, &c, 1)
              : c == '\n' ? buf_append(out, "\\n", 2)
                          : buf_append(out, (char[]){'\\', c}, 2);
    }
    return err;
}

/* ---- the order of the labels ---- */

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

/* ---- a line's bytes ---- */

static int put_given(struct buf *out, const char *string)
{
    size_t len = strlen(string);
    int err = buf_append(out, &len, sizeof len);
    return err == 0 ? buf_append(out, string, len + 1) : err;
}

static int put_labels(struct buf *out, const char *const *labels, const unsigned *order, unsigned count)
{
    int err = 0;
    for (unsigned i = 0; i < count && err == 0; i++) {
        const char *const *pair = &labels[2 * order[i]];
        err = buf_append(out, i ? "," : "{", 1);
        if (err == 0)
            err = buf_append_string(out, pair[0]);
        if (err == 0)
            err = buf_append(out, "=\"", 2);
        if (err == 0)
            err = exposition_line_escape(out, pair[1], true);
        if (err == 0)
            err = buf_append(out, "\"", 1);
    }
    return err == 0 && count ? buf_append(out, "}", 1) : err;
}

/* Everything behind the struct; tells in line where what is, as offsets from there. */
struct layout {
    size_t values, text, prefix;
};

static int put_bytes(struct buf *out, const char *name, const char *const *labels, const unsigned *order,
                     unsigned count, unsigned keys, struct layout *ret_layout)
{
    int err = put_given(out, name);
    for (size_t i = 0; labels && labels[i] && i < 2 * MAX_LABELS && err == 0; i++)
        err = put_given(out, labels[i]);
    struct layout layout = {.values = out->len};
    for (unsigned i = 0; i < keys && err == 0; i++)
        err = buf_append(out, labels[2 * order[i] + 1], strlen(labels[2 * order[i] + 1]) + 1);
    layout.text = out->len;
    if (err == 0)
        err = buf_append_string(out, name);
    if (err == 0)
        err = put_labels(out, labels, order, count);
    layout.prefix = out->len - layout.text;
    *ret_layout = layout;
    return err;
}

static int line_of(const struct buf *bytes, const struct layout *layout, struct exposition_line **ret_line)
{
    /* behind the prefix: a blank, the value, a newline */
    struct exposition_line *line = malloc(sizeof *line + bytes->len + EXPOSITION_VALUE_BYTES + 2);
    if (!line)
        return -ENOMEM;
    memset(line, 0, sizeof *line);
    memcpy(line->bytes, bytes->ptr, bytes->len);
    line->given = line->bytes;
    line->values = line->bytes + layout->values;
    line->text = line->bytes + layout->text;
    line->prefix = layout->prefix;
    *ret_line = line;
    return 0;
}

static void write_value(struct exposition_line *line, double value)
{
    char *at = line->text + line->prefix;
    *at = ' ';
    size_t len = exposition_value_write(value, at + 1);
    at[len + 1] = '\n';
    line->value = value;
    line->len = line->prefix + len + 2;
}

int exposition_line_new(const char *name, size_t family_len, enum metric_type type, const char *const *labels,
                        double value, struct exposition_line **ret_line)
{
    const char *last = part_label(type);
    unsigned order[MAX_LABELS], count = order_labels(labels, last, order);
    unsigned keys = count && last && strcmp(labels[2 * order[count - 1]], last) == 0 ? count - 1 : count;
    struct exposition_line *line = NULL;
    struct layout layout;
    struct buf bytes;
    buf_init(&bytes, LINE_BYTES);
    int err = put_bytes(&bytes, name, labels, order, count, keys, &layout);
    if (err == 0)
        err = line_of(&bytes, &layout, &line);
    buf_fini(&bytes);
    if (err < 0)
        return err;
    line->type = type;
    line->label_count = keys;
    line->given_count = 1 + 2 * count;
    if (last)
        line->part = strcmp(name + family_len, "_sum") == 0     ? 1
                     : strcmp(name + family_len, "_count") == 0 ? 2
                                                                : 0;
    if (keys < count)
        line->bound = strtod(labels[2 * order[count - 1] + 1], NULL);
    write_value(line, value);
    *ret_line = line;
    return 0;
}

void exposition_line_set(struct exposition_line *line, double value)
{
    if (memcmp(&line->value, &value, sizeof value) != 0)
        write_value(line, value);
}

/* ---- comparing ---- */

/* Whether the string is the one that was given there; at moves behind it. */
static inline bool is_given(const char **at, const char *string)
{
    size_t len;
    memcpy(&len, *at, sizeof len);
    if (strcmp(*at + sizeof len, string) != 0)
        return false;
    *at += sizeof len + len + 1;
    return true;
}

bool exposition_line_is(const struct exposition_line *line, const char *name, enum metric_type type,
                        const char *const *labels)
{
    const char *at = line->given;
    size_t i = 0;
    if (line->type != type || !is_given(&at, name))
        return false;
    for (; i + 1 < line->given_count && labels && labels[i]; i++)
        if (!is_given(&at, labels[i]))
            return false;
    return i + 1 == line->given_count && (!labels || !labels[i] || i == 2 * MAX_LABELS);
}

int exposition_line_compare(const struct exposition_line *left, const struct exposition_line *right)
{
    if (left->label_count != right->label_count)
        return left->label_count < right->label_count ? -1 : 1;
    const char *x = left->values, *y = right->values;
    for (unsigned i = 0; i < left->label_count; i++) {
        int order = strcmp(x, y);
        if (order)
            return order;
        x += strlen(x) + 1;
        y += strlen(y) + 1;
    }
    if (left->part != right->part)
        return left->part < right->part ? -1 : 1;
    if (left->bound < right->bound || left->bound > right->bound)
        return left->bound < right->bound ? -1 : 1;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}
