#include "gateway/translate/otlp_metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/pb.h"
#include "base/utf8.h"
#include "gateway/translate/native_histogram.h"
#include "gateway/translate/number_text.h"
#include "gateway/translate/otlp_delta.h"
#include "gateway/translate/otlp_exemplars.h"
#include "gateway/translate/otlp_points.h"
#include "gateway/translate/otlp_value.h"
#include "gateway/translate/prom_name.h"
#include "gateway/translate/series_list.h"

enum { REQUEST_RESOURCES = 1, RESOURCE = 1, RESOURCE_SCOPES = 2, RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE = 1, SCOPE_METRICS = 2, SCOPE_SCHEMA = 3, SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum { SCOPE_ATTRIBUTES = 3, KIND_POINTS = 1, MOST_NAME = 2048 };
#define INFO_NS (INT64_C(150) * 1000000000) /* half of Prometheus' lookback */
enum { MOST_INFO = 1000 };                  /* samples of it; a longer run of times gets the last one only */
static const uint64_t stale_bits = UINT64_C(0x7ff0000000000002); /* Prometheus' staleness marker */

struct otlp_metrics {
    const struct gateway_backend_otlp *options; /* of the message under way; borrowed */
    struct otlp_delta *delta;
    struct translated *out;
    struct series_list series;
    struct otlp_labels resource; /* job, instance, promoted */
    struct otlp_labels info;     /* the resource's other attributes: of target_info */
    struct otlp_labels scope;
    struct otlp_labels labels; /* of the point */
    bool resource_is_bad, scope_is_bad;
    struct buf job, instance; /* owned */
    struct buf name;          /* of the metric; with a suffix */
    size_t name_len;
    struct buf histogram; /* an encoded one */
    struct otlp_point point;
    struct otlp_exemplars exemplars; /* the point's */
    int64_t earliest_ns, latest_ns;  /* of the resource's points */
};

struct otlp_metrics *otlp_metrics_new(void)
{
    struct otlp_metrics *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    series_list_init(&m->series);
    otlp_labels_init(&m->resource);
    otlp_labels_init(&m->info);
    otlp_labels_init(&m->scope);
    otlp_labels_init(&m->labels);
    buf_init(&m->job, OTLP_MAX_LABEL_TEXT);
    buf_init(&m->instance, OTLP_MAX_LABEL_TEXT);
    buf_init(&m->name, MOST_NAME);
    buf_init(&m->histogram, TRANSLATE_MAX_BYTES);
    otlp_point_init(&m->point);
    otlp_exemplars_init(&m->exemplars);
    return m;
}

void otlp_metrics_free(struct otlp_metrics *m)
{
    if (!m)
        return;
    series_list_fini(&m->series);
    otlp_labels_fini(&m->resource);
    otlp_labels_fini(&m->info);
    otlp_labels_fini(&m->scope);
    otlp_labels_fini(&m->labels);
    buf_fini(&m->job);
    buf_fini(&m->instance);
    buf_fini(&m->name);
    buf_fini(&m->histogram);
    otlp_point_fini(&m->point);
    otlp_exemplars_fini(&m->exemplars);
    free(m);
}

void otlp_metrics_release(struct otlp_metrics *m)
{
    series_list_clear(&m->series, 0);
    buf_release(&m->resource.text, 0);
    buf_release(&m->info.text, 0);
    buf_release(&m->scope.text, 0);
    buf_release(&m->labels.text, 0);
    buf_release(&m->histogram, 0);
    buf_release(&m->point.counts, 0);
    buf_release(&m->point.bounds, 0);
    otlp_exemplars_release(&m->exemplars);
}

/* The content of the last field of that number; empty when there is none. 0, -EBADMSG. */
static int find_message(struct bytes rest, uint32_t number, struct bytes *ret_content)
{
    struct bytes found = {0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.number == number && field.type == PB_LEN)
            found = field.bytes;
    }
    if (more == 0)
        *ret_content = found;
    return more;
}

/* ---- the resource */

static bool is_key(struct bytes key, const char *name)
{
    return bytes_equal(key, bytes_of_string(name));
}

static bool is_not_identity(const void *ctx, struct bytes key)
{
    (void)ctx;
    return !is_key(key, "service.name") && !is_key(key, "service.namespace") &&
           !is_key(key, "service.instance.id");
}

static bool is_promoted(const void *ctx, struct bytes key)
{
    const struct otlp_metrics *m = ctx;
    const struct conf_strings *promote = &m->options->promote;
    for (size_t i = 0; i < promote->count; i++) {
        if (is_key(key, promote->items[i]))
            return true;
    }
    return false;
}

/* job is service.namespace/service.name, instance is service.instance.id. */
static int read_identity(struct otlp_metrics *m, struct bytes resource)
{
    struct bytes name = {0}, space = {0}, instance = {0}, key, any;
    struct pb_field field;
    int more, err = 0;
    while ((more = pb_next(&resource, &field)) == 1) {
        if (field.number != RESOURCE_ATTRIBUTES || field.type != PB_LEN)
            continue;
        if (otlp_value_read_pair(field.bytes, &key, &any) < 0)
            return -EBADMSG;
        if (is_key(key, "service.name"))
            name = any;
        else if (is_key(key, "service.namespace"))
            space = any;
        else if (is_key(key, "service.instance.id"))
            instance = any;
    }
    buf_clear(&m->job);
    buf_clear(&m->instance);
    if (more < 0)
        return more;
    if (name.len && space.len)
        err = otlp_value_put_text(space, &m->job);
    if (err == 0 && m->job.len)
        err = buf_append_string(&m->job, "/");
    if (err == 0 && name.len)
        err = otlp_value_put_text(name, &m->job);
    if (err == 0 && instance.len)
        err = otlp_value_put_text(instance, &m->instance);
    return err;
}

static int set_identity(struct otlp_metrics *m, struct otlp_labels *labels)
{
    int err = m->job.len ? otlp_labels_set(labels, bytes_of_string("job"), buf_bytes(&m->job)) : 0;
    if (err == 0 && m->instance.len)
        err = otlp_labels_set(labels, bytes_of_string("instance"), buf_bytes(&m->instance));
    return err;
}

/* Whether the labels could not be made of what the sender chose; other errors go up. */
static int judge(int err, bool *ret_is_bad)
{
    *ret_is_bad = err == -E2BIG;
    return err == -E2BIG ? 0 : err;
}

static int read_resource(struct otlp_metrics *m, struct bytes resource)
{
    int err = otlp_labels_clear(&m->resource, resource.len);
    if (err == 0)
        err = otlp_labels_clear(&m->info, resource.len);
    if (err == 0)
        err = read_identity(m, resource);
    if (err == 0)
        err = otlp_labels_add(&m->resource, resource, RESOURCE_ATTRIBUTES, "", is_promoted, m);
    if (err == 0)
        err = set_identity(m, &m->resource);
    if (err == 0)
        err = otlp_labels_add(&m->info, resource, RESOURCE_ATTRIBUTES, "", is_not_identity, NULL);
    return judge(err, &m->resource_is_bad);
}

static int add_info_at(struct otlp_metrics *m, int64_t time_ns, struct series_value value)
{
    return series_list_add(&m->series, &m->info, bytes_of_string("target_info"), NULL, time_ns / 1000000,
                           value, TRANSLATED_NO_OWNER);
}

/* target_info says what is known of the resource, from its first point on and as often as a query looks back
 * twice; without an identity it would be nobody's. */
static int add_target_info(struct otlp_metrics *m)
{
    static const double one = 1;
    struct series_value value = {0};
    if (!m->options->target_info || m->resource_is_bad || m->info.count == 0 || m->latest_ns == 0 ||
        (m->job.len == 0 && m->instance.len == 0))
        return 0;
    if (set_identity(m, &m->info) < 0)
        return 0;
    otlp_labels_sort(&m->info);
    memcpy(&value.bits, &one, sizeof value.bits);
    int64_t at_ns = m->latest_ns - m->earliest_ns > MOST_INFO * INFO_NS ? m->latest_ns : m->earliest_ns;
    int err = 0;
    for (; at_ns < m->latest_ns && err == 0; at_ns += INFO_NS)
        err = add_info_at(m, at_ns, value);
    return err < 0 ? err : add_info_at(m, m->latest_ns, value);
}

/* What a sender calls its scope, as valid UTF-8; there is room in the set's text. */
static int set_text(struct otlp_labels *labels, const char *name, struct bytes text)
{
    size_t begin = labels->text.len;
    int err = utf8_is_valid(text) ? 0 : utf8_put_valid(text, &labels->text);
    if (labels->text.len != begin)
        text = bytes_skip(buf_bytes(&labels->text), begin);
    return err < 0 ? err : otlp_labels_set(labels, bytes_of_string(name), text);
}

static int read_scope(struct otlp_metrics *m, struct bytes scope, struct bytes schema)
{
    struct bytes name, version;
    if (!m->options->scope_labels) {
        m->scope.count = 0;
        m->scope_is_bad = false;
        return 0;
    }
    int err = find_message(scope, SCOPE_NAME, &name);
    if (err == 0)
        err = find_message(scope, SCOPE_VERSION, &version);
    if (err == 0)
        err = otlp_labels_clear(&m->scope, scope.len + schema.len);
    if (err == 0)
        err = otlp_labels_add(&m->scope, scope, SCOPE_ATTRIBUTES, "otel_scope_", NULL, NULL);
    if (err == 0)
        err = set_text(&m->scope, "otel_scope_name", name);
    if (err == 0)
        err = set_text(&m->scope, "otel_scope_version", version);
    if (err == 0)
        err = set_text(&m->scope, "otel_scope_schema_url", schema);
    return judge(err, &m->scope_is_bad);
}

/* ---- the labels and the name of a point */

static int set_labels(struct otlp_metrics *m, struct bytes bytes)
{
    int err = otlp_labels_clear(&m->labels, bytes.len);
    if (err == 0)
        err = otlp_labels_add(&m->labels, bytes, m->point.attributes, "", NULL, NULL);
    for (size_t i = 0; i < m->scope.count && err == 0; i++)
        err = otlp_labels_set(&m->labels, m->scope.items[i].name, m->scope.items[i].value);
    if (err == 0)
        err = set_identity(m, &m->labels);
    if (err == 0)
        err = otlp_labels_add_absent(&m->labels, &m->resource);
    otlp_labels_sort(&m->labels);
    return err;
}

static struct bytes name_with(struct otlp_metrics *m, const char *suffix)
{
    m->name.len = m->name_len;
    (void)buf_append_string(&m->name, suffix); /* there is room: see set_name */
    return buf_bytes(&m->name);
}

static int set_name(struct otlp_metrics *m, const struct otlp_metric *metric)
{
    enum prom_kind kind = metric->kind == OTLP_GAUGE                         ? PROM_GAUGE
                          : metric->kind == OTLP_SUM && metric->is_monotonic ? PROM_COUNTER
                                                                             : PROM_OTHER;
    buf_clear(&m->name);
    int err = prom_name_put_metric(metric->name, metric->unit, kind, &m->name);
    m->name_len = m->name.len;
    return err < 0 ? err : buf_reserve(&m->name, sizeof "_bucket");
}

static struct series_value value_of(const struct otlp_metrics *m, double number)
{
    struct series_value value = {0};
    memcpy(&value.bits, &number, sizeof value.bits);
    if (m->point.is_stale)
        value.bits = stale_bits;
    return value;
}

static int add_sample(struct otlp_metrics *m, const char *suffix, const struct otlp_label *more,
                      double number, uint32_t owner)
{
    return series_list_add(&m->series, &m->labels, name_with(m, suffix), more, m->point.time_ns / 1000000,
                           value_of(m, number), owner);
}

/* ---- points: 0, or an error that goes up; *ret_reason is set when the point cannot be translated */

/* The point's value, and its counts, as they are since the series began. */
static int cumulate(struct otlp_metrics *m, uint64_t *counts, size_t count, enum translate_reason *ret_reason)
{
    uint64_t series = series_hash(0, name_with(m, ""));
    for (size_t i = 0; i < m->labels.count; i++) {
        series = series_hash(series, m->labels.items[i].name);
        series = series_hash(series, m->labels.items[i].value);
    }
    struct otlp_delta_point point = {.series = series,
                                     .shape = series_hash(0, buf_bytes(&m->point.bounds)),
                                     .time_ns = m->point.time_ns,
                                     .sum = m->point.value,
                                     .counts = counts,
                                     .count = count};
    int err = m->point.is_stale ? 0 : otlp_delta_add(m->delta, &point);
    m->point.value = point.sum;
    if (err == -ESTALE)
        *ret_reason = TRANSLATE_DELTA_ORDER;
    if (err == -ENOSPC)
        *ret_reason = TRANSLATE_DELTA_SERIES;
    return err == -ENOMEM ? err : 0;
}

static int add_number(struct otlp_metrics *m, const struct otlp_metric *metric, uint32_t owner,
                      enum translate_reason *ret_reason)
{
    int err = 0;
    if (!m->point.has_value && !m->point.is_stale)
        *ret_reason = TRANSLATE_VALUE;
    else if (metric->kind == OTLP_SUM && metric->temporality == OTLP_DELTA)
        err = cumulate(m, NULL, 0, ret_reason);
    if (err < 0 || *ret_reason)
        return err;
    struct series_value value = value_of(m, m->point.value);
    if (metric->kind == OTLP_SUM) /* a gauge has none in Prometheus */
        err = otlp_exemplars_take(&m->exemplars, INFINITY, &value.exemplars);
    if (err < 0)
        return err;
    return series_list_add(&m->series, &m->labels, name_with(m, ""), NULL, m->point.time_ns / 1000000, value,
                           owner);
}

/* A bucket with its exemplars: those that the buckets below it did not take. */
static int add_bucket(struct otlp_metrics *m, double bound, uint64_t count, uint32_t owner)
{
    char text[NUMBER_TEXT];
    struct otlp_label le = {.name = bytes_of_string("le"), .value = bytes_of_string("+Inf")};
    struct series_value value = value_of(m, (double)count);
    if (bound < INFINITY)
        le.value = (struct bytes){(uint8_t *)text, number_text(bound, NUMBER_PLAIN, text)};
    int err = otlp_exemplars_take(&m->exemplars, bound, &value.exemplars);
    if (err < 0)
        return err;
    return series_list_add(&m->series, &m->labels, name_with(m, "_bucket"), &le, m->point.time_ns / 1000000,
                           value, owner);
}

static int add_buckets(struct otlp_metrics *m, const uint64_t *counts, const double *bounds, size_t count,
                       uint64_t total, uint32_t owner)
{
    uint64_t sum = 0;
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        sum += counts[i];
        if (isinf(bounds[i]) && bounds[i] > 0)
            continue; /* the one below */
        err = add_bucket(m, bounds[i], sum, owner);
    }
    return err < 0 ? err : add_bucket(m, INFINITY, total, owner);
}

static int add_histogram(struct otlp_metrics *m, const struct otlp_metric *metric, uint32_t owner,
                         enum translate_reason *ret_reason)
{
    struct otlp_point *p = &m->point;
    size_t count = p->counts.len / sizeof(uint64_t), bounds = p->bounds.len / sizeof(double);
    int err = 0;
    if (count != bounds + 1 && !(count == 0 && (bounds == 0 || p->is_stale)))
        *ret_reason = TRANSLATE_BUCKETS;
    if (*ret_reason)
        return 0;
    if (metric->temporality == OTLP_DELTA) { /* the total is cumulated as one more bucket */
        if (count >= OTLP_DELTA_MAX_COUNTS)
            *ret_reason = TRANSLATE_BUCKETS;
        else if ((err = buf_append(&p->counts, &p->count, sizeof p->count)) == 0)
            err = cumulate(m, (uint64_t *)(void *)p->counts.ptr, count + 1, ret_reason);
        if (err < 0 || *ret_reason)
            return err;
        memcpy(&p->count, p->counts.ptr + count * sizeof p->count, sizeof p->count);
    }
    if (p->has_sum)
        err = add_sample(m, "_sum", NULL, p->value, owner);
    if (err == 0)
        err = add_sample(m, "_count", NULL, (double)p->count, owner);
    if (err < 0)
        return err;
    return add_buckets(m, (const uint64_t *)(const void *)p->counts.ptr,
                       (const double *)(const void *)p->bounds.ptr, count ? bounds : 0, p->count, owner);
}

static int add_exponential(struct otlp_metrics *m, uint32_t owner, enum translate_reason *ret_reason)
{
    const struct otlp_point *p = &m->point;
    struct native_histogram native = {.scale = p->scale,
                                      .count = p->count,
                                      .zero_count = p->zero_count,
                                      .zero_threshold = p->zero_threshold,
                                      .positive = p->positive,
                                      .negative = p->negative,
                                      .is_stale = p->is_stale,
                                      .time_ms = p->time_ns / 1000000};
    memcpy(&native.sum_bits, &p->value, sizeof native.sum_bits);
    buf_clear(&m->histogram);
    int err = native_histogram_put(&native, &m->histogram);
    if (err == -ERANGE) {
        *ret_reason = TRANSLATE_SCALE;
        return 0;
    }
    if (err < 0)
        return err;
    struct series_value value = {.histogram = buf_bytes(&m->histogram)};
    err = otlp_exemplars_take(&m->exemplars, INFINITY, &value.exemplars);
    if (err < 0)
        return err;
    return series_list_add(&m->series, &m->labels, name_with(m, ""), NULL, native.time_ms, value, owner);
}

static int add_summary(struct otlp_metrics *m, uint32_t owner)
{
    const double *pairs = (const double *)(const void *)m->point.bounds.ptr;
    size_t count = m->point.bounds.len / (2 * sizeof(double));
    char text[NUMBER_TEXT];
    int err = add_sample(m, "_sum", NULL, m->point.value, owner);
    if (err == 0)
        err = add_sample(m, "_count", NULL, (double)m->point.count, owner);
    for (size_t i = 0; i < count && err == 0; i++) {
        struct otlp_label quantile = {.name = bytes_of_string("quantile")};
        quantile.value = (struct bytes){(uint8_t *)text, number_text(pairs[2 * i], NUMBER_PLAIN, text)};
        err = add_sample(m, "", &quantile, pairs[2 * i + 1], owner);
    }
    return err;
}

static int add_point(struct otlp_metrics *m, const struct otlp_metric *metric, struct bytes bytes,
                     uint32_t owner, enum translate_reason *ret_reason)
{
    int err = otlp_point_read(metric->kind, bytes, &m->point);
    if (err < 0)
        return err;
    if (m->point.time_ns == 0) {
        *ret_reason = TRANSLATE_TIME;
        return 0;
    }
    err = otlp_exemplars_read(&m->exemplars, bytes, m->point.exemplars);
    if (err == 0)
        err = set_labels(m, bytes);
    if (err == -E2BIG) {
        *ret_reason = TRANSLATE_LABELS;
        return 0;
    }
    if (err < 0)
        return err;
    if (m->point.time_ns > m->latest_ns)
        m->latest_ns = m->point.time_ns;
    if (m->earliest_ns == 0 || m->point.time_ns < m->earliest_ns)
        m->earliest_ns = m->point.time_ns;
    switch (metric->kind) {
    case OTLP_NO_KIND:
        return 0;
    case OTLP_GAUGE:
    case OTLP_SUM:
        return add_number(m, metric, owner, ret_reason);
    case OTLP_HISTOGRAM:
        return add_histogram(m, metric, owner, ret_reason);
    case OTLP_EXPONENTIAL:
        return add_exponential(m, owner, ret_reason);
    case OTLP_SUMMARY:
        return add_summary(m, owner);
    }
    return 0;
}

/* ---- metrics */

/* Why none of the metric's points can be translated. */
static enum translate_reason refusal_of(const struct otlp_metrics *m, const struct otlp_metric *metric)
{
    bool has_temporality =
        metric->kind == OTLP_SUM || metric->kind == OTLP_HISTOGRAM || metric->kind == OTLP_EXPONENTIAL;
    if (metric->kind == OTLP_NO_KIND)
        return TRANSLATE_VALUE;
    if (m->resource_is_bad || m->scope_is_bad)
        return TRANSLATE_LABELS;
    if (has_temporality && metric->temporality == OTLP_TEMPORALITY_NONE)
        return TRANSLATE_TEMPORALITY;
    if (has_temporality && metric->temporality == OTLP_DELTA && !m->delta)
        return TRANSLATE_DELTA;
    if (metric->kind == OTLP_EXPONENTIAL && !m->options->native_histograms)
        return TRANSLATE_NATIVE;
    if (metric->kind == OTLP_EXPONENTIAL && metric->temporality == OTLP_DELTA)
        return TRANSLATE_DELTA_KIND;
    return TRANSLATE_NONE;
}

static int add_metric(struct otlp_metrics *m, struct bytes bytes)
{
    uint32_t owner = m->out->source_count;
    struct otlp_metric metric;
    struct pb_field field;
    int more, err = translated_begin_source(m->out);
    if (err == 0)
        err = otlp_metric_read(bytes, &metric);
    if (err < 0)
        return err;
    enum translate_reason reason = refusal_of(m, &metric);
    if (reason == TRANSLATE_NONE && (err = set_name(m, &metric)) < 0)
        reason = TRANSLATE_NAME;
    if (err == -ENOMEM)
        return err;
    translated_refuse(m->out, owner, reason);
    struct bytes rest = reason ? (struct bytes){0} : metric.content;
    while ((more = pb_next(&rest, &field)) == 1) {
        enum translate_reason of_point = TRANSLATE_NONE;
        if (field.number != KIND_POINTS || field.type != PB_LEN)
            continue;
        err = add_point(m, &metric, field.bytes, owner, &of_point);
        if (err < 0)
            return err;
        translated_refuse(m->out, owner, of_point);
    }
    return more;
}

static int add_scope(struct otlp_metrics *m, struct bytes bytes)
{
    struct bytes scope, schema;
    struct pb_field field;
    int more, err = find_message(bytes, SCOPE, &scope);
    if (err == 0)
        err = find_message(bytes, SCOPE_SCHEMA, &schema);
    if (err == 0)
        err = read_scope(m, scope, schema);
    if (err < 0)
        return err;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.number == SCOPE_METRICS && field.type == PB_LEN && (err = add_metric(m, field.bytes)) < 0)
            return err;
    }
    return more;
}

static int add_resource(struct otlp_metrics *m, struct bytes bytes)
{
    struct bytes resource;
    struct pb_field field;
    int more, err = find_message(bytes, RESOURCE, &resource);
    if (err == 0)
        err = read_resource(m, resource);
    if (err < 0)
        return err;
    m->earliest_ns = m->latest_ns = 0;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.number == RESOURCE_SCOPES && field.type == PB_LEN && (err = add_scope(m, field.bytes)) < 0)
            return err;
    }
    return more < 0 ? more : add_target_info(m);
}

int otlp_metrics_translate(struct otlp_metrics *m, const struct gateway_backend_otlp *options,
                           struct otlp_delta *delta, struct bytes raw, struct translated *out)
{
    struct pb_field field;
    int more, err;
    m->options = options;
    m->delta = delta;
    m->out = out;
    series_list_clear(&m->series, TRANSLATE_MAX_BYTES);
    while ((more = pb_next(&raw, &field)) == 1) {
        if (field.number == REQUEST_RESOURCES && field.type == PB_LEN &&
            (err = add_resource(m, field.bytes)) < 0)
            return err;
    }
    return more < 0 ? more : series_list_finish(&m->series, out);
}
