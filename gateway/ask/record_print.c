#include "gateway/ask/record_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"

void record_print_time(int64_t time_ns, char storage[RECORD_PRINT_TIME])
{
    int64_t ns = time_ns % 1000000000, s = time_ns / 1000000000;
    struct tm tm;
    if (ns < 0) {
        ns += 1000000000;
        s--;
    }
    time_t seconds = (time_t)s;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(storage, RECORD_PRINT_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(storage + n, RECORD_PRINT_TIME - n, ".%09" PRId64 "Z", ns);
}

/* The fewest digits that read back as the same number. */
static void put_shortest(double value, struct buf *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_append_string(out, text);
}

static void put_number(double value, struct buf *out, const char *quote)
{
    if (isnan(value))
        buf_printf(out, "%sNaN%s", quote, quote);
    else if (isinf(value))
        buf_printf(out, "%s%sInf%s", quote, value > 0 ? "+" : "-", quote);
    else if (fabs(value) < 1e15 && value == (double)(int64_t)value)
        buf_printf(out, "%" PRId64, (int64_t)value);
    else
        put_shortest(value, out);
}

static void put_hex(struct bytes bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len && i < 32; i++)
        buf_printf(out, "%02x", bytes.ptr[i]);
}

static const char *status_name(uint64_t status)
{
    return status == 1 ? "ok" : status == 2 ? "error" : "unset";
}

/* ---- for people */

static void put_safe(struct bytes text, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c != 0x7f)
            continue;
        buf_append(out, text.ptr + from, i - from);
        if (c == '\t')
            buf_append(out, "\t", 1);
        else
            buf_printf(out, "\\x%02x", c);
        from = i + 1;
    }
    buf_append(out, text.ptr + from, text.len - from);
}

static const struct bytes name_label = {(const uint8_t *)"__name__", 8};

static void put_labels(const struct record *record, struct buf *out)
{
    const char *separator = "{";
    for (size_t i = 0; i < record->pair_count; i++) {
        if (bytes_equal(record->pairs[i].name, name_label))
            continue;
        buf_append_string(out, separator);
        put_safe(record->pairs[i].name, out);
        buf_append_string(out, "=\"");
        put_safe(record->pairs[i].value, out);
        buf_append_string(out, "\"");
        separator = ",";
    }
    buf_append_string(out, *separator == '{' ? "{}" : "}");
}

static void put_span(const struct record *record, struct buf *out)
{
    put_hex(record->trace_id, out);
    buf_append_string(out, " ");
    put_hex(record->span_id, out);
    buf_printf(out, " %.3fms ", (double)(record->end_ns - record->time_ns) / 1e6);
    if (record->status)
        buf_printf(out, "%s ", status_name(record->status));
    put_safe(record->text, out);
    buf_append_string(out, " ");
    put_labels(record, out);
}

int record_print_human(const struct record *record, struct buf *out)
{
    char time[RECORD_PRINT_TIME];
    record_print_time(record->time_ns, time);
    buf_printf(out, "%s ", time);
    switch (record->kind) {
    case RECORD_SAMPLE:
    case RECORD_HISTOGRAM:
        put_safe(record_find(record, name_label), out);
        put_labels(record, out);
        if (record->kind == RECORD_HISTOGRAM) {
            buf_append_string(out, " count ");
            put_number(record->count, out, "");
            buf_append_string(out, " sum");
        }
        buf_append_string(out, " ");
        put_number(record->value, out, "");
        break;
    case RECORD_LINE:
        put_labels(record, out);
        buf_append_string(out, " ");
        put_safe(record->text, out);
        break;
    case RECORD_SPAN:
        put_span(record, out);
        break;
    }
    return buf_append_string(out, "\n");
}

/* ---- JSON */

static void put_escaped(struct bytes text, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(out, text.ptr + from, i - from);
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_printf(out, "\\u%04x", c);
        from = i + 1;
    }
    buf_append(out, text.ptr + from, text.len - from);
}

static void put_string(struct bytes text, struct buf *out)
{
    buf_append_string(out, "\"");
    if (utf8_is_valid(text)) {
        put_escaped(text, out);
    } else {
        struct buf valid;
        buf_init(&valid, text.len * 3 + 3);
        utf8_put_valid(text, &valid);
        put_escaped(buf_bytes(&valid), out);
        buf_fini(&valid);
    }
    buf_append_string(out, "\"");
}

static void put_object(const char *name, const struct record_pair *pairs, size_t count, struct buf *out)
{
    buf_printf(out, ",\"%s\":{", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_string(out, ",");
        put_string(pairs[i].name, out);
        buf_append_string(out, ":");
        put_string(pairs[i].value, out);
    }
    buf_append_string(out, "}");
}

static void put_id(const char *name, struct bytes id, struct buf *out)
{
    buf_printf(out, ",\"%s\":\"", name);
    put_hex(id, out);
    buf_append_string(out, "\"");
}

static void put_json_span(const struct record *record, struct buf *out)
{
    size_t own = record->pair_count - record->resource_count;
    put_id("trace_id", record->trace_id, out);
    put_id("span_id", record->span_id, out);
    put_id("parent_span_id", record->parent_id, out);
    buf_append_string(out, ",\"name\":");
    put_string(record->text, out);
    buf_printf(out, ",\"duration_ns\":%" PRId64 ",\"status\":\"%s\"", record->end_ns - record->time_ns,
               status_name(record->status));
    put_object("resource", record->pairs, record->resource_count, out);
    put_object("attributes", record->pairs + record->resource_count, own, out);
}

int record_print_json(const struct record *record, struct buf *out)
{
    char time[RECORD_PRINT_TIME];
    record_print_time(record->time_ns, time);
    buf_printf(out, "{\"time\":\"%s\"", time);
    switch (record->kind) {
    case RECORD_SAMPLE:
        put_object("labels", record->pairs, record->pair_count, out);
        buf_append_string(out, ",\"value\":");
        put_number(record->value, out, "\"");
        break;
    case RECORD_HISTOGRAM:
        put_object("labels", record->pairs, record->pair_count, out);
        buf_append_string(out, ",\"count\":");
        put_number(record->count, out, "\"");
        buf_append_string(out, ",\"sum\":");
        put_number(record->value, out, "\"");
        break;
    case RECORD_LINE:
        put_object("labels", record->pairs, record->pair_count, out);
        buf_append_string(out, ",\"line\":");
        put_string(record->text, out);
        break;
    case RECORD_SPAN:
        put_json_span(record, out);
        break;
    }
    return buf_append_string(out, "}\n");
}

const char *record_print_words(const char *words, char storage[RECORD_PRINT_WORDS])
{
    snprintf(storage, RECORD_PRINT_WORDS, "%s", words);
    size_t len = strlen(storage);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)storage[i] < ' ' || storage[i] == 0x7f)
            storage[i] = ' ';
    while (len && storage[len - 1] == ' ')
        storage[--len] = '\0';
    return storage;
}
