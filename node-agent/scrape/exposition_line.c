#include "node-agent/scrape/exposition_line.h"

#include <errno.h>
#include <stdlib.h>

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

/* The values that the line is sorted by, then its text from *ret_text on. */
static int put_bytes(struct buf *out, const char *name, const char *const *labels, const unsigned *order,
                     unsigned count, unsigned keys, size_t *ret_text)
{
    int err = 0;
    for (unsigned i = 0; i < keys && err == 0; i++)
        err = buf_append(out, labels[2 * order[i] + 1], strlen(labels[2 * order[i] + 1]) + 1);
    *ret_text = out->len;
    if (err == 0)
        err = buf_append_string(out, name);
    return err == 0 ? put_labels(out, labels, order, count) : err;
}

static int line_of(const struct buf *bytes, size_t text, struct exposition_line **ret_line)
{
    struct exposition_line *line = malloc(sizeof *line + bytes->len);
    if (!line)
        return -ENOMEM;
    *line =
        (struct exposition_line){.values = line->bytes, .text = line->bytes + text, .len = bytes->len - text};
    memcpy(line->bytes, bytes->ptr, bytes->len);
    *ret_line = line;
    return 0;
}

int exposition_line_new(const char *name, size_t family_len, enum metric_type type, const char *const *labels,
                        struct exposition_line **ret_line)
{
    const char *last = part_label(type), *part = name + family_len;
    unsigned order[MAX_LABELS], count = order_labels(labels, last, order);
    unsigned keys = count && last && strcmp(labels[2 * order[count - 1]], last) == 0 ? count - 1 : count;
    struct exposition_line *line = NULL;
    struct buf bytes;
    size_t text;
    buf_init(&bytes, LINE_BYTES);
    int err = put_bytes(&bytes, name, labels, order, count, keys, &text);
    if (err == 0)
        err = line_of(&bytes, text, &line);
    buf_fini(&bytes);
    if (err < 0)
        return err;
    line->label_count = keys;
    if (last)
        line->part = strcmp(part, "_sum") == 0 ? 1 : strcmp(part, "_count") == 0 ? 2 : 0;
    if (keys < count)
        line->bound = strtod(labels[2 * order[count - 1] + 1], NULL);
    *ret_line = line;
    return 0;
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
