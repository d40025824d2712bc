/* The records of OTLP: spans, points of metrics, log records. */
#include <inttypes.h>

#include "base/pb.h"
#include "gateway/fanout/records_walk.h"

static struct bytes hex(struct record *record, struct bytes bytes)
{
    size_t start = record->scratch_len;
    for (size_t i = 0; i < bytes.len && i < 64; i++)
        records_scratch_printf(record, "%02x", bytes.ptr[i]);
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
            *ret_text = records_scratch_printf(record, "%" PRId64, (int64_t)field.value);
        else if (field.number == 4 && field.type == PB_FIXED64)
            *ret_text = records_scratch_printf(record, "%.17g", records_double(field.value));
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
        records_add_pair(record, name, value);
    return got;
}

/* ---- spans */

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

static int show_span(struct records_walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct records_mark mark = records_mark(record);
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
    records_go_back(record, mark);
    return err;
}

/* ---- points of metrics */

/* Which fields of a point hold what; 0: it has none. */
struct point_fields {
    uint32_t metric; /* the field of Metric that has such points */
    uint32_t attributes, count, sum, as_double, as_int;
};

static const struct point_fields point_kinds[] = {
    {5, 7, 0, 0, 4, 6},  /* Gauge of NumberDataPoint */
    {7, 7, 0, 0, 4, 6},  /* Sum of NumberDataPoint */
    {9, 9, 4, 5, 0, 0},  /* Histogram */
    {10, 1, 4, 5, 0, 0}, /* ExponentialHistogram */
    {11, 7, 4, 5, 0, 0}, /* Summary */
};
enum { POINT_TIME = 3, POINTS = 1, TEMPORALITY = 2, DELTA = 1 };

static int read_point_field(struct record *record, const struct point_fields *of,
                            const struct pb_field *field)
{
    uint32_t number = field->number;
    if (field->type == PB_LEN && number == of->attributes)
        return read_attribute(record, field->bytes);
    if (field->type != PB_FIXED64)
        return 0;
    if (number == POINT_TIME)
        record->time_ns = (int64_t)field->value;
    else if (number == of->count)
        record->count = (double)field->value;
    else if (number == of->sum || number == of->as_double)
        record->value = records_double(field->value);
    else if (number == of->as_int)
        record->value = (double)(int64_t)field->value;
    return 0;
}

static int show_point(struct records_walk *walk, const struct point_fields *of, struct bytes message)
{
    struct record *record = &walk->record;
    struct records_mark mark = records_mark(record);
    struct pb_field field;
    int got, err = 0;
    record->kind = of->count ? RECORD_HISTOGRAM : RECORD_SAMPLE;
    record->time_ns = 0;
    record->value = record->count = 0;
    while (err == 0 && (got = pb_next(&message, &field)) > 0)
        err = read_point_field(record, of, &field);
    if (err == 0)
        err = got;
    if (err == 0)
        err = walk->each(walk->ctx, record);
    records_go_back(record, mark);
    return err;
}

static bool is_delta(struct bytes points)
{
    struct pb_field field;
    while (pb_next(&points, &field) > 0)
        if (field.number == TEMPORALITY && field.type == PB_VARINT)
            return field.value == DELTA;
    return false;
}

static int show_points(struct records_walk *walk, const struct point_fields *of, struct bytes message)
{
    struct pb_field field;
    int got, end = 0;
    if (of->metric != 5 && of->metric != 11 && is_delta(message))
        records_add_pair(&walk->record, bytes_of_string("aggregation_temporality"), bytes_of_string("delta"));
    while (end == 0 && (got = pb_next(&message, &field)) > 0)
        if (field.type == PB_LEN && field.number == POINTS)
            end = show_point(walk, of, field.bytes);
    return end ? end : got;
}

static int show_metric(struct records_walk *walk, struct bytes message)
{
    struct records_mark mark = records_mark(&walk->record);
    struct bytes rest = message, name = {0};
    struct pb_field field;
    int got, end = 0;
    while ((got = pb_next(&rest, &field)) > 0)
        if (field.type == PB_LEN && field.number == 1)
            name = field.bytes;
    records_add_pair(&walk->record, bytes_of_string("__name__"), name);
    while (got == 0 && end == 0 && (got = pb_next(&message, &field)) > 0) {
        got = 0;
        for (size_t i = 0; i < sizeof point_kinds / sizeof *point_kinds && end == 0; i++)
            if (field.type == PB_LEN && field.number == point_kinds[i].metric)
                end = show_points(walk, &point_kinds[i], field.bytes);
    }
    records_go_back(&walk->record, mark);
    return end ? end : got;
}

/* ---- log records */

static int read_log_field(struct record *record, const struct pb_field *field, int64_t *observed_ns)
{
    if (field->type == PB_FIXED64 && field->number == 1)
        record->time_ns = (int64_t)field->value;
    else if (field->type == PB_FIXED64 && field->number == 11)
        *observed_ns = (int64_t)field->value;
    else if (field->type == PB_LEN && field->number == 3)
        records_add_pair(record, bytes_of_string("severity_text"), field->bytes);
    else if (field->type == PB_LEN && field->number == 5)
        return read_any(record, field->bytes, &record->text);
    else if (field->type == PB_LEN && field->number == 6)
        return read_attribute(record, field->bytes);
    else if (field->type == PB_LEN && field->number == 9)
        records_add_pair(record, bytes_of_string("trace_id"), hex(record, field->bytes));
    else if (field->type == PB_LEN && field->number == 10)
        records_add_pair(record, bytes_of_string("span_id"), hex(record, field->bytes));
    return 0;
}

static int show_log(struct records_walk *walk, struct bytes message)
{
    struct record *record = &walk->record;
    struct records_mark mark = records_mark(record);
    struct pb_field field;
    int64_t observed_ns = 0;
    int got, err = 0;
    record->kind = RECORD_LINE;
    record->time_ns = 0;
    record->text = (struct bytes){0};
    while (err == 0 && (got = pb_next(&message, &field)) > 0)
        err = read_log_field(record, &field, &observed_ns);
    if (err == 0)
        err = got;
    if (!record->time_ns)
        record->time_ns = observed_ns;
    if (err == 0)
        err = walk->each(walk->ctx, record);
    records_go_back(record, mark);
    return err;
}

/* ---- what is around them, the same for the three signals */

static int show_scope(struct records_walk *walk, struct bytes message, records_show_one *show)
{
    struct pb_field field;
    int got, end = 0;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show(walk, field.bytes);
        if (end != 0)
            return end;
    }
    return got;
}

static int read_resource(struct record *record, struct bytes message)
{
    return records_read_pairs(record, message, 1, read_attribute);
}

static int show_resource(struct records_walk *walk, struct bytes message, records_show_one *show)
{
    struct pb_field field;
    int got, end = records_read_pairs(&walk->record, message, 1, read_resource);
    if (end < 0)
        return end;
    walk->record.resource_count = walk->record.pair_count;
    while ((got = pb_next(&message, &field)) > 0) {
        if (field.type == PB_LEN && field.number == 2)
            end = show_scope(walk, field.bytes, show);
        if (end != 0)
            return end;
    }
    return got;
}

int records_show_traces(struct records_walk *walk, struct bytes message)
{
    return show_resource(walk, message, show_span);
}

int records_show_metrics(struct records_walk *walk, struct bytes message)
{
    return show_resource(walk, message, show_metric);
}

int records_show_logs(struct records_walk *walk, struct bytes message)
{
    return show_resource(walk, message, show_log);
}
