#include "node-agent/exposition_write.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/exposition_value.h"

enum {
    FAMILY_BYTES = 16 * 1024 * 1024,
    MAX_LABELS = 64,
    FIRST_SLOTS = 256,
    IDLE_FAMILIES = 256 /* that many more than are in use are remembered */
};

struct line { /* of a family's page */
    size_t values, begin, end;
    unsigned labels, part; /* part: of a histogram or summary, 0 bounds, 1 sum, 2 count */
    double bound;
};

struct family {
    char *name; /* owned */
    size_t name_len, hash;
    enum metric_type type;
    struct buf help;    /* as it was given, with its NUL */
    struct buf head;    /* the lines HELP and TYPE */
    struct buf page;    /* per sample: the label values it is sorted by, each with a NUL, then its line */
    struct line *lines; /* owned */
    size_t line_count, line_room;
    bool unsorted; /* the lines did not come in their order */
};

struct exposition_writer {
    struct metric_sink sink;  /* first, so that a sink is a writer */
    struct family **families; /* owned; sorted by name once the page was finished */
    size_t count, room, used; /* used: with lines on this page */
    bool unsorted;
    struct family **slots; /* owned; hash table of them */
    size_t slot_count;
    int error;
};

/* ---- one line ---- */

static int put_escaped(struct buf *out, const char *text, size_t len, bool quotes)
{
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
        err = buf_append(out, i ? "," : "{", 1);
        if (err == 0)
            err = buf_append_string(out, pair[0]);
        if (err == 0)
            err = buf_append(out, "=\"", 2);
        if (err == 0)
            err = put_escaped(out, pair[1], strlen(pair[1]), true);
        if (err == 0)
            err = buf_append(out, "\"", 1);
    }
    return err == 0 && count ? buf_append(out, "}", 1) : err;
}

static int put_line(struct buf *out, const char *name, const char *const *labels, const unsigned *order,
                    unsigned count, double value)
{
    char text[EXPOSITION_VALUE_BYTES + 2];
    int err = buf_append_string(out, name);
    if (err == 0)
        err = put_labels(out, labels, order, count);
    size_t len = exposition_value_write(value, text + 1);
    text[0] = ' ';
    text[len + 1] = '\n';
    return err == 0 ? buf_append(out, text, len + 2) : err;
}

/* ---- families ---- */

static size_t hash_of(const char *name, size_t len)
{
    uint64_t hash = len, word;
    for (size_t i = 0; i < len; i += sizeof word) {
        word = 0;
        memcpy(&word, name + i, len - i < sizeof word ? len - i : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (size_t)hash;
}

/* The slot of the family's name in the hash table: its own, or the free one that it would get. */
static struct family **slot_of(const struct exposition_writer *writer, const char *name, size_t len,
                               size_t hash)
{
    for (size_t at = hash;; at++) {
        struct family **slot = &writer->slots[at & (writer->slot_count - 1)];
        const struct family *other = *slot;
        if (!other || (other->hash == hash && other->name_len == len && memcmp(other->name, name, len) == 0))
            return slot;
    }
}

static void fill_slots(struct exposition_writer *writer)
{
    memset(writer->slots, 0, writer->slot_count * sizeof(struct family *));
    for (size_t i = 0; i < writer->count; i++) {
        struct family *family = writer->families[i];
        *slot_of(writer, family->name, family->name_len, family->hash) = family;
    }
}

static int grow(struct exposition_writer *writer)
{
    size_t room = writer->room ? 2 * writer->room : FIRST_SLOTS;
    struct family **families = realloc(writer->families, room * sizeof(struct family *));
    if (!families)
        return -ENOMEM;
    writer->families = families;
    struct family **slots = calloc(2 * room, sizeof(struct family *));
    if (!slots)
        return -ENOMEM;
    free(writer->slots);
    writer->slots = slots;
    writer->slot_count = 2 * room;
    writer->room = room;
    fill_slots(writer);
    return 0;
}

static void family_free(struct family *family)
{
    free(family->name);
    free(family->lines);
    buf_fini(&family->help);
    buf_fini(&family->head);
    buf_fini(&family->page);
    free(family);
}

static int family_new(const char *name, size_t len, size_t hash, struct family **ret_family)
{
    struct family *family = calloc(1, sizeof *family);
    if (!family)
        return -ENOMEM;
    family->name = strndup(name, len);
    if (!family->name) {
        free(family);
        return -ENOMEM;
    }
    family->name_len = len;
    family->hash = hash;
    buf_init(&family->help, FAMILY_BYTES);
    buf_init(&family->head, FAMILY_BYTES);
    buf_init(&family->page, FAMILY_BYTES);
    *ret_family = family;
    return 0;
}

/* The head is that of a page's first sample; on most pages it is the last page's. */
static int put_head(struct family *family, enum metric_type type, const char *help)
{
    static const char *const types[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_UNTYPED] = "untyped",
                                        [METRIC_SUMMARY] = "summary",
                                        [METRIC_HISTOGRAM] = "histogram"};
    size_t len = strlen(help);
    if (family->head.len && family->type == type && family->help.len == len + 1 &&
        memcmp(family->help.ptr, help, len) == 0)
        return 0;
    buf_clear(&family->help);
    buf_clear(&family->head);
    family->type = type;
    int err = buf_append(&family->help, help, len + 1);
    if (err == 0)
        err = buf_printf(&family->head, "# HELP %s ", family->name);
    if (err == 0)
        err = put_escaped(&family->head, help, len, false);
    if (err == 0)
        err = buf_printf(&family->head, "\n# TYPE %s %s\n", family->name, types[type]);
    if (err < 0)
        buf_clear(&family->head);
    return err;
}

/* ---- samples ---- */

/* Fewer labels first, then by their values in the order of the labels' names, then by the part. */
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
    if (left->part != right->part)
        return left->part < right->part ? -1 : 1;
    if (left->bound < right->bound || left->bound > right->bound)
        return left->bound < right->bound ? -1 : 1;
    return (left->values > right->values) - (left->values < right->values);
}

static int add_line(struct family *family, struct line line)
{
    if (family->line_count == family->line_room) {
        size_t room = family->line_room ? 2 * family->line_room : 2;
        struct line *lines = realloc(family->lines, room * sizeof *lines);
        if (!lines)
            return -ENOMEM;
        family->lines = lines;
        family->line_room = room;
    }
    size_t at = family->line_count++;
    family->lines[at] = line;
    if (at > 0 && !family->unsorted)
        family->unsorted = compare_lines(&family->lines[at - 1], &family->lines[at], family->page.ptr) > 0;
    return 0;
}

static int add_sample(struct family *family, const char *name, enum metric_type type,
                      const char *const *labels, double value)
{
    const char *last = part_label(type);
    unsigned order[MAX_LABELS], count = order_labels(labels, last, order);
    unsigned keys = count && last && strcmp(labels[2 * order[count - 1]], last) == 0 ? count - 1 : count;
    struct line line = {.values = family->page.len, .labels = keys};
    if (last)
        line.part = strcmp(name + family->name_len, "_sum") == 0     ? 1
                    : strcmp(name + family->name_len, "_count") == 0 ? 2
                                                                     : 0;
    if (last && keys < count)
        line.bound = strtod(labels[2 * order[count - 1] + 1], NULL);
    int err = 0;
    for (unsigned i = 0; i < keys && err == 0; i++)
        err = buf_append(&family->page, labels[2 * order[i] + 1], strlen(labels[2 * order[i] + 1]) + 1);
    line.begin = family->page.len;
    if (err == 0)
        err = put_line(&family->page, name, labels, order, count, value);
    line.end = family->page.len;
    return err == 0 ? add_line(family, line) : err;
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

static int find_family(struct exposition_writer *writer, const char *name, size_t len,
                       struct family **ret_family)
{
    size_t hash = hash_of(name, len);
    int err = writer->count == writer->room ? grow(writer) : 0;
    if (err < 0)
        return err;
    struct family **slot = slot_of(writer, name, len, hash);
    if (!*slot) {
        err = family_new(name, len, hash, slot);
        if (err < 0)
            return err;
        writer->families[writer->count++] = *slot;
        writer->unsorted = true;
    }
    *ret_family = *slot;
    return 0;
}

static int put_sample(struct exposition_writer *writer, const char *name, enum metric_type type,
                      const char *help, const char *const *labels, double value)
{
    struct family *family;
    int err = find_family(writer, name, family_length(name, type), &family);
    if (err == 0 && family->line_count == 0) {
        err = put_head(family, type, help);
        writer->used++;
    }
    return err == 0 ? add_sample(family, name, type, labels, value) : err;
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    struct exposition_writer *writer = (struct exposition_writer *)sink;
    if (writer->error == 0)
        writer->error = put_sample(writer, name, type, help, labels, value);
}

/* ---- the page ---- */

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
    for (size_t i = 0; i < writer->count; i++)
        family_free(writer->families[i]);
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
    return strcmp((*(struct family *const *)a)->name, (*(struct family *const *)b)->name);
}

static int put_family(struct family *family, struct buf *out)
{
    if (family->line_count == 0)
        return 0;
    int err = buf_append(out, family->head.ptr, family->head.len);
    if (family->unsorted)
        qsort_r(family->lines, family->line_count, sizeof *family->lines, compare_lines, family->page.ptr);
    for (size_t i = 0; i < family->line_count && err == 0; i++)
        err = buf_append(out, family->page.ptr + family->lines[i].begin,
                         family->lines[i].end - family->lines[i].begin);
    return err;
}

/* Families that this page does not have go when they have become many. */
static void forget_idle(struct exposition_writer *writer)
{
    size_t kept = 0;
    if (writer->count - writer->used <= IDLE_FAMILIES)
        return;
    for (size_t i = 0; i < writer->count; i++)
        if (writer->families[i]->line_count)
            writer->families[kept++] = writer->families[i];
        else
            family_free(writer->families[i]);
    writer->count = kept;
    fill_slots(writer);
}

static void begin_page(struct exposition_writer *writer)
{
    forget_idle(writer);
    for (size_t i = 0; i < writer->count; i++) {
        struct family *family = writer->families[i];
        family->line_count = 0;
        family->unsorted = false;
        buf_clear(&family->page);
    }
    writer->used = 0;
    writer->error = 0;
}

int exposition_writer_finish(struct exposition_writer *writer, struct buf *out)
{
    int err = writer->error;
    if (writer->unsorted)
        qsort(writer->families, writer->count, sizeof(struct family *), compare_families);
    writer->unsorted = false;
    for (size_t i = 0; i < writer->count && err == 0; i++)
        err = put_family(writer->families[i], out);
    begin_page(writer);
    return err;
}
