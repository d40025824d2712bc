/* series_encode.c - labels and samples as bytes of prometheus.WriteRequest. */
#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"
#include "base/utf8.h"
#include "node-agent/scrape/series_internal.h"

enum { TAG_TIMESERIES = 0x0a, TAG_LABEL = 0x0a, TAG_NAME = 0x0a, TAG_VALUE = 0x12 };
enum { TAG_SAMPLE = 0x12, TAG_DOUBLE = 0x09, TAG_TIME = 0x10 };
enum { RENAMED_BYTES = 4096, SORT_BY_INSERTION = 24 };

struct context_label {
    struct bytes name, encoded; /* in the context's arena */
    bool external;
};

struct series_context {
    struct context_label *labels; /* owned; sorted by name */
    size_t count;
    uint8_t *arena; /* owned */
};

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static size_t label_content_size(const struct series_label *label)
{
    return 2 + pb_varint_size(label->name.len) + label->name.len + pb_varint_size(label->value.len) +
           label->value.len;
}

static size_t label_size(const struct series_label *label)
{
    size_t content = label_content_size(label);
    return 1 + pb_varint_size(content) + content;
}

static uint8_t *write_run(uint8_t *p, struct bytes run)
{
    if (run.len)
        memcpy(p, run.ptr, run.len);
    return p + run.len;
}

static uint8_t *write_label(uint8_t *p, const struct series_label *label)
{
    *p++ = TAG_LABEL;
    p = pb_write_varint(p, label_content_size(label));
    *p++ = TAG_NAME;
    p = write_run(pb_write_varint(p, label->name.len), label->name);
    *p++ = TAG_VALUE;
    return write_run(pb_write_varint(p, label->value.len), label->value);
}

/* ---- the context ---- */

static int compare_context(const void *a, const void *b)
{
    const struct context_label *left = a, *right = b;
    return compare_bytes(left->name, right->name);
}

static bool context_has(const struct series_context *context, struct bytes name)
{
    for (size_t i = 0; i < context->count; i++)
        if (bytes_equal(context->labels[i].name, name))
            return true;
    return false;
}

static int context_check(const struct series_label *label)
{
    bool valid = label->name.len > 0 && utf8_is_valid(label->name) && utf8_is_valid(label->value);
    return valid ? 0 : -EINVAL;
}

/* Writes the label at *at in the arena, which has room for it and for its name. */
static void context_put(struct series_context *context, const struct series_label *label, bool external,
                        uint8_t **at)
{
    uint8_t *name = *at, *encoded = write_run(name, label->name);
    *at = write_label(encoded, label);
    context->labels[context->count++] =
        (struct context_label){{name, label->name.len}, {encoded, (size_t)(*at - encoded)}, external};
}

static struct series_label label_of_pair(const struct conf_pair *pair)
{
    return (struct series_label){bytes_of_string(pair->key), bytes_of_string(pair->value)};
}

static int context_fill(struct series_context *context, const struct series_label *target,
                        size_t target_count, const struct conf_map *external)
{
    uint8_t *at = context->arena;
    for (size_t i = 0; i < target_count; i++) {
        if (context_check(&target[i]) < 0 || context_has(context, target[i].name))
            return -EINVAL;
        if (target[i].value.len)
            context_put(context, &target[i], false, &at);
    }
    for (size_t i = 0; external && i < external->count; i++) {
        struct series_label label = label_of_pair(&external->items[i]);
        if (context_check(&label) < 0)
            return -EINVAL;
        if (label.value.len && !context_has(context, label.name))
            context_put(context, &label, true, &at);
    }
    qsort(context->labels, context->count, sizeof *context->labels, compare_context);
    return 0;
}

static size_t arena_size(const struct series_label *target, size_t target_count,
                         const struct conf_map *external)
{
    size_t size = 1;
    for (size_t i = 0; i < target_count; i++)
        size += target[i].name.len + label_size(&target[i]);
    for (size_t i = 0; external && i < external->count; i++) {
        struct series_label label = label_of_pair(&external->items[i]);
        size += label.name.len + label_size(&label);
    }
    return size;
}

int series_context_new(const struct series_label *target, size_t target_count,
                       const struct conf_map *external, struct series_context **ret_context)
{
    size_t count = target_count + (external ? external->count : 0);
    if (count > SERIES_MAX_LABELS)
        return -E2BIG;
    struct series_context *context = calloc(1, sizeof *context);
    if (!context)
        return -ENOMEM;
    context->labels = calloc(count + 1, sizeof *context->labels);
    context->arena = malloc(arena_size(target, target_count, external));
    int err =
        context->labels && context->arena ? context_fill(context, target, target_count, external) : -ENOMEM;
    if (err < 0) {
        series_context_free(context);
        return err;
    }
    *ret_context = context;
    return 0;
}

void series_context_free(struct series_context *context)
{
    if (!context)
        return;
    free(context->labels);
    free(context->arena);
    free(context);
}

/* ---- one series' labels ---- */

struct labels { /* of one sample, while they are sorted and merged */
    struct series_label own[SERIES_MAX_LABELS + 1];
    size_t count;
    uint8_t renamed[RENAMED_BYTES]; /* names that got an exported_ */
    size_t renamed_used;
};

static int compare_labels(const void *a, const void *b)
{
    const struct series_label *left = a, *right = b;
    return compare_bytes(left->name, right->name);
}

static void sort_labels(struct series_label *labels, size_t count)
{
    if (count > SORT_BY_INSERTION) {
        qsort(labels, count, sizeof *labels, compare_labels);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct series_label moving = labels[i];
        size_t at = i;
        for (; at > 0 && compare_labels(&labels[at - 1], &moving) > 0; at--)
            labels[at] = labels[at - 1];
        labels[at] = moving;
    }
}

static int fail(enum series_fault fault, enum series_fault *ret_fault)
{
    *ret_fault = fault;
    return -EINVAL;
}

/* Copies, checks and sorts the sample's own labels, the name among them. */
static int gather(struct labels *all, enum series_clash clash, struct bytes name,
                  const struct series_label *labels, size_t count, enum series_fault *ret_fault)
{
    if (count > SERIES_MAX_LABELS)
        return fail(SERIES_TOO_MANY_LABELS, ret_fault);
    if (name.len == 0)
        return fail(SERIES_NO_NAME, ret_fault);
    all->own[0] = (struct series_label){bytes_of_string("__name__"), name};
    all->count = 1;
    for (size_t i = 0; i < count; i++)
        if (labels[i].value.len || clash == SERIES_HONOR)
            all->own[all->count++] = labels[i];
    for (size_t i = 0; i < all->count; i++) {
        if (all->own[i].name.len == 0)
            return fail(SERIES_NO_NAME, ret_fault);
        if (!utf8_is_valid(all->own[i].name) || !utf8_is_valid(all->own[i].value))
            return fail(SERIES_INVALID_UTF8, ret_fault);
    }
    sort_labels(all->own, all->count);
    for (size_t i = 1; i < all->count; i++)
        if (bytes_equal(all->own[i - 1].name, all->own[i].name))
            return fail(SERIES_DUPLICATE_LABEL, ret_fault);
    return 0;
}

static bool target_has(const struct series_context *context, struct bytes name)
{
    for (size_t i = 0; i < context->count; i++)
        if (!context->labels[i].external && bytes_equal(context->labels[i].name, name))
            return true;
    return false;
}

static bool own_has(const struct labels *all, struct bytes name)
{
    for (size_t i = 0; i < all->count; i++)
        if (bytes_equal(all->own[i].name, name))
            return true;
    return false;
}

/* Gives the label as many exported_ in front as it takes to be nobody's. */
static int rename_label(struct labels *all, const struct series_context *context, struct series_label *label)
{
    static const char prefix[] = "exported_";
    struct bytes name = label->name;
    do {
        size_t len = sizeof prefix - 1 + name.len;
        if (len > RENAMED_BYTES - all->renamed_used)
            return -E2BIG;
        uint8_t *at = all->renamed + all->renamed_used;
        memcpy(at, prefix, sizeof prefix - 1);
        memcpy(at + sizeof prefix - 1, name.ptr, name.len);
        all->renamed_used += len;
        name = (struct bytes){at, len};
    } while (own_has(all, name) || target_has(context, name));
    label->name = name;
    return 0;
}

static int rename_clashes(struct labels *all, const struct series_context *context,
                          enum series_fault *ret_fault)
{
    for (size_t i = 0; i < context->count; i++) {
        if (context->labels[i].external)
            continue;
        struct series_label key = {.name = context->labels[i].name};
        struct series_label *clashing = bsearch(&key, all->own, all->count, sizeof key, compare_labels);
        if (!clashing)
            continue;
        if (rename_label(all, context, clashing) < 0)
            return fail(SERIES_TOO_MANY_LABELS, ret_fault);
        sort_labels(all->own, all->count);
    }
    return 0;
}

struct part { /* one label of the result: the sample's or, already encoded, the context's */
    const struct series_label *own;
    struct bytes encoded;
};

/* Both are sorted by name. Where both have a name the sample's wins here (clashes that it must lose were
 * renamed); an empty one leaves an external label in place, takes a target's away, and is itself left out. */
static size_t merge(const struct labels *all, const struct series_context *context, struct part *parts,
                    size_t *ret_size)
{
    size_t own = 0, other = 0, count = 0, size = 0;
    while (own < all->count || other < context->count) {
        const struct series_label *mine = own < all->count ? &all->own[own] : NULL;
        const struct context_label *theirs = other < context->count ? &context->labels[other] : NULL;
        int order = !theirs ? -1 : !mine ? 1 : compare_bytes(mine->name, theirs->name);
        own += order <= 0;
        other += order >= 0;
        bool take_theirs = order > 0 || (order == 0 && theirs->external && mine->value.len == 0);
        if (take_theirs)
            parts[count++] = (struct part){NULL, theirs->encoded};
        else if (mine->value.len)
            parts[count++] = (struct part){mine, {0}};
        else
            continue;
        size += take_theirs ? theirs->encoded.len : label_size(mine);
    }
    *ret_size = size;
    return count;
}

int series_encode_labels(const struct series_context *context, enum series_clash clash, struct bytes name,
                         const struct series_label *labels, size_t label_count, struct buf *out,
                         enum series_fault *ret_fault)
{
    struct labels all;
    all.renamed_used = 0;
    int err = gather(&all, clash, name, labels, label_count, ret_fault);
    if (err == 0 && clash == SERIES_EXPORTED)
        err = rename_clashes(&all, context, ret_fault);
    if (err < 0)
        return err;
    struct part parts[2 * SERIES_MAX_LABELS + 1];
    size_t size, count = merge(&all, context, parts, &size);
    err = buf_reserve(out, size);
    if (err < 0)
        return err;
    uint8_t *p = out->ptr + out->len;
    for (size_t i = 0; i < count; i++)
        p = parts[i].own ? write_label(p, parts[i].own) : write_run(p, parts[i].encoded);
    out->len += size;
    return 0;
}

double series_stale_value(void)
{
    uint64_t bits = SERIES_STALE_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- chunks ---- */

struct series_chunk *series_chunk_new(size_t max_bytes)
{
    struct series_chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    buf_init(&chunk->bytes, max_bytes < SERIES_CHUNK_BYTES ? max_bytes : SERIES_CHUNK_BYTES);
    buf_init(&chunk->labels, SERIES_CHUNK_BYTES);
    return chunk;
}

void series_chunk_free(struct series_chunk *chunk)
{
    if (!chunk)
        return;
    buf_fini(&chunk->bytes);
    buf_fini(&chunk->labels);
    free(chunk->runs);
    free(chunk);
}

uint64_t series_chunk_samples(const struct series_chunk *chunk)
{
    return chunk->samples;
}

struct bytes series_chunk_bytes(const struct series_chunk *chunk)
{
    return buf_bytes(&chunk->bytes);
}

void series_chunk_fault(struct series_chunk *chunk, enum series_fault fault, uint64_t samples)
{
    chunk->faults[fault] += samples;
}

/* Makes sure that one more run fits. */
static int reserve_run(struct series_chunk *chunk)
{
    if (chunk->run_count < chunk->run_room)
        return 0;
    size_t room = chunk->run_room ? 2 * chunk->run_room : 1;
    struct series_run *runs = realloc(chunk->runs, room * sizeof *runs);
    if (!runs)
        return -ENOMEM;
    chunk->runs = runs;
    chunk->run_room = room;
    return 0;
}

static void extend_run(struct series_chunk *chunk, size_t begin, int64_t time_ms)
{
    struct series_run *last = chunk->run_count ? &chunk->runs[chunk->run_count - 1] : NULL;
    if (!last || last->time_ms != time_ms) {
        last = &chunk->runs[chunk->run_count++];
        *last = (struct series_run){.time_ms = time_ms, .begin = (uint32_t)begin};
    }
    last->end = (uint32_t)chunk->bytes.len;
    last->samples++;
    chunk->samples++;
}

int series_add_encoded(struct series_chunk *chunk, struct bytes labels, double value, int64_t time_ms)
{
    size_t sample = 1 + sizeof value + 1 + pb_varint_size((uint64_t)time_ms);
    size_t content = labels.len + 2 + sample;
    size_t begin = chunk->bytes.len;
    int err = reserve_run(chunk);
    if (err == 0)
        err = buf_reserve(&chunk->bytes, 1 + pb_varint_size(content) + content);
    if (err < 0)
        return err;
    uint8_t *p = chunk->bytes.ptr + begin;
    *p++ = TAG_TIMESERIES;
    p = write_run(pb_write_varint(p, content), labels);
    *p++ = TAG_SAMPLE;
    *p++ = (uint8_t)sample;
    *p++ = TAG_DOUBLE;
    memcpy(p, &value, sizeof value);
    p += sizeof value;
    *p++ = TAG_TIME;
    p = pb_write_varint(p, (uint64_t)time_ms);
    chunk->bytes.len = (size_t)(p - chunk->bytes.ptr);
    extend_run(chunk, begin, time_ms);
    return 0;
}

int series_add(struct series_chunk *chunk, const struct series_context *context, enum series_clash clash,
               struct bytes name, const struct series_label *labels, size_t label_count, double value,
               int64_t time_ms)
{
    enum series_fault fault;
    buf_clear(&chunk->labels);
    int err = series_encode_labels(context, clash, name, labels, label_count, &chunk->labels, &fault);
    if (err == -EINVAL)
        chunk->faults[fault]++;
    return err < 0 ? err : series_add_encoded(chunk, buf_bytes(&chunk->labels), value, time_ms);
}
