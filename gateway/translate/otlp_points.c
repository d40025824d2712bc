#include "gateway/translate/otlp_points.h"

#include <errno.h>

#include "base/pb.h"

enum { METRIC_NAME = 1, METRIC_UNIT = 3, KIND_TEMPORALITY = 2, KIND_MONOTONIC = 3 };
enum { NO_RECORDED_VALUE = 1, MOST_ARRAY = 64 << 20 };

/* Where the kinds of points have what they share; 0: they have not. */
struct point_fields {
    uint32_t attributes, flags, as_double, as_int, count, sum, counts, bounds, quantiles;
    uint32_t scale, zero_count, positive, negative, zero_threshold, exemplars;
};
enum { POINT_TIME = 3 };

static const struct point_fields *fields_of(enum otlp_metric_kind kind)
{
    static const struct point_fields number = {
        .attributes = 7, .flags = 8, .as_double = 4, .as_int = 6, .exemplars = 5};
    static const struct point_fields histogram = {
        .attributes = 9, .flags = 10, .count = 4, .sum = 5, .counts = 6, .bounds = 7, .exemplars = 8};
    static const struct point_fields exponential = {.attributes = 1,
                                                    .flags = 10,
                                                    .count = 4,
                                                    .sum = 5,
                                                    .scale = 6,
                                                    .zero_count = 7,
                                                    .positive = 8,
                                                    .negative = 9,
                                                    .zero_threshold = 14,
                                                    .exemplars = 11};
    static const struct point_fields summary = {
        .attributes = 7, .flags = 8, .count = 4, .sum = 5, .quantiles = 6};
    switch (kind) {
    case OTLP_HISTOGRAM:
        return &histogram;
    case OTLP_EXPONENTIAL:
        return &exponential;
    case OTLP_SUMMARY:
        return &summary;
    case OTLP_NO_KIND:
    case OTLP_GAUGE:
    case OTLP_SUM:
        break;
    }
    return &number;
}

void otlp_point_init(struct otlp_point *point)
{
    *point = (struct otlp_point){0};
    buf_init(&point->counts, MOST_ARRAY);
    buf_init(&point->bounds, MOST_ARRAY);
}

void otlp_point_fini(struct otlp_point *point)
{
    buf_fini(&point->counts);
    buf_fini(&point->bounds);
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- a metric */

static enum otlp_metric_kind kind_of(uint32_t number)
{
    switch (number) {
    case OTLP_GAUGE:
    case OTLP_SUM:
    case OTLP_HISTOGRAM:
    case OTLP_EXPONENTIAL:
    case OTLP_SUMMARY:
        return (enum otlp_metric_kind)number;
    default:
        return OTLP_NO_KIND;
    }
}

static int read_kind(struct otlp_metric *metric)
{
    struct bytes rest = metric->content;
    struct pb_field field;
    int more;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.type == PB_VARINT && field.number == KIND_TEMPORALITY)
            metric->temporality = field.value == OTLP_DELTA        ? OTLP_DELTA
                                  : field.value == OTLP_CUMULATIVE ? OTLP_CUMULATIVE
                                                                   : OTLP_TEMPORALITY_NONE;
        if (field.type == PB_VARINT && field.number == KIND_MONOTONIC)
            metric->is_monotonic = field.value != 0;
    }
    return more;
}

int otlp_metric_read(struct bytes bytes, struct otlp_metric *ret_metric)
{
    struct otlp_metric metric = {.kind = OTLP_NO_KIND};
    struct pb_field field;
    int more;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.type != PB_LEN)
            continue;
        if (field.number == METRIC_NAME)
            metric.name = field.bytes;
        else if (field.number == METRIC_UNIT)
            metric.unit = field.bytes;
        else if (kind_of(field.number) != OTLP_NO_KIND) {
            metric.kind = kind_of(field.number);
            metric.content = field.bytes;
        }
    }
    if (more == 0)
        more = read_kind(&metric);
    if (more == 0)
        *ret_metric = metric;
    return more;
}

/* ---- a point */

/* A repeated fixed64 or double: packed, or one at a time. */
static int take_array(const struct pb_field *field, struct buf *array)
{
    if (field->type == PB_FIXED64)
        return buf_append(array, &field->value, sizeof field->value);
    if (field->type != PB_LEN || field->bytes.len % sizeof field->value)
        return -EBADMSG;
    return buf_append(array, field->bytes.ptr, field->bytes.len);
}

static int take_quantile(struct bytes bytes, struct buf *array)
{
    uint64_t pair[2] = {0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.type == PB_FIXED64 && (field.number == 1 || field.number == 2))
            pair[field.number - 1] = field.value;
    }
    return more < 0 ? more : buf_append(array, pair, sizeof pair);
}

static bool take_fixed64(const struct point_fields *at, const struct pb_field *field,
                         struct otlp_point *point)
{
    if (field->number == POINT_TIME)
        point->time_ns = field->value > INT64_MAX ? 0 : (int64_t)field->value;
    else if (field->number == at->as_double || field->number == at->as_int) {
        point->value = field->number == at->as_int ? (double)(int64_t)field->value : double_of(field->value);
        point->has_value = true;
    } else if (field->number == at->sum) {
        point->value = double_of(field->value);
        point->has_sum = true;
    } else if (field->number == at->count)
        point->count = field->value;
    else if (field->number == at->zero_count)
        point->zero_count = field->value;
    else if (field->number == at->zero_threshold)
        point->zero_threshold = double_of(field->value);
    else
        return false;
    return true;
}

static int take_field(const struct point_fields *at, const struct pb_field *field, struct otlp_point *point)
{
    if (field->type == PB_FIXED64 && take_fixed64(at, field, point))
        return 0;
    if (field->number == at->counts)
        return take_array(field, &point->counts);
    if (field->number == at->bounds)
        return take_array(field, &point->bounds);
    if (field->type == PB_VARINT && field->number == at->flags)
        point->is_stale = field->value & NO_RECORDED_VALUE;
    else if (field->type == PB_VARINT && field->number == at->scale)
        point->scale = (int32_t)((uint32_t)(field->value >> 1) ^ -(uint32_t)(field->value & 1));
    else if (field->type == PB_LEN && field->number == at->positive)
        point->positive = field->bytes;
    else if (field->type == PB_LEN && field->number == at->negative)
        point->negative = field->bytes;
    else if (field->type == PB_LEN && field->number == at->quantiles)
        return take_quantile(field->bytes, &point->bounds);
    else if (field->type == PB_LEN && field->number == at->exemplars)
        point->exemplars = field->number;
    return 0;
}

int otlp_point_read(enum otlp_metric_kind kind, struct bytes bytes, struct otlp_point *point)
{
    const struct point_fields *at = fields_of(kind);
    struct buf counts = point->counts, bounds = point->bounds;
    struct pb_field field;
    int more, err = 0;
    *point = (struct otlp_point){.counts = counts, .bounds = bounds, .attributes = at->attributes};
    buf_clear(&point->counts);
    buf_clear(&point->bounds);
    while (err == 0 && (more = pb_next(&bytes, &field)) != 0)
        err = more < 0 ? more : take_field(at, &field, point);
    return err;
}
