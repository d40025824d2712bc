#include "gateway/translate/series_list.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"

enum { REQUEST_SERIES = 1, SERIES_LABELS = 1, SERIES_SAMPLES = 2, SERIES_HISTOGRAMS = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2, SAMPLE_VALUE = 1, SAMPLE_TIME = 2 };

void series_list_init(struct series_list *list)
{
    *list = (struct series_list){0};
    buf_init(&list->bytes, TRANSLATE_MAX_BYTES);
}

void series_list_fini(struct series_list *list)
{
    buf_fini(&list->bytes);
    free(list->entries);
    free(list->seen);
    *list = (struct series_list){0};
}

void series_list_clear(struct series_list *list, size_t keep)
{
    buf_release(&list->bytes, keep);
    if (list->room * sizeof *list->entries > keep) {
        free(list->entries);
        list->entries = NULL;
        list->room = 0;
    }
    if (list->seen_room * sizeof *list->seen > keep) {
        free(list->seen);
        list->seen = NULL;
        list->seen_room = 0;
    }
    list->count = 0;
    list->goes_back = false;
}

/* Eight bytes at a time; the length goes in, so that runs of labels cannot be shifted against each other. */
uint64_t series_hash(uint64_t hash, struct bytes bytes)
{
    const uint64_t prime = UINT64_C(0x9e3779b97f4a7c15);
    hash ^= bytes.len * prime;
    for (; bytes.len >= 8; bytes = bytes_skip(bytes, 8)) {
        uint64_t word;
        memcpy(&word, bytes.ptr, sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.ptr[i]) * prime;
    return hash ^ hash >> 32;
}

/* ---- writing a series */

static size_t label_size(const struct otlp_label *label)
{
    return 1 + pb_varint_size(label->name.len) + label->name.len + 1 + pb_varint_size(label->value.len) +
           label->value.len;
}

static int put_label(struct buf *out, const struct otlp_label *label)
{
    size_t inner = label_size(label);
    int err = buf_reserve(out, 1 + PB_MAX_VARINT + inner);
    if (err < 0)
        return err;
    uint8_t *p = out->ptr + out->len;
    p = pb_write_varint(pb_write_tag(p, SERIES_LABELS, PB_LEN), inner);
    p = pb_write_varint(pb_write_tag(p, LABEL_NAME, PB_LEN), label->name.len);
    p = mempcpy(p, label->name.ptr, label->name.len);
    p = pb_write_varint(pb_write_tag(p, LABEL_VALUE, PB_LEN), label->value.len);
    if (label->value.len)
        p = mempcpy(p, label->value.ptr, label->value.len);
    out->len = (size_t)(p - out->ptr);
    return 0;
}

static int compare_names(struct bytes a, struct bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, least);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* labels with the extras (sorted) merged in; an extra replaces a label of its name. */
static int put_labels(struct buf *out, const struct otlp_labels *labels, const struct otlp_label *extras,
                      size_t extra_count)
{
    size_t next = 0;
    int err = 0;
    for (size_t i = 0; i < labels->count && err == 0; i++) {
        int order = -1;
        while (next < extra_count && err == 0 &&
               (order = compare_names(extras[next].name, labels->items[i].name)) < 0)
            err = put_label(out, &extras[next++]);
        bool is_replaced = next < extra_count && order == 0;
        if (err == 0 && !is_replaced)
            err = put_label(out, &labels->items[i]);
    }
    for (; next < extra_count && err == 0; next++)
        err = put_label(out, &extras[next]);
    return err;
}

static int put_sample(struct buf *out, int64_t time_ms, struct series_value value)
{
    size_t mark;
    int err = buf_append(out, value.exemplars.ptr, value.exemplars.len);
    if (err < 0)
        return err;
    if (value.histogram.ptr)
        return pb_put_bytes(out, SERIES_HISTOGRAMS, value.histogram);
    err = pb_begin(out, SERIES_SAMPLES, &mark);
    if (err == 0)
        err = pb_put_fixed64(out, SAMPLE_VALUE, value.bits);
    if (err == 0)
        err = pb_put_varint(out, SAMPLE_TIME, (uint64_t)time_ms);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

static int grow(struct series_list *list)
{
    if (list->count < list->room)
        return 0;
    size_t room = list->room ? list->room * 2 : 256;
    if (room > TRANSLATE_MAX_RECORDS)
        return -EMSGSIZE;
    struct series_entry *grown = realloc(list->entries, room * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    list->entries = grown;
    list->room = room;
    return 0;
}

int series_list_add(struct series_list *list, const struct otlp_labels *labels, struct bytes name,
                    const struct otlp_label *more, int64_t time_ms, struct series_value value, uint32_t owner)
{
    struct otlp_label extras[2] = {{bytes_of_string("__name__"), name}};
    struct buf *out = &list->bytes;
    size_t begin = out->len, mark, extra_count = 1;
    if (more) /* le and quantile come after __name__ */
        extras[extra_count++] = *more;
    int err = grow(list);
    if (err == 0)
        err = pb_begin(out, REQUEST_SERIES, &mark);
    if (err < 0)
        return err;
    err = put_labels(out, labels, extras, extra_count);
    uint64_t hash = series_hash(0, (struct bytes){out->ptr + mark, out->len - mark});
    if (err == 0)
        err = put_sample(out, time_ms, value);
    if (err < 0) {
        out->len = begin;
        return err;
    }
    pb_end(out, mark);
    list->goes_back |= list->count && list->entries[list->count - 1].time_ms > time_ms;
    list->entries[list->count++] = (struct series_entry){hash, time_ms, begin, out->len - begin, owner};
    return 0;
}

/* ---- the end */

static int compare_times(const void *a, const void *b)
{
    const struct series_entry *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin); /* as they came */
}

static int clear_seen(struct series_list *list)
{
    size_t room = 64;
    while (room < list->count * 2)
        room *= 2;
    if (room > list->seen_room) {
        uint64_t *grown = realloc(list->seen, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        list->seen = grown;
        list->seen_room = room;
    }
    memset(list->seen, 0, list->seen_room * sizeof *list->seen);
    return 0;
}

/* The entry of this series and time that came before, or NULL; then it is remembered. */
static const struct series_entry *find_same(struct series_list *list, const struct series_entry *entry)
{
    size_t mask = list->seen_room - 1;
    uint64_t hash = (entry->labels ^ (uint64_t)entry->time_ms) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t at = hash >> 20 & mask;; at = (at + 1) & mask) {
        if (!list->seen[at]) {
            list->seen[at] = (uint64_t)(entry - list->entries) + 1;
            return NULL;
        }
        const struct series_entry *other = &list->entries[list->seen[at] - 1];
        if (other->labels == entry->labels && other->time_ms == entry->time_ms)
            return other;
    }
}

static struct bytes bytes_of(const struct series_list *list, const struct series_entry *entry)
{
    return (struct bytes){list->bytes.ptr + entry->begin, entry->len};
}

int series_list_finish(struct series_list *list, struct translated *out)
{
    int err = clear_seen(list);
    if (err == 0 && list->goes_back)
        qsort(list->entries, list->count, sizeof *list->entries, compare_times);
    if (err == 0)
        err = buf_reserve(&out->message, list->bytes.len);
    for (size_t i = 0; i < list->count && err == 0; i++) {
        const struct series_entry *entry = &list->entries[i], *same = find_same(list, entry);
        struct bytes bytes = bytes_of(list, entry);
        if (same) {
            if (!bytes_equal(bytes, bytes_of(list, same)))
                translated_refuse(out, entry->owner, TRANSLATE_DUPLICATE);
            continue;
        }
        err = buf_append(&out->message, bytes.ptr, bytes.len);
        if (err == 0)
            err = translated_add(out, entry->owner);
    }
    return err;
}
