#include "gateway/translate/otlp_logs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/pb.h"
#include "base/utf8.h"
#include "gateway/translate/otlp_value.h"
#include "gateway/translate/prom_name.h"

enum { REQUEST_RESOURCES = 1, RESOURCE = 1, RESOURCE_SCOPES = 2, RESOURCE_ATTRIBUTES = 1 };
enum {
    SCOPE = 1,
    SCOPE_LOGS = 2,
    SCOPE_NAME = 1,
    SCOPE_VERSION = 2,
    SCOPE_ATTRIBUTES = 3,
    SCOPE_DROPPED = 4
};
enum {
    LOG_TIME = 1,
    LOG_SEVERITY = 2,
    LOG_SEVERITY_TEXT = 3,
    LOG_BODY = 5,
    LOG_ATTRIBUTES = 6,
    LOG_DROPPED = 7,
    LOG_FLAGS = 8,
    LOG_TRACE_ID = 9,
    LOG_SPAN_ID = 10,
    LOG_OBSERVED = 11,
    LOG_EVENT_NAME = 12,
};
enum { STREAM_LABELS = 1, STREAM_ENTRIES = 2, ENTRY_TIME = 1, ENTRY_LINE = 2, ENTRY_METADATA = 3 };
enum { PAIR_NAME = 1, PAIR_VALUE = 2, TIME_SECONDS = 1, TIME_NANOS = 2, MAP_PAIRS = 1 };
#define OLD_NS (UINT64_C(7) * 86400 * 1000000000) /* reject_old_samples_max_age, by default */
enum { MOST_TEXT = 64 << 20, MOST_PATH = 64 << 10, MOST_ID = 64 };

/* Loki's default_resource_attributes_as_index_labels. */
static const char *const index_labels[] = {
    "service.name",        "service.namespace",          "service.instance.id", "deployment.environment",
    "cloud.region",        "cloud.availability_zone",    "k8s.cluster.name",    "k8s.namespace.name",
    "k8s.pod.name",        "k8s.container.name",         "container.name",      "k8s.replicaset.name",
    "k8s.deployment.name", "k8s.statefulset.name",       "k8s.daemonset.name",  "k8s.cronjob.name",
    "k8s.job.name",        "deployment.environment.name"};

struct otlp_logs {
    struct translated *out;
    int64_t received_ns;
    struct buf labels;      /* {a="b", ...} of the resource */
    struct buf of_resource; /* encoded metadata fields */
    struct buf of_scope;    /* likewise */
    struct buf of_log;      /* likewise, of the log under way */
    struct buf path, name;  /* of a nested attribute: as it is, and as a label's name */
    struct buf value;       /* as text */
    bool resource_is_bad, scope_is_bad;
};

struct otlp_logs *otlp_logs_new(void)
{
    struct otlp_logs *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    struct buf *const texts[] = {&l->labels, &l->of_resource, &l->of_scope, &l->of_log, &l->value};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        buf_init(texts[i], MOST_TEXT);
    buf_init(&l->path, MOST_PATH);
    buf_init(&l->name, MOST_PATH + 16);
    return l;
}

void otlp_logs_free(struct otlp_logs *l)
{
    if (!l)
        return;
    otlp_logs_release(l);
    free(l);
}

void otlp_logs_release(struct otlp_logs *l)
{
    struct buf *const all[] = {&l->labels, &l->of_resource, &l->of_scope, &l->of_log,
                               &l->path,   &l->name,        &l->value};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_release(all[i], 0);
}

/* ---- metadata */

static int put_pair(struct buf *out, struct bytes name, struct bytes value)
{
    size_t mark;
    if (value.len == 0)
        return 0;
    int err = pb_begin(out, ENTRY_METADATA, &mark);
    if (err == 0)
        err = pb_put_bytes(out, PAIR_NAME, name);
    if (err == 0)
        err = pb_put_bytes(out, PAIR_VALUE, value);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

static int put_number(struct buf *out, const char *name, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    if (value == 0)
        return 0;
    return put_pair(out, bytes_of_string(name), (struct bytes){(uint8_t *)text, (size_t)len});
}

static int put_text(struct otlp_logs *l, struct buf *out, const char *name, struct bytes text)
{
    buf_clear(&l->value);
    int err = utf8_put_valid(text, &l->value);
    return err < 0 ? err : put_pair(out, bytes_of_string(name), buf_bytes(&l->value));
}

static int put_id(struct buf *out, const char *name, struct bytes id)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * MOST_ID];
    bool is_set = false;
    if (id.len > MOST_ID)
        return -E2BIG;
    for (size_t i = 0; i < id.len; i++) {
        is_set |= id.ptr[i] != 0;
        text[2 * i] = digits[id.ptr[i] >> 4];
        text[2 * i + 1] = digits[id.ptr[i] & 15];
    }
    return is_set ? put_pair(out, bytes_of_string(name), (struct bytes){(uint8_t *)text, 2 * id.len}) : 0;
}

/* One value that is no map, under the path. */
static int put_leaf(struct otlp_logs *l, struct buf *out, struct bytes any)
{
    buf_clear(&l->name);
    buf_clear(&l->value);
    int err = prom_name_put_label(buf_bytes(&l->path), false, &l->name);
    if (err == -EINVAL)
        return 0; /* no name can be made of it */
    if (err == 0)
        err = otlp_value_put_text(any, &l->value);
    return err < 0 ? err : put_pair(out, buf_bytes(&l->name), buf_bytes(&l->value));
}

struct level { /* a map that is being flattened */
    struct bytes rest;
    size_t path_len;
};

static int extend_path(struct otlp_logs *l, size_t to, struct bytes key)
{
    l->path.len = to;
    int err = to ? buf_append_string(&l->path, "_") : 0;
    return err < 0 ? err : buf_append(&l->path, key.ptr, key.len);
}

/* An attribute; a map as one pair a leaf, named by the keys that lead to it. -E2BIG: nested too deep. */
static int put_attribute(struct otlp_logs *l, struct buf *out, struct bytes pair)
{
    struct level levels[OTLP_VALUE_DEPTH];
    size_t depth = 0, path_len = 0;
    for (;;) {
        struct bytes key, any;
        enum otlp_value_kind kind;
        struct pb_field field;
        int err = otlp_value_read_pair(pair, &key, &any);
        if (err == 0)
            err = extend_path(l, path_len, key);
        if (err == 0)
            err = otlp_value_read(any, &kind, &field);
        if (err == 0 && kind == OTLP_VALUE_MAP && depth == OTLP_VALUE_DEPTH)
            err = -E2BIG;
        if (err == 0 && kind == OTLP_VALUE_MAP)
            levels[depth++] = (struct level){field.bytes, l->path.len};
        else if (err == 0)
            err = put_leaf(l, out, any);
        int more = 0;
        while (err == 0 && depth && (more = pb_next(&levels[depth - 1].rest, &field)) != 1) {
            err = more;
            depth--;
        }
        if (err < 0 || depth == 0)
            return err;
        pair = field.type == PB_LEN && field.number == MAP_PAIRS ? field.bytes : (struct bytes){0};
        path_len = levels[depth - 1].path_len;
    }
}

static int judge(int err, bool *ret_is_bad)
{
    bool is_bad = err == -E2BIG || err == -EMSGSIZE;
    *ret_is_bad = is_bad;
    return is_bad ? 0 : err;
}

/* ---- the resource */

static int put_quoted(struct buf *out, struct bytes text)
{
    int err = buf_append_string(out, "\"");
    for (size_t i = 0; i < text.len && err == 0; i++) {
        uint8_t c = text.ptr[i];
        if (c == '"' || c == '\\')
            err = buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            err = buf_printf(out, "\\u%04x", c);
        else
            err = buf_append(out, &c, 1);
    }
    return err < 0 ? err : buf_append_string(out, "\"");
}

static int put_label(struct otlp_logs *l, struct bytes key, struct bytes any)
{
    buf_clear(&l->name);
    buf_clear(&l->value);
    int err = prom_name_put_label(key, false, &l->name);
    if (err == 0)
        err = otlp_value_put_text(any, &l->value);
    if (err < 0 || l->value.len == 0)
        return err;
    err = buf_append_string(&l->labels, l->labels.len > 1 ? ", " : "");
    if (err == 0)
        err = buf_append(&l->labels, l->name.ptr, l->name.len);
    if (err == 0)
        err = buf_append_string(&l->labels, "=");
    return err < 0 ? err : put_quoted(&l->labels, buf_bytes(&l->value));
}

/* The attribute of that key; an empty one when there is none. */
static int find_attribute(struct bytes resource, const char *name, struct bytes *ret_any)
{
    struct bytes key, any, found = {0};
    struct pb_field field;
    int more;
    while ((more = pb_next(&resource, &field)) == 1) {
        if (field.number != RESOURCE_ATTRIBUTES || field.type != PB_LEN)
            continue;
        if (otlp_value_read_pair(field.bytes, &key, &any) < 0)
            return -EBADMSG;
        if (bytes_equal(key, bytes_of_string(name)))
            found = any;
    }
    if (more == 0)
        *ret_any = found;
    return more;
}

/* The labels, in the order of the list; is_label tells which of the list came in. */
static int put_labels(struct otlp_logs *l, struct bytes resource, bool *is_label)
{
    size_t count = 0;
    int err = buf_append_string(&l->labels, "{");
    for (size_t i = 0; i < sizeof index_labels / sizeof index_labels[0] && err == 0; i++) {
        struct bytes any;
        err = find_attribute(resource, index_labels[i], &any);
        is_label[i] = err == 0 && any.len && count < OTLP_LOGS_LABELS;
        if (is_label[i]) {
            count++;
            err = put_label(l, bytes_of_string(index_labels[i]), any);
        }
    }
    return err < 0 ? err : buf_append_string(&l->labels, "}");
}

static bool is_in_labels(struct bytes pair, const bool *is_label)
{
    struct bytes key = {0}, any;
    if (otlp_value_read_pair(pair, &key, &any) < 0)
        return false;
    for (size_t i = 0; i < sizeof index_labels / sizeof index_labels[0]; i++) {
        if (is_label[i] && bytes_equal(key, bytes_of_string(index_labels[i])))
            return true;
    }
    return false;
}

static int read_resource(struct otlp_logs *l, struct bytes resource)
{
    bool is_label[sizeof index_labels / sizeof index_labels[0]];
    struct pb_field field;
    int more;
    buf_clear(&l->labels);
    buf_clear(&l->of_resource);
    int err = put_labels(l, resource, is_label);
    while (err == 0 && (more = pb_next(&resource, &field)) != 0) {
        if (more < 0)
            err = more;
        else if (field.number == RESOURCE_ATTRIBUTES && field.type == PB_LEN &&
                 !is_in_labels(field.bytes, is_label))
            err = put_attribute(l, &l->of_resource, field.bytes);
    }
    return judge(err, &l->resource_is_bad);
}

static int read_scope(struct otlp_logs *l, struct bytes scope)
{
    struct bytes name = {0}, version = {0};
    uint64_t dropped = 0;
    struct pb_field field;
    int more, err = 0;
    buf_clear(&l->of_scope);
    while (err == 0 && (more = pb_next(&scope, &field)) != 0) {
        if (more < 0)
            err = more;
        else if (field.type == PB_LEN && field.number == SCOPE_NAME)
            name = field.bytes;
        else if (field.type == PB_LEN && field.number == SCOPE_VERSION)
            version = field.bytes;
        else if (field.type == PB_LEN && field.number == SCOPE_ATTRIBUTES)
            err = put_attribute(l, &l->of_scope, field.bytes);
        else if (field.type == PB_VARINT && field.number == SCOPE_DROPPED)
            dropped = field.value;
    }
    if (err == 0)
        err = put_text(l, &l->of_scope, "scope_name", name);
    if (err == 0)
        err = put_text(l, &l->of_scope, "scope_version", version);
    if (err == 0)
        err = put_number(&l->of_scope, "scope_dropped_attributes_count", dropped);
    return judge(err, &l->scope_is_bad);
}

/* ---- a log */

struct log {
    uint64_t time_ns, observed_ns, severity, dropped, flags;
    struct bytes severity_text, body, trace_id, span_id, event_name;
};

static void take_field(struct log *log, const struct pb_field *field)
{
    switch (field->number) {
    case LOG_TIME:
        log->time_ns = field->value;
        break;
    case LOG_OBSERVED:
        log->observed_ns = field->value;
        break;
    case LOG_SEVERITY:
        log->severity = field->value;
        break;
    case LOG_DROPPED:
        log->dropped = field->value;
        break;
    case LOG_FLAGS:
        log->flags = field->value;
        break;
    case LOG_SEVERITY_TEXT:
        log->severity_text = field->bytes;
        break;
    case LOG_BODY:
        log->body = field->bytes;
        break;
    case LOG_TRACE_ID:
        log->trace_id = field->bytes;
        break;
    case LOG_SPAN_ID:
        log->span_id = field->bytes;
        break;
    case LOG_EVENT_NAME:
        log->event_name = field->bytes;
        break;
    default:
        break;
    }
}

static int read_log(struct otlp_logs *l, struct bytes bytes, struct log *log)
{
    struct pb_field field;
    int more, err = 0;
    *log = (struct log){0};
    buf_clear(&l->of_log);
    while (err == 0 && (more = pb_next(&bytes, &field)) != 0) {
        if (more < 0)
            err = more;
        else if (field.number == LOG_ATTRIBUTES && field.type == PB_LEN)
            err = put_attribute(l, &l->of_log, field.bytes);
        else
            take_field(log, &field);
    }
    return err;
}

static int put_fields(struct otlp_logs *l, const struct log *log)
{
    struct buf *out = &l->of_log;
    int err = log->time_ns ? put_number(out, "observed_timestamp", log->observed_ns) : 0;
    if (err == 0)
        err = put_number(out, "severity_number", log->severity);
    if (err == 0)
        err = put_text(l, out, "severity_text", log->severity_text);
    if (err == 0)
        err = put_number(out, "dropped_attributes_count", log->dropped);
    if (err == 0)
        err = put_number(out, "flags", log->flags);
    if (err == 0)
        err = put_id(out, "trace_id", log->trace_id);
    if (err == 0)
        err = put_id(out, "span_id", log->span_id);
    return err < 0 ? err : put_text(l, out, "event_name", log->event_name);
}

static int put_time(struct buf *out, uint64_t time_ns)
{
    size_t mark;
    int err = pb_begin(out, ENTRY_TIME, &mark);
    if (err == 0)
        err = pb_put_varint(out, TIME_SECONDS, time_ns / 1000000000);
    if (err == 0)
        err = pb_put_varint(out, TIME_NANOS, time_ns % 1000000000);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

static uint64_t time_of(const struct otlp_logs *l, const struct log *log)
{
    uint64_t time_ns = log->time_ns ? log->time_ns : log->observed_ns;
    return time_ns ? time_ns : (uint64_t)l->received_ns;
}

/* What Loki would drop by its default limits, without a word unless it stands in a request's last stream.
 * l->value holds the line. */
static enum translate_reason judge_line(const struct otlp_logs *l, const struct log *log)
{
    if (l->value.len > OTLP_LOGS_LINE)
        return TRANSLATE_LINE;
    uint64_t time_ns = time_of(l, log), received_ns = (uint64_t)l->received_ns;
    return received_ns > time_ns && received_ns - time_ns > OLD_NS ? TRANSLATE_OLD : TRANSLATE_NONE;
}

/* Of the line in l->value. */
static int put_entry(struct otlp_logs *l, const struct log *log, struct buf *out)
{
    size_t mark;
    int err = pb_begin(out, STREAM_ENTRIES, &mark);
    if (err == 0)
        err = put_time(out, time_of(l, log));
    if (err == 0)
        err = pb_put_bytes(out, ENTRY_LINE, buf_bytes(&l->value));
    const struct buf *const parts[] = {&l->of_log, &l->of_resource, &l->of_scope};
    for (size_t i = 0; i < 3 && err == 0; i++)
        err = buf_append(out, parts[i]->ptr, parts[i]->len);
    if (err == 0)
        pb_end(out, mark);
    return err;
}

/* Reads the log, its fields and its line; *ret_reason: why it is not translated. */
static int prepare_log(struct otlp_logs *l, struct bytes bytes, struct log *log,
                       enum translate_reason *ret_reason)
{
    bool is_bad = l->resource_is_bad || l->scope_is_bad;
    int err = 0;
    if (!is_bad) {
        err = read_log(l, bytes, log);
        if (err == 0)
            err = put_fields(l, log);
        buf_clear(&l->value);
        if (err == 0)
            err = otlp_value_put_text(log->body, &l->value);
        err = judge(err, &is_bad);
    }
    *ret_reason = is_bad ? TRANSLATE_LABELS : err == 0 ? judge_line(l, log) : TRANSLATE_NONE;
    return err;
}

static int add_log(struct otlp_logs *l, struct bytes bytes)
{
    struct buf *out = &l->out->message;
    uint32_t owner = l->out->source_count;
    size_t before = out->len;
    enum translate_reason reason = TRANSLATE_NONE;
    struct log log = {0};
    int err = translated_begin_source(l->out);
    if (err == 0)
        err = prepare_log(l, bytes, &log, &reason);
    if (err == 0 && reason == TRANSLATE_NONE) {
        err = put_entry(l, &log, out);
        if (err == -E2BIG) {
            out->len = before;
            reason = TRANSLATE_LABELS;
            err = 0;
        }
    }
    if (reason != TRANSLATE_NONE)
        translated_refuse(l->out, owner, reason);
    return err < 0 || reason != TRANSLATE_NONE ? err : translated_add(l->out, owner);
}

static int add_scope(struct otlp_logs *l, struct bytes bytes)
{
    struct bytes scope = {0}, rest = bytes;
    struct pb_field field;
    int more, err;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.number == SCOPE && field.type == PB_LEN)
            scope = field.bytes;
    }
    if (more < 0 || (err = read_scope(l, scope)) < 0)
        return more < 0 ? more : err;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.number == SCOPE_LOGS && field.type == PB_LEN && (err = add_log(l, field.bytes)) < 0)
            return err;
    }
    return more;
}

static int add_resource(struct otlp_logs *l, struct bytes bytes)
{
    struct bytes resource = {0}, rest = bytes;
    struct buf *out = &l->out->message;
    size_t mark, before = out->len;
    uint32_t count = l->out->count;
    struct pb_field field;
    int more, err;
    while ((more = pb_next(&rest, &field)) == 1) {
        if (field.number == RESOURCE && field.type == PB_LEN)
            resource = field.bytes;
    }
    if (more < 0 || (err = read_resource(l, resource)) < 0)
        return more < 0 ? more : err;
    if ((err = pb_begin(out, 1, &mark)) < 0 ||
        (err = pb_put_bytes(out, STREAM_LABELS, buf_bytes(&l->labels))) < 0)
        return err;
    while ((more = pb_next(&bytes, &field)) == 1) {
        if (field.number == RESOURCE_SCOPES && field.type == PB_LEN && (err = add_scope(l, field.bytes)) < 0)
            return err;
    }
    pb_end(out, mark);
    if (l->out->count == count)
        out->len = before; /* no line came of it */
    return more;
}

int otlp_logs_translate(struct otlp_logs *l, int64_t received_ns, struct bytes raw, struct translated *out)
{
    struct pb_field field;
    int more, err;
    l->out = out;
    l->received_ns = received_ns;
    while ((more = pb_next(&raw, &field)) == 1) {
        if (field.number == REQUEST_RESOURCES && field.type == PB_LEN &&
            (err = add_resource(l, field.bytes)) < 0)
            return err;
    }
    return more;
}
