#include "gateway/translate/otlp_labels.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"
#include "gateway/translate/otlp_value.h"
#include "gateway/translate/prom_name.h"

/* A byte of a value can come to six of JSON's, a name's sanitised form to a few more. */
enum { TEXT_PER_BYTE = 6, TEXT_EXTRA = 16 * 1024 };

void otlp_labels_init(struct otlp_labels *labels)
{
    labels->count = 0;
    buf_init(&labels->text, OTLP_MAX_LABEL_TEXT);
}

void otlp_labels_fini(struct otlp_labels *labels)
{
    buf_fini(&labels->text);
}

int otlp_labels_clear(struct otlp_labels *labels, size_t source_bytes)
{
    labels->count = 0;
    buf_clear(&labels->text);
    return buf_reserve(&labels->text, source_bytes * TEXT_PER_BYTE + TEXT_EXTRA);
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static struct otlp_label *find(struct otlp_labels *labels, struct bytes name)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (bytes_equal(labels->items[i].name, name))
            return &labels->items[i];
    }
    return NULL;
}

static int append(struct otlp_labels *labels, struct bytes name, struct bytes value)
{
    if (labels->count == OTLP_MAX_LABELS)
        return -E2BIG;
    labels->items[labels->count++] = (struct otlp_label){name, value};
    return 0;
}

/* What was reserved for the source is enough but for what joined values repeat; text must not move. */
static bool has_room(const struct otlp_labels *labels, size_t bytes)
{
    return labels->text.cap - labels->text.len >= bytes;
}

static int join_values(struct otlp_labels *labels, struct otlp_label *label, struct bytes value)
{
    if (!has_room(labels, label->value.len + 1 + value.len))
        return -E2BIG;
    size_t begin = labels->text.len;
    buf_append(&labels->text, label->value.ptr, label->value.len);
    buf_append_string(&labels->text, ";");
    buf_append(&labels->text, value.ptr, value.len);
    label->value = bytes_skip(buf_bytes(&labels->text), begin);
    return 0;
}

static int put_name(struct otlp_labels *labels, const char *prefix, struct bytes key, struct bytes *ret_name)
{
    struct buf whole;
    size_t begin = labels->text.len;
    if (!has_room(labels, key.len + strlen(prefix) + 16))
        return -E2BIG;
    int err = 0;
    if (!prefix[0])
        err = prom_name_put_label(key, true, &labels->text);
    else {
        buf_init(&whole, key.len + strlen(prefix));
        err = buf_append_string(&whole, prefix);
        if (err == 0)
            err = buf_append(&whole, key.ptr, key.len);
        if (err == 0)
            err = prom_name_put_label(buf_bytes(&whole), true, &labels->text);
        buf_fini(&whole);
    }
    if (err == 0)
        *ret_name = bytes_skip(buf_bytes(&labels->text), begin);
    return err;
}

static int add_pair(struct otlp_labels *labels, const char *prefix, struct otlp_label raw)
{
    struct bytes name = {0}, value;
    const uint8_t *text = labels->text.ptr;
    int err = put_name(labels, prefix, raw.name, &name);
    if (err == -EINVAL || (err == 0 && bytes_equal(name, bytes_of_string("__name__"))))
        return 0; /* no label can be made of it, or it would be the metric's name */
    if (err < 0)
        return err;
    size_t begin = labels->text.len;
    err = otlp_value_put_text(raw.value, &labels->text);
    if (err < 0)
        return err;
    if (labels->text.ptr != text)
        return -E2BIG;
    value = bytes_skip(buf_bytes(&labels->text), begin);
    if (value.len == 0)
        return 0;
    struct otlp_label *same = find(labels, name);
    return same ? join_values(labels, same, value) : append(labels, name, value);
}

static int compare_labels(const void *a, const void *b)
{
    return compare_bytes(((const struct otlp_label *)a)->name, ((const struct otlp_label *)b)->name);
}

/* Few and nearly sorted: by insertion, which keeps equal keys in their order; many: by qsort. */
static void sort_items(struct otlp_label *items, size_t count)
{
    if (count > 32) {
        qsort(items, count, sizeof *items, compare_labels);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct otlp_label item = items[i];
        size_t k = i;
        for (; k > 0 && compare_bytes(items[k - 1].name, item.name) > 0; k--)
            items[k] = items[k - 1];
        items[k] = item;
    }
}

int otlp_labels_add(struct otlp_labels *labels, struct bytes message, uint32_t number, const char *prefix,
                    bool (*wanted)(const void *ctx, struct bytes key), const void *ctx)
{
    struct otlp_label raw[OTLP_MAX_LABELS];
    struct pb_field field;
    size_t count = 0;
    int more, err = 0;
    while ((more = pb_next(&message, &field)) == 1) {
        struct bytes key, any;
        if (field.number != number || field.type != PB_LEN)
            continue;
        if (otlp_value_read_pair(field.bytes, &key, &any) < 0)
            return -EBADMSG;
        if (wanted && !wanted(ctx, key))
            continue;
        if (count == OTLP_MAX_LABELS)
            return -E2BIG;
        raw[count++] = (struct otlp_label){key, any};
    }
    if (more < 0)
        return more;
    sort_items(raw, count);
    for (size_t i = 0; i < count && err == 0; i++)
        err = add_pair(labels, prefix, raw[i]);
    return err;
}

int otlp_labels_set(struct otlp_labels *labels, struct bytes name, struct bytes value)
{
    struct otlp_label *label = find(labels, name);
    if (label && value.len == 0)
        *label = labels->items[--labels->count];
    else if (label)
        label->value = value;
    else if (value.len)
        return append(labels, name, value);
    return 0;
}

int otlp_labels_add_absent(struct otlp_labels *labels, const struct otlp_labels *from)
{
    int err = 0;
    for (size_t i = 0; i < from->count && err == 0; i++) {
        if (!find(labels, from->items[i].name))
            err = append(labels, from->items[i].name, from->items[i].value);
    }
    return err;
}

void otlp_labels_sort(struct otlp_labels *labels)
{
    sort_items(labels->items, labels->count);
}

struct bytes otlp_labels_find(const struct otlp_labels *labels, struct bytes name)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (bytes_equal(labels->items[i].name, name))
            return labels->items[i].value;
    }
    return (struct bytes){0};
}
