#include "node-agent/exposition_write.h"

#include <errno.h>
#include <stdlib.h>

#include "node-agent/exposition_line.h"

enum { HEAD_BYTES = 1024 * 1024, PAGE_BYTES = 64 * 1024 * 1024, FIRST_SLOTS = 256, LOOK_AHEAD = 16 };

struct family {
    char *name; /* owned */
    size_t name_len, hash;
    enum metric_type type;
    struct buf help; /* as it was given, with its NUL */
    struct buf head; /* the lines HELP and TYPE */
    uint64_t page;   /* the last one with a line of it */
    size_t lines;    /* of it in the list */
};

/* The lines of the last page in the order in which they were put, which is that of the next page too, but
 * for what came and what went. */
struct exposition_writer {
    struct metric_sink sink;        /* first, so that a sink is a writer */
    struct exposition_line *lines;  /* owned; a list */
    struct exposition_line **place; /* in it: where the next sample is expected */
    size_t kept, bytes;             /* lines in the list, about their memory */
    size_t put;                     /* of them on this page */
    uint64_t page;
    struct exposition_line **sorted; /* owned; the list, in the order of the page */
    size_t sorted_room;
    bool changed;             /* sorted is not the list any more */
    struct family **families; /* owned */
    size_t count, room;
    struct family **slots; /* owned; hash table of them */
    size_t slot_count;
    int error;
};

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
    buf_fini(&family->help);
    buf_fini(&family->head);
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
    buf_init(&family->help, HEAD_BYTES);
    buf_init(&family->head, HEAD_BYTES);
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
    if (family->head.len && family->type == type && strcmp((const char *)family->help.ptr, help) == 0)
        return 0;
    buf_clear(&family->help);
    buf_clear(&family->head);
    family->type = type;
    int err = buf_append(&family->help, help, strlen(help) + 1);
    if (err == 0)
        err = buf_printf(&family->head, "# HELP %s ", family->name);
    if (err == 0)
        err = exposition_line_escape(&family->head, help, false);
    if (err == 0)
        err = buf_printf(&family->head, "\n# TYPE %s %s\n", family->name, types[type]);
    if (err < 0)
        buf_clear(&family->head);
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
    }
    *ret_family = *slot;
    return 0;
}

/* ---- samples ---- */

/* The sample's line of the last page, if it is not far behind the place; place is there then. */
static struct exposition_line *find_line(struct exposition_writer *writer, const char *name,
                                         enum metric_type type, const char *const *labels)
{
    struct exposition_line **at = writer->place;
    for (int i = 0; *at && i < LOOK_AHEAD; i++, at = &(*at)->next)
        if (exposition_line_is(*at, name, type, labels)) {
            writer->place = at;
            return *at;
        }
    return NULL;
}

static size_t size_of(const struct exposition_line *line)
{
    return sizeof *line + (size_t)(line->text - line->bytes) + line->len;
}

/* A new line at the place. */
static int add_line(struct exposition_writer *writer, const char *name, enum metric_type type,
                    const char *const *labels, double value, struct exposition_line **ret_line)
{
    struct family *family;
    struct exposition_line *line;
    size_t len = family_length(name, type);
    int err = find_family(writer, name, len, &family);
    if (err == 0)
        err = writer->bytes < PAGE_BYTES ? exposition_line_new(name, len, type, labels, value, &line)
                                         : -EMSGSIZE;
    if (err < 0)
        return err;
    line->family = family;
    family->lines++;
    line->next = *writer->place;
    *writer->place = line;
    writer->kept++;
    writer->bytes += size_of(line);
    writer->changed = true;
    *ret_line = line;
    return 0;
}

static int put_sample(struct exposition_writer *writer, const char *name, enum metric_type type,
                      const char *help, const char *const *labels, double value)
{
    struct exposition_line *line = find_line(writer, name, type, labels);
    int err = 0;
    if (line)
        exposition_line_set(line, value);
    else
        err = add_line(writer, name, type, labels, value, &line);
    if (err < 0)
        return err;
    line->page = writer->page;
    writer->put++;
    writer->place = &line->next;
    struct family *family = line->family;
    if (family->page == writer->page)
        return 0;
    family->page = writer->page;
    return put_head(family, type, help);
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
    if (!writer)
        return NULL;
    writer->sink.sample = put;
    writer->place = &writer->lines;
    writer->page = 1;
    return writer;
}

void exposition_writer_free(struct exposition_writer *writer)
{
    if (!writer)
        return;
    for (struct exposition_line *line = writer->lines, *next; line; line = next) {
        next = line->next;
        free(line);
    }
    for (size_t i = 0; i < writer->count; i++)
        family_free(writer->families[i]);
    free(writer->families);
    free(writer->slots);
    free(writer->sorted);
    free(writer);
}

struct metric_sink *exposition_writer_sink(struct exposition_writer *writer)
{
    return &writer->sink;
}

static void forget_unused_families(struct exposition_writer *writer)
{
    size_t kept = 0;
    for (size_t i = 0; i < writer->count; i++)
        if (writer->families[i]->lines)
            writer->families[kept++] = writer->families[i];
        else
            family_free(writer->families[i]);
    writer->count = kept;
    if (writer->slots)
        fill_slots(writer);
}

/* Lines that were not put on this page go. */
static void forget_gone_lines(struct exposition_writer *writer)
{
    struct exposition_line **at = &writer->lines;
    while (*at) {
        struct exposition_line *line = *at;
        if (line->page == writer->page) {
            at = &line->next;
            continue;
        }
        *at = line->next;
        ((struct family *)line->family)->lines--;
        writer->kept--;
        free(line);
    }
    forget_unused_families(writer);
}

static int compare_lines(const void *a, const void *b)
{
    const struct exposition_line *left = *(struct exposition_line *const *)a;
    const struct exposition_line *right = *(struct exposition_line *const *)b;
    if (left->family != right->family)
        return strcmp(((const struct family *)left->family)->name,
                      ((const struct family *)right->family)->name);
    return exposition_line_compare(left, right);
}

static int sort(struct exposition_writer *writer)
{
    forget_gone_lines(writer);
    if (writer->sorted_room < writer->kept) {
        struct exposition_line **sorted = realloc(writer->sorted, 2 * writer->kept * sizeof *sorted);
        if (!sorted)
            return -ENOMEM;
        writer->sorted = sorted;
        writer->sorted_room = 2 * writer->kept;
    }
    size_t count = 0;
    writer->bytes = 0;
    for (struct exposition_line *line = writer->lines; line; line = line->next) {
        line->sequence = count;
        writer->sorted[count++] = line;
        writer->bytes += size_of(line);
    }
    if (count)
        qsort(writer->sorted, count, sizeof *writer->sorted, compare_lines);
    writer->changed = false;
    return 0;
}

static int put_lines(const struct exposition_writer *writer, struct buf *out)
{
    const struct family *family = NULL;
    int err = 0;
    for (size_t i = 0; i < writer->kept && err == 0; i++) {
        const struct exposition_line *line = writer->sorted[i];
        if (line->family != family) {
            family = line->family;
            err = buf_append(out, family->head.ptr, family->head.len);
        }
        if (err == 0)
            err = buf_append(out, line->text, line->len);
    }
    return err;
}

int exposition_writer_finish(struct exposition_writer *writer, struct buf *out)
{
    int err = writer->error;
    if (err == 0 && (writer->changed || writer->put != writer->kept))
        err = sort(writer);
    if (err == 0)
        err = put_lines(writer, out);
    else
        writer->changed = true;
    writer->place = &writer->lines;
    writer->put = 0;
    writer->page++;
    writer->error = 0;
    return err;
}
