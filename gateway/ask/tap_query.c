#include "gateway/ask/tap_query.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/conf/conf.h"

/* ---- times */

/* ".123" to nanoseconds; moves *at behind it. */
static int64_t read_fraction(const char **at)
{
    int64_t ns = 0, unit = 100000000;
    if (**at != '.')
        return 0;
    for ((*at)++; isdigit((unsigned char)**at); (*at)++) {
        ns += (**at - '0') * unit;
        unit /= 10;
    }
    return ns;
}

/* "Z" or "+01:30" to seconds east of Greenwich. */
static int read_zone(const char *at, int *ret_seconds)
{
    int hours, minutes, used = 0;
    char sign;
    if (strcmp(at, "Z") == 0 || strcmp(at, "z") == 0) {
        *ret_seconds = 0;
        return 0;
    }
    if (sscanf(at, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || at[used] ||
        (sign != '+' && sign != '-'))
        return -EINVAL;
    *ret_seconds = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return 0;
}

/* Whether there is such a day and time: timegm makes the 2nd of March of the 30th of February. */
static bool is_in_calendar(const struct tm *given)
{
    struct tm tm = *given;
    (void)timegm(&tm);
    return tm.tm_mon == given->tm_mon && tm.tm_mday == given->tm_mday && tm.tm_hour == given->tm_hour &&
           tm.tm_min == given->tm_min && tm.tm_sec == given->tm_sec;
}

static int parse_rfc3339(const char *text, int64_t *ret_ns)
{
    struct tm tm = {0};
    char separator;
    int used = 0, zone;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &separator,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 7 ||
        !strchr("Tt ", separator) || tm.tm_mon < 1 || tm.tm_mon > 12)
        return -EINVAL;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    if (!is_in_calendar(&tm))
        return -EINVAL;
    const char *at = text + used;
    int64_t fraction = read_fraction(&at);
    if (read_zone(at, &zone) < 0)
        return -EINVAL;
    *ret_ns = ((int64_t)timegm(&tm) - zone) * 1000000000 + fraction;
    return 0;
}

int tap_query_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns)
{
    int64_t ago_ms;
    if (conf_parse_duration(text, &ago_ms) == 0) {
        *ret_ns = now_ns - ago_ms * 1000000;
        return 0;
    }
    return parse_rfc3339(text, ret_ns);
}

/* ---- the query */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decodes up to '&' or the end into the query's storage, with a NUL; moves *at behind it. */
static struct bytes take_value(struct tap_query *query, const char **at)
{
    uint8_t *start = query->storage + query->storage_len, *to = start;
    const char *p = *at;
    while (*p && *p != '&') {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
        *to++ = low >= 0 ? (uint8_t)(high * 16 + low) : *p == '+' ? ' ' : (uint8_t)*p;
        p += low >= 0 ? 3 : 1;
    }
    size_t len = (size_t)(to - start);
    *to = '\0';
    query->storage_len += len + 1;
    *at = *p ? p + 1 : p;
    return (struct bytes){start, len};
}

static const char *set_signal(struct tap_query *query, struct bytes value)
{
    int signal = telemetry_find(value);
    if (signal >= 0) {
        query->signal = (enum telemetry)signal;
        return NULL;
    }
    return "signal: one of metrics, logs, traces";
}

static const char *set_time(struct bytes value, int64_t now_ns, int64_t *time)
{
    return tap_query_parse_time((const char *)value.ptr, now_ns, time) == 0
               ? NULL
               : "from and to: a time like 2026-11-22T18:00:00Z, or how long ago, like 5m";
}

static const char *add_label(struct tap_query *query, struct bytes value)
{
    const uint8_t *colon = value.len ? memchr(value.ptr, ':', value.len) : NULL;
    if (!colon || colon == value.ptr)
        return "label: name:value";
    if (query->label_count == TAP_MAX_LABELS)
        return "label: at most 32 of them";
    size_t name = (size_t)(colon - value.ptr);
    query->labels[query->label_count++] =
        (struct record_pair){{value.ptr, name}, bytes_skip(value, name + 1)};
    return NULL;
}

static const char *set_limit(struct tap_query *query, struct bytes value)
{
    char *end;
    errno = 0;
    query->limit = strtoull((const char *)value.ptr, &end, 10);
    return value.len == 0 || *end || errno || *value.ptr == '-' ? "limit: a number of records" : NULL;
}

static const char *set_format(struct tap_query *query, struct bytes value)
{
    query->is_json = bytes_equal(value, bytes_of_string("json"));
    return query->is_json || bytes_equal(value, bytes_of_string("human")) ? NULL : "format: human or json";
}

/* NULL, or what is wrong. */
static const char *set(struct tap_query *query, struct bytes name, struct bytes value, int64_t now_ns)
{
    const char *key = (const char *)name.ptr;
    if (strcmp(key, "signal") == 0)
        return set_signal(query, value);
    if (strcmp(key, "from") == 0) {
        query->has_from = true;
        return set_time(value, now_ns, &query->from_ns);
    }
    if (strcmp(key, "to") == 0)
        return set_time(value, now_ns, &query->to_ns);
    if (strcmp(key, "label") == 0)
        return add_label(query, value);
    if (strcmp(key, "limit") == 0)
        return set_limit(query, value);
    if (strcmp(key, "format") == 0)
        return set_format(query, value);
    if (strcmp(key, "follow") == 0)
        query->is_followed = !bytes_equal(value, bytes_of_string("0"));
    else if (strcmp(key, "text") == 0)
        query->text = value;
    else
        return "unknown parameter; there are signal, from, to, follow, label, text, limit and format";
    return NULL;
}

/* A name up to '='; moves *at behind it. */
static struct bytes take_name(struct tap_query *query, const char **at)
{
    size_t len = strcspn(*at, "=&");
    uint8_t *name = query->storage + query->storage_len;
    memcpy(name, *at, len);
    name[len] = '\0';
    query->storage_len += len + 1;
    *at += len + ((*at)[len] == '=');
    return (struct bytes){name, len};
}

int tap_query_parse(const char *query, int64_t now_ns, struct tap_query *ret_query, const char **ret_wrong)
{
    memset(ret_query, 0, offsetof(struct tap_query, storage));
    ret_query->storage_len = 0;
    ret_query->from_ns = INT64_MIN;
    ret_query->to_ns = INT64_MAX;
    ret_query->limit = UINT64_MAX;
    *ret_wrong = NULL;
    bool has_signal = false;
    if (2 * strlen(query) + 2 > TAP_MAX_QUERY) /* a NUL each for names and values, of at least one byte */
        *ret_wrong = "the query is too long";
    while (*query && !*ret_wrong) {
        struct bytes name = take_name(ret_query, &query);
        struct bytes value = take_value(ret_query, &query);
        has_signal |= bytes_equal(name, bytes_of_string("signal"));
        *ret_wrong = set(ret_query, name, value, now_ns);
    }
    if (!*ret_wrong && !has_signal)
        *ret_wrong = "signal: one of metrics, logs, traces";
    return *ret_wrong ? -EINVAL : 0;
}

/* ---- records */

static bool has_text(struct bytes in, struct bytes text)
{
    return in.len >= text.len && memmem(in.ptr, in.len, text.ptr, text.len);
}

static bool has_text_in_pairs(const struct record *record, struct bytes text)
{
    for (size_t i = 0; i < record->pair_count; i++)
        if (has_text(record->pairs[i].name, text) || has_text(record->pairs[i].value, text))
            return true;
    return false;
}

static bool matches_text(const struct tap_query *query, const struct record *record)
{
    if (query->text.len == 0)
        return true;
    switch (record->kind) {
    case RECORD_LINE:
    case RECORD_SPAN:
        return has_text(record->text, query->text);
    case RECORD_SAMPLE:
    case RECORD_HISTOGRAM:
        return has_text_in_pairs(record, query->text);
    }
    return false;
}

bool tap_query_matches(const struct tap_query *query, const struct record *record)
{
    if (record->time_ns < query->from_ns || record->time_ns > query->to_ns)
        return false;
    for (size_t i = 0; i < query->label_count; i++) {
        struct bytes value = record_find(record, query->labels[i].name);
        if (!value.ptr || !bytes_equal(value, query->labels[i].value))
            return false;
    }
    return matches_text(query, record);
}
