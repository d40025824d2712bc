#include "gateway/records.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/pb.h"

struct walk {
    struct record record;
    int (*each)(void *ctx, const struct record *record);
    void *ctx;
};

struct bytes record_find(const struct record *record, struct bytes name)
{
    for (size_t i = 0; i < record->pair_count; i++)
        if (bytes_equal(record->pairs[i].name, name))
            return record->pairs[i].value;
    return (struct bytes){0};
}

/* ---- pairs */

static void add_pair(struct record *record, struct bytes name, struct bytes value)
{
    static const uint8_t empty;
    if (!value.ptr)
        value.ptr = &empty; /* there, and empty */
    if (record->pair_count < RECORD_MAX_PAIRS)
        record->pairs[record->pair_count++] = (struct record_pair){name, value};
}

static struct bytes scratch_printf(struct record *record, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Text in the record's scratch; empty when that is full. */
static struct bytes scratch_printf(struct record *record, const char *format, ...)
{
    char *at = record->scratch + record->scratch_len;
    size_t room = RECORD_SCRATCH - record->scratch_len;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(at, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        return (struct bytes){0};
    record->scratch_len += (size_t)n;
    return (struct bytes){(const uint8_t *)at, (size_t)n};
}

/* A message of two strings: Label, LabelPair. */
static int read_label(struct record *record, struct bytes message)
{
    struct bytes name = {0}, value = {0};
    struct pb_field field;
    int got;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 1)
            name = field.bytes;
        else if (field.type == PB_LEN && field.number == 2)
            value = field.bytes;
    }
    if (got == 0)
        add_pair(record, name, value);
    return got;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct bytes hex(struct record *record, struct bytes bytes)
{
    size_t start = record->scratch_len;
    for (size_t i = 0; i < bytes.len && i < 64; i++)
        scratch_printf(record, "%02x", bytes.ptr[i]);
    return (struct bytes){(const uint8_t *)record->scratch + start, record->scratch_len - start};
}

/* The scalar of an AnyValue; what is nested is only named. */
static int read_any(struct record *record, struct bytes message, struct bytes *ret_text)
{
    struct pb_field field;
    int got;
    *ret_text = (struct bytes){0};
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == PB_LEN)
            *ret_text = field.bytes;
        else if (field.number == 2 && field.type == PB_VARINT)
            *ret_text = bytes_of_string(field.value ? "true" : "false");
        else if (field.number == 3 && field.type == PB_VARINT)
            *ret_text = scratch_printf(record, "%" PRId64, (int64_t)field.value);
        else if (field.number == 4 && field.type == PB_FIXED64)
            *ret_text = scratch_printf(record, "%.17g", double_of(field.value));
        else if (field.number == 5 && field.type == PB_LEN)
            *ret_text = bytes_of_string("[...]");
        else if (field.number == 6 && field.type == PB_LEN)
            *ret_text = bytes_of_string("{...}");
        else if (field.number == 7 && field.type == PB_LEN)
            *ret_text = hex(record, field.bytes);
    }
    return got;
}

static int read_attribute(struct record *record, struct bytes message)
{
    struct bytes name = {0}, value = {0};
    struct pb_field field;
    int got;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 1)
            name = field.bytes;
        else if (field.type == PB_LEN && field.number == 2)
            got = read_any(record, field.bytes, &value);
        if (got < 0)
            return got;
    }
    if (got == 0)
        add_pair(record, name, value);
    return got;
}

/* Every field of that number, which holds a pair each. */
static int read_pairs(struct record *record, struct bytes message, uint32_t number,
                      int (*read)(struct record *record, struct bytes message))
{
    struct pb_field field;
    int got;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number != number || field.type != PB_LEN)
            continue;
        int err = read(record, field.bytes);
        if (err < 0)
            return err;
    }
    return got;
}

/* Back to what enclosing messages gave. */
struct mark {
    size_t pair_count, scratch_len;
};

static struct mark mark_of(const struct record *record)
{
    return (struct mark){record->pair_count, record->scratch_len};
}

static void go_back(struct record *record, struct mark mark)
{
    record->pair_count = mark.pair_count;
    record->scratch_len = mark.scratch_len;
}

/* ---- remote write */

static int show_sample(struct walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct pb_field field;
    int got;
    record->kind = RECORD_SAMPLE;
    record->value = 0;
    record->time_ns = 0;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == PB_FIXED64)
            record->value = double_of(field.value);
        else if (field.number == 2 && field.type == PB_VARINT)
            record->time_ns = (int64_t)(field.value * 1000000);
    }
    return got < 0 ? got : walk->each(walk->ctx, record);
}

static int show_histogram(struct walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct pb_field field;
    int got;
    record->kind = RECORD_HISTOGRAM;
    record->value = record->count = 0;
    record->time_ns = 0;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == PB_VARINT)
            record->count = (double)field.value;
        else if (field.number == 2 && field.type == PB_FIXED64)
            record->count = double_of(field.value);
        else if (field.number == 3 && field.type == PB_FIXED64)
            record->value = double_of(field.value);
        else if (field.number == 15 && field.type == PB_VARINT)
            record->time_ns = (int64_t)(field.value * 1000000);
    }
    return got < 0 ? got : walk->each(walk->ctx, record);
}

static int show_series(struct walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = read_pairs(&walk->record, message, 1, read_label);
    if (end < 0)
        return end;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show_sample(walk, field.bytes);
        else if (field.type == PB_LEN && field.number == 4)
            end = show_histogram(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

/* ---- Loki */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':' || c == '.';
}

static struct bytes unescape(struct record *record, struct bytes text)
{
    size_t start = record->scratch_len;
    if (!memchr(text.ptr, '\\', text.len))
        return text;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '\\' && i + 1 < text.len) {
            c = text.ptr[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        if (record->scratch_len < RECORD_SCRATCH)
            record->scratch[record->scratch_len++] = (char)c;
    }
    return (struct bytes){(const uint8_t *)record->scratch + start, record->scratch_len - start};
}

/* The next name="value" of a stream's labels, {a="b", c="d"}. False at the end, or where it is no such text.
 */
static bool next_label(struct bytes *text, struct bytes *ret_name, struct bytes *ret_value)
{
    while (text->len && !is_name_byte(*text->ptr))
        *text = bytes_skip(*text, 1);
    size_t n = 0, end;
    while (n < text->len && is_name_byte(text->ptr[n]))
        n++;
    if (n == 0 || text->len - n < 3 || text->ptr[n] != '=' || text->ptr[n + 1] != '"')
        return false;
    for (end = n + 2; end < text->len && text->ptr[end] != '"'; end++)
        end += text->ptr[end] == '\\';
    if (end >= text->len)
        return false;
    *ret_name = (struct bytes){text->ptr, n};
    *ret_value = (struct bytes){text->ptr + n + 2, end - n - 2};
    *text = bytes_skip(*text, end + 1);
    return true;
}

static int read_stream_labels(struct record *record, struct bytes text)
{
    struct bytes name, value;
    while (next_label(&text, &name, &value))
        add_pair(record, name, unescape(record, value));
    return 0;
}

static int read_timestamp(struct bytes message, int64_t *ret_ns)
{
    struct pb_field field;
    uint64_t seconds = 0, nanos = 0;
    int got;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == PB_VARINT)
            seconds = field.value;
        else if (field.number == 2 && field.type == PB_VARINT)
            nanos = field.value;
    }
    *ret_ns = (int64_t)(seconds * 1000000000u + nanos);
    return got;
}

static int show_entry(struct walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct mark mark = mark_of(record);
    struct pb_field field;
    int got, err = 0;
    record->kind = RECORD_LINE;
    record->time_ns = 0;
    record->text = (struct bytes){0};
    while (err == 0 && (got = pb_next(&message, &field)) > 0) {
        if (field.type != PB_LEN)
            continue;
        if (field.number == 1)
            err = read_timestamp(field.bytes, &record->time_ns);
        else if (field.number == 2)
            record->text = field.bytes;
        else if (field.number == 3)
            err = read_label(record, field.bytes);
    }
    if (err == 0)
        err = got;
    if (err == 0)
        err = walk->each(walk->ctx, record);
    go_back(record, mark);
    return err;
}

static int show_stream(struct walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = read_pairs(&walk->record, message, 1, read_stream_labels);
    if (end < 0)
        return end;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show_entry(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

/* ---- traces */

static int read_status(struct bytes message, uint64_t *ret_code)
{
    struct pb_field field;
    int got;
    while ((got = pb_next(&message, &field)) > 0)
        if (field.number == 3 && field.type == PB_VARINT)
            *ret_code = field.value;
    return got;
}

static int read_span_field(struct record *record, const struct pb_field *field)
{
    struct bytes *const texts[] = {
        [1] = &record->trace_id, [2] = &record->span_id, [4] = &record->parent_id, [5] = &record->text};
    if (field->type == PB_FIXED64 && field->number == 7)
        record->time_ns = (int64_t)field->value;
    else if (field->type == PB_FIXED64 && field->number == 8)
        record->end_ns = (int64_t)field->value;
    else if (field->type == PB_LEN && field->number == 9)
        return read_attribute(record, field->bytes);
    else if (field->type == PB_LEN && field->number == 15)
        return read_status(field->bytes, &record->status);
    else if (field->type == PB_LEN && field->number <= 5 && texts[field->number])
        *texts[field->number] = field->bytes;
    return 0;
}

static int show_span(struct walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct mark mark = mark_of(record);
    struct pb_field field;
    int got, err = 0;
    record->kind = RECORD_SPAN;
    record->time_ns = record->end_ns = 0;
    record->status = 0;
    record->text = record->trace_id = record->span_id = record->parent_id = (struct bytes){0};
    while (err == 0 && (got = pb_next(&message, &field)) > 0)
        err = read_span_field(record, &field);
    if (err == 0)
        err = got;
    if (err == 0)
        err = walk->each(walk->ctx, record);
    go_back(record, mark);
    return err;
}

static int show_scope(struct walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = 0;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show_span(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

static int read_resource(struct record *record, struct bytes message)
{
    return read_pairs(record, message, 1, read_attribute);
}

static int show_resource(struct walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = read_pairs(&walk->record, message, 1, read_resource);
    if (end < 0)
        return end;
    walk->record.resource_count = walk->record.pair_count;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show_scope(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

/* ---- a payload */

static int show_all(struct walk *walk, struct bytes raw, int (*show)(struct walk *walk, struct bytes message))
{
    struct pb_field field;
    int got;
    while ((got = pb_next(&raw, &field)) > 0) {
        if (field.number != 1 || field.type != PB_LEN)
            continue;
        go_back(&walk->record, (struct mark){0});
        int end = show(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

static int (*show_of(enum batch_format format))(struct walk *walk, struct bytes message)
{
    switch (format) {
    case FORMAT_REMOTE_WRITE_1:
        return show_series;
    case FORMAT_LOKI_PUSH:
        return show_stream;
    case FORMAT_OTLP_TRACES:
        return show_resource;
    case FORMAT_OTLP_METRICS:
    case FORMAT_OTLP_LOGS:
    case FORMAT_REMOTE_WRITE_2:
        break;
    }
    return NULL;
}

int records_each(enum batch_format format, struct bytes raw,
                 int (*each)(void *ctx, const struct record *record), void *ctx)
{
    int (*show)(struct walk * walk, struct bytes message) = show_of(format);
    if (!show)
        return -EPROTONOSUPPORT;
    struct walk *walk = malloc(sizeof *walk);
    if (!walk)
        return -ENOMEM;
    walk->each = each;
    walk->ctx = ctx;
    walk->record.scratch_len = walk->record.pair_count = walk->record.resource_count = 0;
    int end = show_all(walk, raw, show);
    free(walk);
    return end;
}
