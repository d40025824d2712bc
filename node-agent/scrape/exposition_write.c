#include "node-agent/scrape/exposition_write.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "node-agent/scrape/constant_memory.h"
#include "node-agent/scrape/exposition_families.h"
#include "node-agent/scrape/exposition_line.h"
#include "node-agent/scrape/exposition_value.h"

enum { PAGE_BYTES = 64 * 1024 * 1024, LOOK_AHEAD = 16, FIRST_ROOM = 256 };

/* A page is nearly always the last one with other values: the same samples are put in the same order. So what
 * a page needs of a sample stands close together, in the order of putting (struct sample) and in the order of
 * the page (struct place); lines and families are only looked at when samples came or went. */
struct sample {
    uint64_t identity; /* of its name, type and labels */
    uint64_t head;     /* of its help if it is the first of its family, else 0 */
    double value;
    size_t place;
    struct exposition_line *line; /* owned */
    struct exposition_family *family;
};

struct sample_list {
    struct sample *items; /* owned */
    size_t count, room;
};

struct place {
    size_t fixed; /* how many bytes of the page's fixed text stand before the value */
    size_t len;
    char value[EXPOSITION_VALUE_BYTES + 2]; /* a blank, the value, a newline */
};

struct exposition_writer {
    struct metric_sink sink; /* first, so that a sink is a writer */
    struct constant_memory constants;
    uint64_t seed, page;
    struct sample_list last; /* the last page's samples */
    size_t at;               /* in last: where the next one is expected; those before are on this page too */
    bool changed; /* the page is another one: what it has is in now, and last has only what follows at */
    struct sample_list now;
    struct exposition_families families;
    struct buf fixed;     /* heads, names and labels in the order of the page */
    struct place *places; /* owned; last.count, in that order */
    size_t bytes;         /* of all lines */
    int error;
};

/* ---- identities ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A literal is known by its address. */
static uint64_t mix_string(const struct exposition_writer *writer, uint64_t hash, const char *string)
{
    uint64_t word;
    if (constant_memory_has(&writer->constants, string))
        return mix(hash, (uintptr_t)string);
    size_t len = strlen(string), i = 0;
    hash = mix(hash, len);
    for (; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, string + i, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, string + i, len - i);
    return mix(hash, word);
}

/* Two samples are the same one when these 64 bits are: with the seed drawn at the start, nobody can make two
 * that are taken for each other. */
static uint64_t identity_of(const struct exposition_writer *writer, const char *name, enum metric_type type,
                            const char *const *labels)
{
    uint64_t hash = mix_string(writer, mix(writer->seed, type), name);
    for (; labels && *labels; labels++)
        hash = mix_string(writer, hash, *labels);
    return hash;
}

static uint64_t head_of(const struct exposition_writer *writer, const char *help)
{
    return mix_string(writer, writer->seed, help) | 1;
}

/* ---- a page that is another one ---- */

static int list_add(struct sample_list *list, struct sample sample)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : FIRST_ROOM;
        struct sample *items = realloc(list->items, room * sizeof *items);
        if (!items)
            return -ENOMEM;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = sample;
    return 0;
}

static void drop(struct exposition_writer *writer, const struct sample *sample)
{
    sample->family->lines--;
    writer->bytes -= sample->line->len;
    free(sample->line);
}

/* What was put so far goes into now. */
static int begin_change(struct exposition_writer *writer)
{
    int err = 0;
    size_t moved = 0;
    writer->now.count = 0;
    for (; moved < writer->at && err == 0; moved++) {
        err = list_add(&writer->now, writer->last.items[moved]);
        writer->last.items[moved].family->page = writer->page;
    }
    if (err < 0)
        return err; /* nothing has moved */
    writer->changed = true;
    return 0;
}

/* The sample as the last page had it, if it is not far off; what stands before it there has gone. */
static bool take_last(struct exposition_writer *writer, uint64_t identity, struct sample *ret_sample)
{
    size_t end = writer->at + LOOK_AHEAD < writer->last.count ? writer->at + LOOK_AHEAD : writer->last.count;
    for (size_t i = writer->at; i < end; i++) {
        if (writer->last.items[i].identity != identity)
            continue;
        while (writer->at < i)
            drop(writer, &writer->last.items[writer->at++]);
        *ret_sample = writer->last.items[writer->at++];
        return true;
    }
    return false;
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

static int make_sample(struct exposition_writer *writer, uint64_t identity, const char *name,
                       enum metric_type type, const char *const *labels, struct sample *ret_sample)
{
    struct sample sample = {.identity = identity};
    size_t len = family_length(name, type);
    int err = exposition_families_find(&writer->families, name, len, &sample.family);
    if (err == 0)
        err = writer->bytes < PAGE_BYTES ? exposition_line_new(name, len, type, labels, &sample.line)
                                         : -EMSGSIZE;
    if (err < 0)
        return err;
    sample.family->lines++;
    writer->bytes += sample.line->len;
    *ret_sample = sample;
    return 0;
}

/* Of a page's samples of a family the first one's type and help are the family's. */
static int describe(struct exposition_writer *writer, struct sample *sample, enum metric_type type,
                    const char *help)
{
    sample->head = 0;
    if (sample->family->page == writer->page)
        return 0;
    sample->family->page = writer->page;
    sample->head = head_of(writer, help);
    return exposition_families_describe(sample->family, type, help);
}

static int put_changed(struct exposition_writer *writer, uint64_t identity, const char *name,
                       enum metric_type type, const char *help, const char *const *labels, double value)
{
    struct sample sample = {0};
    int err = writer->changed ? 0 : begin_change(writer);
    if (err == 0 && !take_last(writer, identity, &sample))
        err = make_sample(writer, identity, name, type, labels, &sample);
    if (err < 0)
        return err;
    sample.value = value;
    err = describe(writer, &sample, type, help);
    if (err == 0)
        err = list_add(&writer->now, sample);
    if (err < 0)
        drop(writer, &sample);
    return err;
}

/* ---- a page like the last one ---- */

static void set_value(struct place *place, double value)
{
    size_t len = exposition_value_write(value, place->value + 1);
    place->value[0] = ' ';
    place->value[len + 1] = '\n';
    place->len = len + 2;
}

static bool is_expected(const struct exposition_writer *writer, const struct sample *sample,
                        uint64_t identity, const char *help)
{
    return sample->identity == identity && (!sample->head || sample->head == head_of(writer, help));
}

static void put(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                const char *const *labels, double value)
{
    struct exposition_writer *writer = (struct exposition_writer *)sink;
    if (writer->error < 0)
        return;
    uint64_t identity = identity_of(writer, name, type, labels);
    if (writer->changed || writer->at == writer->last.count ||
        !is_expected(writer, &writer->last.items[writer->at], identity, help)) {
        writer->error = put_changed(writer, identity, name, type, help, labels, value);
        return;
    }
    struct sample *sample = &writer->last.items[writer->at];
    writer->at++;
    if (memcmp(&sample->value, &value, sizeof value) == 0)
        return;
    sample->value = value;
    set_value(&writer->places[sample->place], value);
}

/* ---- the page ---- */

struct exposition_writer *exposition_writer_new(void)
{
    struct exposition_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return NULL;
    writer->sink.sample = put;
    writer->constants = constant_memory_find();
    writer->page = 1;
    if (getrandom(&writer->seed, sizeof writer->seed, GRND_NONBLOCK) < 0)
        writer->seed = (uintptr_t)writer;
    buf_init(&writer->fixed, 2 * PAGE_BYTES);
    return writer;
}

/* All samples go; the next page begins anew. */
static void forget_all(struct exposition_writer *writer)
{
    for (size_t i = writer->changed ? writer->at : 0; i < writer->last.count; i++)
        drop(writer, &writer->last.items[i]);
    for (size_t i = 0; writer->changed && i < writer->now.count; i++)
        drop(writer, &writer->now.items[i]);
    writer->last.count = writer->now.count = 0;
    writer->changed = false;
    buf_clear(&writer->fixed);
    exposition_families_forget_unused(&writer->families);
}

void exposition_writer_free(struct exposition_writer *writer)
{
    if (!writer)
        return;
    forget_all(writer);
    exposition_families_fini(&writer->families);
    free(writer->last.items);
    free(writer->now.items);
    free(writer->places);
    buf_fini(&writer->fixed);
    free(writer);
}

struct metric_sink *exposition_writer_sink(struct exposition_writer *writer)
{
    return &writer->sink;
}

static int compare(const void *a, const void *b)
{
    const struct sample *left = *(struct sample *const *)a, *right = *(struct sample *const *)b;
    return left->family != right->family ? strcmp(left->family->name, right->family->name)
                                         : exposition_line_compare(left->line, right->line);
}

/* The samples as the page has them, one behind the other. */
static int lay_out(struct exposition_writer *writer, struct sample *const *sorted)
{
    const struct exposition_family *family = NULL;
    int err = 0;
    buf_clear(&writer->fixed);
    for (size_t i = 0; i < writer->last.count && err == 0; i++) {
        struct sample *sample = sorted[i];
        size_t begin = writer->fixed.len;
        if (sample->family != family) {
            family = sample->family;
            err = buf_append(&writer->fixed, family->head.ptr, family->head.len);
        }
        if (err == 0)
            err = buf_append(&writer->fixed, sample->line->text, sample->line->len);
        sample->place = i;
        writer->places[i].fixed = writer->fixed.len - begin;
        set_value(&writer->places[i], sample->value);
    }
    return err;
}

/* The page is another one than the last: what it has becomes last. */
static int settle(struct exposition_writer *writer)
{
    struct sample_list before = writer->last;
    while (writer->at < before.count)
        drop(writer, &before.items[writer->at++]);
    writer->last = writer->now;
    writer->now = before;
    writer->now.count = 0;
    writer->changed = false;
    exposition_families_forget_unused(&writer->families);
    size_t count = writer->last.count;
    struct place *places = realloc(writer->places, (count + 1) * sizeof *places);
    struct sample **sorted = calloc(count + 1, sizeof *sorted);
    writer->places = places ? places : writer->places;
    int err = places && sorted ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && err == 0; i++) {
        sorted[i] = &writer->last.items[i];
        sorted[i]->line->sequence = i;
    }
    if (err == 0) {
        qsort(sorted, count, sizeof *sorted, compare);
        err = lay_out(writer, sorted);
    }
    free(sorted);
    return err;
}

static int put_page(const struct exposition_writer *writer, struct buf *out)
{
    size_t len = writer->fixed.len;
    for (size_t i = 0; i < writer->last.count; i++)
        len += writer->places[i].len;
    int err = buf_reserve(out, len);
    if (err < 0)
        return err;
    uint8_t *to = out->ptr + out->len;
    const uint8_t *from = writer->fixed.ptr;
    for (size_t i = 0; i < writer->last.count; i++) {
        const struct place *place = &writer->places[i];
        memcpy(to, from, place->fixed);
        memcpy(to + place->fixed, place->value, place->len);
        from += place->fixed;
        to += place->fixed + place->len;
    }
    out->len += len;
    return 0;
}

int exposition_writer_finish(struct exposition_writer *writer, struct buf *out)
{
    int err = writer->error;
    if (err == 0 && !writer->changed && writer->at < writer->last.count)
        err = begin_change(writer);
    if (err == 0 && writer->changed)
        err = settle(writer);
    if (err < 0)
        forget_all(writer);
    else
        err = put_page(writer, out);
    writer->at = 0;
    writer->page++;
    writer->error = 0;
    return err;
}
