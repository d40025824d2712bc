#include "gateway/fanout/records.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/pb.h"
#include "gateway/fanout/records_walk.h"

struct bytes record_find(const struct record *record, struct bytes name)
{
    for (size_t i = 0; i < record->pair_count; i++)
        if (bytes_equal(record->pairs[i].name, name))
            return record->pairs[i].value;
    return (struct bytes){0};
}

/* ---- pairs */

void records_add_pair(struct record *record, struct bytes name, struct bytes value)
{
    static const uint8_t empty;
    if (!value.ptr)
        value.ptr = &empty; /* there, and empty */
    if (record->pair_count < RECORD_MAX_PAIRS)
        record->pairs[record->pair_count++] = (struct record_pair){name, value};
}

struct bytes records_scratch_printf(struct record *record, const char *format, ...)
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
        records_add_pair(record, name, value);
    return got;
}

double records_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int records_read_pairs(struct record *record, struct bytes message, uint32_t number,
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

struct records_mark records_mark(const struct record *record)
{
    return (struct records_mark){record->pair_count, record->scratch_len};
}

void records_go_back(struct record *record, struct records_mark mark)
{
    record->pair_count = mark.pair_count;
    record->scratch_len = mark.scratch_len;
}

/* ---- remote write */

static int show_sample(struct records_walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct pb_field field;
    int got;
    record->kind = RECORD_SAMPLE;
    record->value = 0;
    record->time_ns = 0;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.number == 1 && field.type == PB_FIXED64)
            record->value = records_double(field.value);
        else if (field.number == 2 && field.type == PB_VARINT)
            record->time_ns = (int64_t)(field.value * 1000000);
    }
    return got < 0 ? got : walk->each(walk->ctx, record);
}

static int show_histogram(struct records_walk *walk, struct bytes message)
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
            record->count = records_double(field.value);
        else if (field.number == 3 && field.type == PB_FIXED64)
            record->value = records_double(field.value);
        else if (field.number == 15 && field.type == PB_VARINT)
            record->time_ns = (int64_t)(field.value * 1000000);
    }
    return got < 0 ? got : walk->each(walk->ctx, record);
}

static int show_series(struct records_walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = records_read_pairs(&walk->record, message, 1, read_label);
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
        records_add_pair(record, name, unescape(record, value));
    return 0;
}

int records_read_timestamp(struct bytes message, int64_t *ret_ns)
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

static int show_entry(struct records_walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct records_mark mark = records_mark(record);
    struct pb_field field;
    int got, err = 0;
    record->kind = RECORD_LINE;
    record->time_ns = 0;
    record->text = (struct bytes){0};
    while (err == 0 && (got = pb_next(&message, &field)) > 0) {
        if (field.type != PB_LEN)
            continue;
        if (field.number == 1)
            err = records_read_timestamp(field.bytes, &record->time_ns);
        else if (field.number == 2)
            record->text = field.bytes;
        else if (field.number == 3)
            err = read_label(record, field.bytes);
    }
    if (err == 0)
        err = got;
    if (err == 0)
        err = walk->each(walk->ctx, record);
    records_go_back(record, mark);
    return err;
}

static int show_stream(struct records_walk *walk, struct bytes message)
{
    struct pb_field field;
    int got, end = records_read_pairs(&walk->record, message, 1, read_stream_labels);
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

/* ---- a payload */

static int show_all(struct records_walk *walk, struct bytes raw, records_show_one *show)
{
    struct pb_field field;
    int got;
    while ((got = pb_next(&raw, &field)) > 0) {
        if (field.number != 1 || field.type != PB_LEN)
            continue;
        records_go_back(&walk->record, (struct records_mark){0});
        int end = show(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

static int walk_all(records_show_one *show, struct bytes raw,
                    int (*each)(void *ctx, const struct record *record), void *ctx)
{
    if (!show)
        return -EPROTONOSUPPORT;
    struct records_walk *walk = malloc(sizeof *walk);
    if (!walk)
        return -ENOMEM;
    walk->each = each;
    walk->ctx = ctx;
    walk->record.scratch_len = walk->record.pair_count = walk->record.resource_count = 0;
    int end = show_all(walk, raw, show);
    free(walk);
    return end;
}

static records_show_one *show_of(enum batch_format format)
{
    switch (format) {
    case FORMAT_REMOTE_WRITE_1:
        return show_series;
    case FORMAT_LOKI_PUSH:
        return show_stream;
    case FORMAT_OTLP_TRACES:
        return records_show_traces;
    case FORMAT_OTLP_METRICS:
        return records_show_metrics;
    case FORMAT_OTLP_LOGS:
        return records_show_logs;
    case FORMAT_REMOTE_WRITE_2:
        break;
    }
    return NULL;
}

int records_each(enum batch_format format, struct bytes raw,
                 int (*each)(void *ctx, const struct record *record), void *ctx)
{
    bool is_whole = format != FORMAT_OTLP_METRICS && format != FORMAT_OTLP_LOGS;
    return walk_all(is_whole ? show_of(format) : NULL, raw, each, ctx);
}

int records_show(enum batch_format format, struct bytes raw,
                 int (*each)(void *ctx, const struct record *record), void *ctx)
{
    return walk_all(show_of(format), raw, each, ctx);
}
