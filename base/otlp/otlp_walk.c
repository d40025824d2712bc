#include "base/otlp/otlp_walk.h"

#include <errno.h>

#include "base/pb.h"

enum { REQUEST_RESOURCES = 1, RESOURCE = 1, RESOURCE_SCOPES = 2, SCOPE = 1, SCOPE_RECORDS = 2 };
/* Metric: gauge, sum, histogram, exponential_histogram, summary; all have their points in one field, and a
 * point its time_unix_nano. */
enum { METRIC_KINDS = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11, KIND_POINTS = 1, POINT_TIME = 3 };
enum { RESOURCE_ATTRIBUTES = 1, ATTRIBUTE_KEY = 1, ATTRIBUTE_VALUE = 2, VALUE_STRING = 1 };

/* Where a record has its times: fixed64 fields. A second choice counts where the first one is not set. A
 * metric has none of its own. */
struct time_fields {
    uint32_t first, last, instead;
};
static const struct time_fields time_fields[TELEMETRY_COUNT] = {
    [TELEMETRY_TRACES] = {7, 8, 0}, /* start_time_unix_nano, end_time_unix_nano */
    [TELEMETRY_LOGS] = {1, 1, 11},  /* time_unix_nano, observed_time_unix_nano */
};

static inline uint64_t read_fixed64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value); /* the machines served are little-endian, as the wire is */
    return value;
}

/* pb_next for what nearly every field is here: a tag of one byte, then a fixed64, a varint of one byte or a
 * length of one or two. whole is not set. The rest is left to pb_next. */
static inline int next_field(struct bytes *rest, struct pb_field *field)
{
    const uint8_t *p = rest->ptr;
    if (rest->len < 9 || *p < 8 || *p >= 0x80)
        return pb_next(rest, field);
    field->number = *p >> 3;
    field->type = (enum pb_type)(*p & 7);
    if (field->type == PB_FIXED64) {
        field->value = read_fixed64(p + 1);
        *rest = bytes_skip(*rest, 9);
        return 1;
    }
    if (field->type == PB_VARINT && p[1] < 0x80) {
        field->value = p[1];
        *rest = bytes_skip(*rest, 2);
        return 1;
    }
    size_t head = p[1] < 0x80 ? 2 : 3;
    size_t len = p[1] < 0x80 ? p[1] : (p[1] & 0x7fu) | (size_t)p[2] << 7;
    if (field->type != PB_LEN || (head == 3 && p[2] >= 0x80) || len > rest->len - head)
        return pb_next(rest, field);
    field->bytes = (struct bytes){p + head, len};
    *rest = bytes_skip(*rest, head + len);
    return 1;
}

static void count_time(struct otlp_count *count, uint64_t first_ns, uint64_t last_ns)
{
    if (first_ns > 0 && first_ns <= INT64_MAX &&
        (count->earliest_ns == 0 || (int64_t)first_ns < count->earliest_ns))
        count->earliest_ns = (int64_t)first_ns;
    if (last_ns <= INT64_MAX && (int64_t)last_ns > count->latest_ns)
        count->latest_ns = (int64_t)last_ns;
}

/* Reads a record's fields only until its times are found: a span has them before its attributes. */
static int walk_record(struct bytes record, const struct time_fields *fields, struct otlp_count *count)
{
    uint64_t first_ns = 0, last_ns = 0, instead_ns = 0;
    struct pb_field field;
    int err = 0;
    count->records++;
    while (!(first_ns && last_ns) && (err = next_field(&record, &field)) > 0) {
        if (field.type != PB_FIXED64)
            continue;
        if (field.number == fields->first)
            first_ns = field.value;
        if (field.number == fields->last)
            last_ns = field.value;
        else if (field.number == fields->instead)
            instead_ns = field.value;
    }
    if (err < 0)
        return err;
    count_time(count, first_ns ? first_ns : instead_ns, last_ns ? last_ns : instead_ns);
    return 0;
}

/* The points of one kind of a metric: a gauge's, a sum's, a histogram's. */
static int walk_points(struct bytes kind, struct otlp_count *count)
{
    struct pb_field field, time;
    int err;
    while ((err = next_field(&kind, &field)) > 0) {
        if (field.number != KIND_POINTS)
            continue;
        if (field.type != PB_LEN)
            return -EBADMSG;
        while ((err = next_field(&field.bytes, &time)) > 0)
            if (time.number == POINT_TIME && time.type == PB_FIXED64) {
                count_time(count, time.value, time.value);
                break;
            }
        if (err < 0)
            return err;
    }
    return err;
}

static int walk_metric(struct bytes metric, struct otlp_count *count)
{
    struct pb_field field;
    int err;
    count->records++;
    while ((err = next_field(&metric, &field)) > 0) {
        bool is_kind = field.number < 32 && METRIC_KINDS >> field.number & 1;
        if (!is_kind)
            continue;
        if (field.type != PB_LEN)
            return -EBADMSG;
        err = walk_points(field.bytes, count);
        if (err < 0)
            return err;
    }
    return err;
}

/* Whether the bytes are a message, by its own level alone. */
static int check_message(struct bytes message)
{
    struct pb_field field;
    int err;
    while ((err = pb_next(&message, &field)) > 0)
        ;
    return err;
}

static int walk_scope(struct bytes scope, const struct time_fields *fields, struct otlp_count *count)
{
    struct pb_field field;
    int err;
    while ((err = next_field(&scope, &field)) > 0) {
        if (field.number != SCOPE && field.number != SCOPE_RECORDS)
            continue;
        if (field.type != PB_LEN)
            return -EBADMSG;
        err = field.number == SCOPE ? check_message(field.bytes)
              : fields->first       ? walk_record(field.bytes, fields, count)
                                    : walk_metric(field.bytes, count);
        if (err < 0)
            return err;
    }
    return err;
}

static int walk_resource(struct bytes resource, const struct time_fields *fields, struct otlp_count *count)
{
    struct pb_field field;
    int err;
    while ((err = next_field(&resource, &field)) > 0) {
        if (field.number != RESOURCE && field.number != RESOURCE_SCOPES)
            continue;
        if (field.type != PB_LEN)
            return -EBADMSG;
        err = field.number == RESOURCE ? check_message(field.bytes) : walk_scope(field.bytes, fields, count);
        if (err < 0)
            return err;
    }
    return err;
}

int otlp_walk(struct bytes request, enum telemetry signal, struct otlp_count *ret_count)
{
    struct otlp_count count = {0};
    struct pb_field field;
    int err;
    while ((err = pb_next(&request, &field)) > 0) {
        if (field.number != REQUEST_RESOURCES)
            continue;
        if (field.type != PB_LEN)
            return -EBADMSG;
        err = walk_resource(field.bytes, &time_fields[signal], &count);
        if (err < 0)
            return err;
    }
    if (err == 0)
        *ret_count = count;
    return err;
}

int otlp_put_attribute(struct buf *attributes, const char *name, const char *value)
{
    struct bytes key = bytes_of_string(name), text = bytes_of_string(value);
    size_t any = 1 + pb_varint_size(text.len) + text.len;
    size_t pair = 1 + pb_varint_size(key.len) + key.len + 1 + pb_varint_size(any) + any;
    int err = buf_reserve(attributes, 1 + PB_MAX_VARINT + pair);
    if (err < 0)
        return err;
    uint8_t *p = attributes->ptr + attributes->len;
    p = pb_write_varint(pb_write_tag(p, RESOURCE_ATTRIBUTES, PB_LEN), pair);
    p = pb_write_varint(pb_write_tag(p, ATTRIBUTE_KEY, PB_LEN), key.len);
    p = mempcpy(p, key.ptr, key.len);
    p = pb_write_varint(pb_write_tag(p, ATTRIBUTE_VALUE, PB_LEN), any);
    p = pb_write_varint(pb_write_tag(p, VALUE_STRING, PB_LEN), text.len);
    p = mempcpy(p, text.ptr, text.len);
    attributes->len = (size_t)(p - attributes->ptr);
    return 0;
}

/* The first resource of a resource_x message; an empty one at its end when there is none. */
static int find_resource(struct bytes message, struct pb_field *ret_field)
{
    struct pb_field field;
    int err;
    while ((err = pb_next(&message, &field)) > 0) {
        if (field.number != RESOURCE)
            continue;
        if (field.type != PB_LEN || check_message(field.bytes) < 0)
            return -EBADMSG;
        *ret_field = field;
        return 0;
    }
    *ret_field = (struct pb_field){.bytes = message, .whole = message};
    return err;
}

static int put_head(struct buf *out, uint32_t number, size_t len)
{
    int err = buf_reserve(out, PB_MAX_TAG + PB_MAX_VARINT);
    if (err < 0)
        return err;
    uint8_t *p = pb_write_tag(out->ptr + out->len, number, PB_LEN);
    out->len = (size_t)(pb_write_varint(p, len) - out->ptr);
    return 0;
}

static int put(struct buf *out, const uint8_t *begin, const uint8_t *end)
{
    return buf_append(out, begin, (size_t)(end - begin));
}

/* The first field of that number. */
static struct bytes find_bytes(struct bytes message, uint32_t number)
{
    struct pb_field field;
    while (next_field(&message, &field) > 0)
        if (field.number == number && field.type == PB_LEN)
            return field.bytes;
    return (struct bytes){0};
}

static bool has_attribute(struct bytes resource, struct bytes name)
{
    struct pb_field field;
    while (next_field(&resource, &field) > 0)
        if (field.number == RESOURCE_ATTRIBUTES && field.type == PB_LEN &&
            bytes_equal(find_bytes(field.bytes, ATTRIBUTE_KEY), name))
            return true;
    return false;
}

/* The next of the attributes whose name the resource does not have. */
static bool next_missing(struct bytes *attributes, struct bytes resource, struct bytes *ret_whole)
{
    struct pb_field field;
    while (pb_next(attributes, &field) > 0) {
        *ret_whole = field.whole;
        if (field.type != PB_LEN || !has_attribute(resource, find_bytes(field.bytes, ATTRIBUTE_KEY)))
            return true;
    }
    return false;
}

static size_t measure_missing(struct bytes attributes, struct bytes resource)
{
    struct bytes whole;
    size_t len = 0;
    while (next_missing(&attributes, resource, &whole))
        len += whole.len;
    return len;
}

static int put_missing(struct bytes attributes, struct bytes resource, struct buf *out)
{
    struct bytes whole;
    int err = 0;
    while (!err && next_missing(&attributes, resource, &whole))
        err = buf_append(out, whole.ptr, whole.len);
    return err;
}

/* Copies one resource_x message: before its resource, the resource with attributes, what follows. */
static int copy_resource(const struct pb_field *field, struct bytes attributes, struct buf *out)
{
    struct bytes message = field->bytes;
    struct pb_field old;
    int err = find_resource(message, &old);
    if (err < 0)
        return err;
    size_t added = measure_missing(attributes, old.bytes);
    if (!added)
        return buf_append(out, field->whole.ptr, field->whole.len);
    const uint8_t *end = message.ptr + message.len;
    size_t inner = old.bytes.len + added;
    size_t outer = message.len - old.whole.len + 1 + pb_varint_size(inner) + inner;
    if ((err = put_head(out, REQUEST_RESOURCES, outer)) < 0 ||
        (err = put(out, message.ptr, old.whole.ptr)) < 0 || (err = put_head(out, RESOURCE, inner)) < 0 ||
        (err = buf_append(out, old.bytes.ptr, old.bytes.len)) < 0 ||
        (err = put_missing(attributes, old.bytes, out)) < 0)
        return err;
    return put(out, old.whole.ptr + old.whole.len, end);
}

int otlp_add_resource_attributes(struct bytes request, struct bytes attributes, struct buf *out)
{
    struct pb_field field;
    size_t began = out->len;
    int err, failed = buf_reserve(out, request.len);
    while (!failed && (err = pb_next(&request, &field)) != 0) {
        if (err < 0)
            failed = err;
        else if (field.number != REQUEST_RESOURCES)
            failed = buf_append(out, field.whole.ptr, field.whole.len);
        else if (field.type != PB_LEN)
            failed = -EBADMSG;
        else
            failed = copy_resource(&field, attributes, out);
    }
    if (failed)
        out->len = began;
    return failed;
}
