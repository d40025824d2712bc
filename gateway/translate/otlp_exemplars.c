#include "gateway/translate/otlp_exemplars.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"
#include "base/utf8.h"
#include "gateway/translate/otlp_value.h"
#include "gateway/translate/translate.h"

enum { TIME = 2, AS_DOUBLE = 3, SPAN_ID = 4, TRACE_ID = 5, AS_INT = 6, FILTERED_ATTRIBUTES = 7 };
enum { SERIES_EXEMPLARS = 3, EXEMPLAR_LABELS = 1, EXEMPLAR_VALUE = 2, EXEMPLAR_TIME = 3 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2, MOST_CHARACTERS = 128, MOST_ID = 32 };

struct item {
    double value;
    int64_t time_ms;
    size_t begin, len;
};

/* One of the point's, as it came; bytes are borrowed. */
struct source {
    struct bytes whole, trace_id, span_id;
    double value;
    uint64_t time_ns;
    bool has_value;
};

void otlp_exemplars_init(struct otlp_exemplars *e)
{
    e->next = 0;
    buf_init(&e->bytes, TRANSLATE_MAX_BYTES);
    buf_init(&e->items, TRANSLATE_MAX_BYTES);
    buf_init(&e->taken, TRANSLATE_MAX_BYTES);
    otlp_labels_init(&e->labels);
}

void otlp_exemplars_fini(struct otlp_exemplars *e)
{
    buf_fini(&e->bytes);
    buf_fini(&e->items);
    buf_fini(&e->taken);
    otlp_labels_fini(&e->labels);
}

void otlp_exemplars_release(struct otlp_exemplars *e)
{
    buf_release(&e->bytes, 0);
    buf_release(&e->items, 0);
    buf_release(&e->taken, 0);
    buf_release(&e->labels.text, 0);
}

/* ---- reading one */

static void take_number(const struct pb_field *field, struct source *source)
{
    if (field->number == TIME)
        source->time_ns = field->value;
    if (field->number != AS_DOUBLE && field->number != AS_INT)
        return;
    source->has_value = true;
    if (field->number == AS_INT)
        source->value = (double)(int64_t)field->value;
    else
        memcpy(&source->value, &field->value, sizeof source->value);
}

static int read_source(struct bytes bytes, struct source *ret_source)
{
    struct source source = {.whole = bytes};
    struct pb_field field;
    int more;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.type == PB_FIXED64)
            take_number(&field, &source);
        else if (field.type == PB_LEN && field.number == TRACE_ID)
            source.trace_id = field.bytes;
        else if (field.type == PB_LEN && field.number == SPAN_ID)
            source.span_id = field.bytes;
    }
    if (more == 0)
        *ret_source = source;
    return more;
}

/* ---- its labels */

static size_t count_characters(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool is_zero(struct bytes id)
{
    size_t i = 0;
    while (i < id.len && id.ptr[i] == 0)
        i++;
    return i == id.len;
}

/* The text's memory was reserved by otlp_labels_clear and must stay where it is. */
static struct bytes text_since(const struct otlp_labels *labels, size_t begin)
{
    return bytes_skip(buf_bytes(&labels->text), begin);
}

static int set_id(struct otlp_labels *labels, const char *name, struct bytes id)
{
    size_t begin = labels->text.len;
    int err = 0;
    if (is_zero(id) || id.len > MOST_ID)
        return 0;
    for (size_t i = 0; i < id.len && err == 0; i++)
        err = buf_printf(&labels->text, "%02x", id.ptr[i]);
    return err < 0 ? err : otlp_labels_set(labels, bytes_of_string(name), text_since(labels, begin));
}

static int set_attribute(struct otlp_labels *labels, struct bytes pair)
{
    const uint8_t *text = labels->text.ptr;
    struct bytes key, any;
    int err = otlp_value_read_pair(pair, &key, &any);
    size_t begin = labels->text.len;
    if (err == 0 && !utf8_is_valid(key)) {
        err = utf8_put_valid(key, &labels->text);
        key = text_since(labels, begin);
    }
    if (err < 0 || key.len == 0 || otlp_labels_find(labels, key).ptr)
        return err; /* a span's own ids and what came first stay */
    begin = labels->text.len;
    err = otlp_value_put_text(any, &labels->text);
    if (err == 0 && labels->text.ptr != text)
        err = -E2BIG;
    return err < 0 ? err : otlp_labels_set(labels, key, text_since(labels, begin));
}

static int set_attributes(struct otlp_labels *labels, struct bytes whole)
{
    struct pb_field field;
    int more, err = 0;
    while (err == 0 && (more = pb_next(&whole, &field)) != 0) {
        if (more < 0)
            err = more;
        else if (field.number == FILTERED_ATTRIBUTES && field.type == PB_LEN)
            err = set_attribute(labels, field.bytes);
    }
    return err;
}

static int make_labels(struct otlp_labels *labels, const struct source *source)
{
    size_t characters = 0;
    int err = otlp_labels_clear(labels, source->whole.len);
    if (err == 0)
        err = set_id(labels, "trace_id", source->trace_id);
    if (err == 0)
        err = set_id(labels, "span_id", source->span_id);
    if (err < 0)
        return err;
    size_t ids = labels->count;
    err = set_attributes(labels, source->whole);
    for (size_t i = 0; i < labels->count; i++)
        characters += count_characters(labels->items[i].name) + count_characters(labels->items[i].value);
    if (err == -E2BIG || characters > MOST_CHARACTERS) {
        labels->count = ids;
        err = 0;
    }
    otlp_labels_sort(labels);
    return err;
}

/* ---- writing one */

static int put_labels(struct buf *out, const struct otlp_labels *labels)
{
    size_t mark;
    int err = 0;
    for (size_t i = 0; i < labels->count && err == 0; i++) {
        if ((err = pb_begin(out, EXEMPLAR_LABELS, &mark)) < 0)
            break;
        err = pb_put_bytes(out, LABEL_NAME, labels->items[i].name);
        if (err == 0)
            err = pb_put_bytes(out, LABEL_VALUE, labels->items[i].value);
        pb_end(out, mark);
    }
    return err;
}

static int put_exemplar(struct otlp_exemplars *e, const struct source *source)
{
    struct item item = {
        .value = source->value, .time_ms = (int64_t)(source->time_ns / 1000000), .begin = e->bytes.len};
    size_t mark;
    int err = make_labels(&e->labels, source);
    if (err == 0)
        err = pb_begin(&e->bytes, SERIES_EXEMPLARS, &mark);
    if (err < 0)
        return err;
    err = put_labels(&e->bytes, &e->labels);
    if (err == 0)
        err = pb_put_double(&e->bytes, EXEMPLAR_VALUE, item.value);
    if (err == 0)
        err = pb_put_varint(&e->bytes, EXEMPLAR_TIME, (uint64_t)item.time_ms);
    pb_end(&e->bytes, mark);
    item.len = e->bytes.len - item.begin;
    return err < 0 ? err : buf_append(&e->items, &item, sizeof item);
}

int otlp_exemplars_read(struct otlp_exemplars *e, struct bytes point, uint32_t number)
{
    struct source source;
    struct pb_field field;
    int more, err;
    buf_clear(&e->bytes);
    buf_clear(&e->items);
    e->next = 0;
    if (!number)
        return 0;
    while ((more = pb_next(&point, &field)) == 1) {
        if (field.number != number || field.type != PB_LEN)
            continue;
        err = read_source(field.bytes, &source);
        if (err == 0 && source.has_value)
            err = put_exemplar(e, &source);
        if (err < 0)
            return err;
    }
    return more;
}

/* ---- handing out */

static int compare_times(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

int otlp_exemplars_take(struct otlp_exemplars *e, double bound, struct bytes *ret_fields)
{
    struct item *items = (struct item *)(void *)e->items.ptr;
    size_t count = e->items.len / sizeof *items, first = e->next;
    int err = 0;
    buf_clear(&e->taken);
    while (e->next < count && !(items[e->next].value > bound))
        e->next++;
    if (e->next - first > 1)
        qsort(items + first, e->next - first, sizeof *items, compare_times);
    for (size_t i = first; i < e->next && err == 0; i++)
        err = buf_append(&e->taken, e->bytes.ptr + items[i].begin, items[i].len);
    if (err == 0)
        *ret_fields = buf_bytes(&e->taken);
    return err;
}
