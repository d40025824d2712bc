#include "gateway/fanout/split.h"

#include <errno.h>

#include "base/pb.h"

/* How a format nests: containers from the outside in, then the fields that are records. */
enum { MOST_DEPTH = 2 };
struct shape {
    uint32_t depth;
    uint32_t containers[MOST_DEPTH]; /* field numbers */
    uint32_t records[2];             /* field numbers; 0: none */
};

static const struct shape *shape_of(enum batch_format format)
{
    static const struct shape remote_write = {1, {1}, {2, 4}}; /* timeseries; samples, histograms */
    static const struct shape loki = {1, {1}, {2, 0}};         /* streams; entries */
    static const struct shape otlp = {
        2, {1, 2}, {2, 0}}; /* resource_*, scope_*; spans, metrics, log_records */
    switch (format) {
    case FORMAT_REMOTE_WRITE_1:
        return &remote_write;
    case FORMAT_LOKI_PUSH:
        return &loki;
    case FORMAT_OTLP_TRACES:
    case FORMAT_OTLP_METRICS:
    case FORMAT_OTLP_LOGS:
        return &otlp;
    case FORMAT_REMOTE_WRITE_2:
        return NULL;
    }
    return NULL;
}

static bool is_container(const struct shape *shape, uint32_t level, const struct pb_field *field)
{
    return level < shape->depth && field->type == PB_LEN && field->number == shape->containers[level];
}

static bool is_record(const struct shape *shape, uint32_t level, const struct pb_field *field)
{
    return level == shape->depth && field->type == PB_LEN &&
           (field->number == shape->records[0] || field->number == shape->records[1]);
}

/* ---- counting */

/* The recursion is as deep as the shape, at most MOST_DEPTH, whatever the bytes are. */
static int count_level(const struct shape *shape, uint32_t level, struct bytes rest, uint32_t *count)
{
    struct pb_field field;
    int more;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (is_record(shape, level, &field))
            (*count)++;
        else if (is_container(shape, level, &field)) {
            int err = count_level(shape, level + 1, field.bytes, count);
            if (err < 0)
                return err;
        }
    }
    return more;
}

int split_count(enum batch_format format, struct bytes raw, uint32_t *ret_count)
{
    const struct shape *shape = shape_of(format);
    uint32_t count = 0;
    if (!shape)
        return -EPROTONOSUPPORT;
    if (raw.len > INT32_MAX)
        return -EBADMSG;
    int err = count_level(shape, 0, raw, &count);
    if (err < 0)
        return err;
    *ret_count = count;
    return 0;
}

/* ---- cutting out */

struct cut {
    const struct shape *shape;
    uint32_t from, to, count;
    uint32_t at; /* the next record's number */
    struct buf *out;
};

/* Whether an element without records belongs to the piece: with the record that follows it, else the last. */
static bool holds_place(const struct cut *cut)
{
    return (cut->at >= cut->from && cut->at < cut->to) || (cut->at >= cut->count && cut->to == cut->count);
}

static int cut_level(struct cut *cut, uint32_t level, struct bytes rest);

static int cut_container(struct cut *cut, uint32_t level, const struct pb_field *field)
{
    uint32_t records = 0;
    int err = count_level(cut->shape, level + 1, field->bytes, &records);
    if (err < 0)
        return err;
    bool has_some = cut->at < cut->to && cut->at + records > cut->from;
    if (records == 0 ? !holds_place(cut) : !has_some) {
        cut->at += records;
        return 0;
    }
    if (records == 0 || (cut->at >= cut->from && cut->at + records <= cut->to)) { /* all of it */
        cut->at += records;
        return buf_append(cut->out, field->whole.ptr, field->whole.len);
    }
    size_t mark;
    if ((err = pb_begin(cut->out, field->number, &mark)) < 0 ||
        (err = cut_level(cut, level + 1, field->bytes)) < 0)
        return err;
    pb_end(cut->out, mark);
    return 0;
}

static int cut_level(struct cut *cut, uint32_t level, struct bytes rest)
{
    struct pb_field field;
    int more, err;
    while ((more = pb_next(&rest, &field)) == 1) {
        bool wanted = level > 0 || holds_place(cut); /* what stands beside the records of a kept container */
        if (is_container(cut->shape, level, &field)) {
            if ((err = cut_container(cut, level, &field)) < 0)
                return err;
            continue;
        }
        if (is_record(cut->shape, level, &field)) {
            wanted = cut->at >= cut->from && cut->at < cut->to;
            cut->at++;
        }
        if (wanted && (err = buf_append(cut->out, field.whole.ptr, field.whole.len)) < 0)
            return err;
    }
    return more;
}

int split_write(enum batch_format format, struct bytes raw, uint32_t count, uint32_t from, uint32_t to,
                struct buf *out)
{
    struct cut cut = {shape_of(format), from, to, count, 0, out};
    size_t before = out->len;
    if (!cut.shape)
        return -EPROTONOSUPPORT;
    if (from > to || to > count)
        return -EINVAL;
    if (raw.len >= 1u << 28) /* pb_end's limit */
        return -EBADMSG;
    int err = cut_level(&cut, 0, raw);
    if (err < 0)
        out->len = before;
    return err;
}

/* ---- series and times of remote write */

enum { SERIES_LABELS = 1, SERIES_SAMPLES = 2, SERIES_HISTOGRAMS = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2, SAMPLE_TIME = 2, HISTOGRAM_TIME = 15 };

static uint64_t hash_more(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.ptr[i]) * 0x100000001b3ULL; /* FNV-1a */
    return (hash ^ 0x100) * 0x100000001b3ULL;            /* an end that no byte is */
}

static int hash_label(struct bytes label, uint64_t *hash)
{
    struct bytes name = {0}, value = {0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&label, &field)) == 1) {
        if (field.number == LABEL_NAME && field.type == PB_LEN)
            name = field.bytes;
        else if (field.number == LABEL_VALUE && field.type == PB_LEN)
            value = field.bytes;
    }
    *hash = hash_more(hash_more(*hash, name), value);
    return more;
}

static int hash_series(struct bytes series, uint64_t *ret_hash)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    struct pb_field field;
    int more, err;
    while ((more = pb_next(&series, &field)) == 1) {
        if (field.number == SERIES_LABELS && field.type == PB_LEN &&
            (err = hash_label(field.bytes, &hash)) < 0)
            return err;
    }
    *ret_hash = hash;
    return more;
}

static int time_of_record(const struct pb_field *record, int64_t *ret_time_ms)
{
    uint32_t number = record->number == SERIES_SAMPLES ? SAMPLE_TIME : HISTOGRAM_TIME;
    struct bytes rest = record->bytes;
    struct pb_field field;
    int64_t time_ms = 0;
    int more;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.number == number && field.type == PB_VARINT)
            time_ms = (int64_t)field.value;
    }
    *ret_time_ms = time_ms;
    return more;
}

struct samples {
    struct split_sample *items; /* borrowed */
    uint32_t count, at;
};

static int take_series(struct samples *samples, struct bytes series)
{
    struct pb_field field;
    uint64_t hash;
    int more, err = hash_series(series, &hash);
    if (err < 0)
        return err;
    while ((more = pb_next(&series, &field)) == 1) {
        if (field.type != PB_LEN || (field.number != SERIES_SAMPLES && field.number != SERIES_HISTOGRAMS))
            continue;
        if (samples->at == samples->count)
            return -EBADMSG;
        struct split_sample *sample = &samples->items[samples->at++];
        sample->series = hash;
        if ((err = time_of_record(&field, &sample->time_ms)) < 0)
            return err;
    }
    return more;
}

int split_samples(struct bytes raw, struct split_sample *samples, uint32_t count)
{
    struct samples into = {samples, count, 0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&raw, &field)) == 1) {
        if (field.number != 1 || field.type != PB_LEN)
            continue;
        int err = take_series(&into, field.bytes);
        if (err < 0)
            return err;
    }
    return more < 0 ? more : into.at == count ? 0 : -EBADMSG;
}
