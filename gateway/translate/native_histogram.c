#include "gateway/translate/native_histogram.h"

#include <errno.h>

#include "base/pb.h"

enum { LEAST_SCALE = -4, MOST_SCALE = 8, MOST_GAP = 2 };
enum { BUCKETS_OFFSET = 1, BUCKETS_COUNTS = 2 };
enum { COUNT = 1, SUM = 3, SCHEMA = 4, ZERO_THRESHOLD = 5, ZERO_COUNT = 6, TIMESTAMP = 15 };
enum { NEGATIVE_SPANS = 8, NEGATIVE_DELTAS = 9, POSITIVE_SPANS = 11, POSITIVE_DELTAS = 12 };
enum { SPAN_OFFSET = 1, SPAN_LENGTH = 2 };
static const uint64_t stale_bits = UINT64_C(0x7ff0000000000002);
static const double default_threshold = 1e-128;

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Sparse buckets being written: spans and deltas in two buffers, because they are two fields. */
struct layout {
    struct buf spans, deltas;
    uint32_t spans_number, deltas_number;
    int64_t last, span_offset; /* the last bucket written; the open span's offset */
    uint64_t span_length;
    int64_t previous; /* the last bucket's count */
    bool has_some;
};

static int close_span(struct layout *l)
{
    size_t mark;
    int err = pb_begin(&l->spans, l->spans_number, &mark);
    if (err == 0)
        err = pb_put_varint(&l->spans, SPAN_OFFSET, zigzag(l->span_offset));
    if (err == 0)
        err = pb_put_varint(&l->spans, SPAN_LENGTH, l->span_length);
    if (err == 0)
        pb_end(&l->spans, mark);
    l->span_length = 0;
    return err;
}

static int put_delta(struct layout *l, int64_t count)
{
    int err = pb_put_varint(&l->deltas, l->deltas_number, zigzag(count - l->previous));
    l->previous = count;
    l->span_length++;
    return err;
}

/* A gap of at most MOST_GAP empty buckets is cheaper written than spanned. */
static int put_bucket(struct layout *l, int64_t index, uint64_t count)
{
    int64_t gap = l->has_some ? index - l->last - 1 : 0;
    int err = 0;
    if (!l->has_some)
        l->span_offset = index;
    else if (gap > MOST_GAP) {
        err = close_span(l);
        l->span_offset = gap;
        gap = 0;
    }
    for (; gap > 0 && err == 0; gap--)
        err = put_delta(l, 0);
    l->last = index;
    l->has_some = true;
    return err < 0 ? err : put_delta(l, (int64_t)count);
}

struct dense { /* OTLP's side */
    int64_t offset, at;
    int32_t scale_down;
    int64_t open; /* the bucket that is being merged into */
    uint64_t open_count;
};

static int take_count(struct dense *d, uint64_t count, struct layout *l)
{
    int64_t index = ((d->offset + d->at++) >> d->scale_down) + 1;
    int err = 0;
    if (count == 0)
        return 0;
    if (d->open_count && index != d->open) {
        err = put_bucket(l, d->open, d->open_count);
        d->open_count = 0;
    }
    d->open = index;
    d->open_count += count;
    return err;
}

static int take_field(struct dense *d, const struct pb_field *field, struct layout *l)
{
    struct bytes packed = field->bytes;
    uint64_t count;
    int err = 0;
    if (field->type == PB_VARINT)
        return take_count(d, field->value, l);
    if (field->type != PB_LEN)
        return -EBADMSG;
    while (packed.len && err == 0) {
        err = pb_get_varint(&packed, &count);
        if (err == 0)
            err = take_count(d, count, l);
    }
    return err;
}

static int convert(struct bytes buckets, int32_t scale_down, struct layout *l)
{
    struct dense d = {.scale_down = scale_down};
    struct pb_field field;
    struct bytes rest = buckets;
    int more, err = 0;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.number == BUCKETS_OFFSET && field.type == PB_VARINT)
            d.offset = (int32_t)unzigzag(field.value);
    }
    if (more < 0)
        return more;
    while (err == 0 && (more = pb_next(&buckets, &field)) == 1) {
        if (field.number == BUCKETS_COUNTS)
            err = take_field(&d, &field, l);
    }
    if (err == 0 && d.open_count)
        err = put_bucket(l, d.open, d.open_count);
    return err == 0 && l->has_some ? close_span(l) : err;
}

static int put_side(struct bytes buckets, int32_t scale_down, uint32_t spans, uint32_t deltas,
                    struct buf *out)
{
    struct layout l = {.spans_number = spans, .deltas_number = deltas};
    buf_init(&l.spans, out->max);
    buf_init(&l.deltas, out->max);
    int err = convert(buckets, scale_down, &l);
    if (err == 0)
        err = buf_append(out, l.spans.ptr, l.spans.len);
    if (err == 0)
        err = buf_append(out, l.deltas.ptr, l.deltas.len);
    buf_fini(&l.spans);
    buf_fini(&l.deltas);
    return err;
}

static int put_scalars(const struct native_histogram *h, int32_t schema, struct buf *out)
{
    double threshold = h->zero_threshold > 0 ? h->zero_threshold : default_threshold;
    int err = pb_put_varint(out, COUNT, h->is_stale ? stale_bits : h->count);
    if (err == 0)
        err = pb_put_fixed64(out, SUM, h->is_stale ? stale_bits : h->sum_bits);
    if (err == 0)
        err = pb_put_varint(out, SCHEMA, zigzag(schema));
    if (err == 0)
        err = pb_put_double(out, ZERO_THRESHOLD, threshold);
    if (err == 0)
        err = pb_put_varint(out, ZERO_COUNT, h->is_stale ? 0 : h->zero_count);
    return err < 0 ? err : pb_put_varint(out, TIMESTAMP, (uint64_t)h->time_ms);
}

int native_histogram_put(const struct native_histogram *h, struct buf *out)
{
    size_t before = out->len;
    int32_t schema = h->scale > MOST_SCALE ? MOST_SCALE : h->scale;
    int64_t down = (int64_t)h->scale - schema;
    if (h->scale < LEAST_SCALE)
        return -ERANGE;
    int32_t scale_down = down > 62 ? 62 : (int32_t)down;
    int err = put_scalars(h, schema, out);
    if (err == 0 && !h->is_stale)
        err = put_side(h->negative, scale_down, NEGATIVE_SPANS, NEGATIVE_DELTAS, out);
    if (err == 0 && !h->is_stale)
        err = put_side(h->positive, scale_down, POSITIVE_SPANS, POSITIVE_DELTAS, out);
    if (err < 0)
        out->len = before;
    return err;
}
