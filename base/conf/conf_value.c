#include "base/conf/conf_value.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/conf/conf_errors.h"

struct unit {
    const char *name;
    int64_t worth;
};

/* Prometheus' duration notation: each unit at most once, in this order. */
static const struct unit duration_units[] = {
    {"y", INT64_C(365) * 86400000},
    {"w", INT64_C(7) * 86400000},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};
enum { DURATION_UNITS = sizeof duration_units / sizeof duration_units[0], FIRST_SHOWN_UNIT = 2 /* days */ };

static const struct unit size_units[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", 1 << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"KB", 1000},
    {"B", 1},
    {"", 1},
};
enum { SIZE_UNITS = sizeof size_units / sizeof size_units[0], SHOWN_SIZE_UNITS = 8 };

/* ---- substitution */

static bool is_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalpha((unsigned char)name[i]) && name[i] != '_' &&
            (i == 0 || !isdigit((unsigned char)name[i])))
            return false;
    }
    return len > 0;
}

/* One ${...} whose inside is [at, end). */
static int substitute_one(const char *at, const char *end, struct buf *out, char what[CONF_WHAT])
{
    char name[128];
    const char *colon = memchr(at, ':', (size_t)(end - at));
    size_t len = (size_t)((colon ? colon : end) - at);
    bool has_default = colon && colon[1] == '-';
    if (!is_name(at, len) || len >= sizeof name || (colon && !has_default)) {
        char shown[CONF_SHOW];
        snprintf(name, sizeof name, "%.*s", (int)(end - at), at);
        snprintf(what, CONF_WHAT,
                 "${%s}: no variable's name; ${VAR}, ${VAR:-default}, or $$ for a dollar sign",
                 conf_errors_show(name, shown));
        return -EINVAL;
    }
    memcpy(name, at, len);
    name[len] = '\0';
    const char *value = getenv(name);
    if (has_default && (!value || !*value))
        return buf_append(out, colon + 2, (size_t)(end - colon - 2));
    if (!value) {
        snprintf(what, CONF_WHAT, "${%s}: the variable is not set; set it, or give a default: ${%s:-default}",
                 name, name);
        return -EINVAL;
    }
    return buf_append_string(out, value);
}

int conf_value_substitute(const char *text, struct buf *out, char what[CONF_WHAT])
{
    int err = 0;
    while (err == 0 && *text) {
        size_t plain = strcspn(text, "$");
        err = buf_append(out, text, plain);
        text += plain;
        if (err < 0 || !*text)
            break;
        if (text[1] != '{') {
            err = buf_append(out, text, 1);
            text += text[1] == '$' ? 2 : 1;
            continue;
        }
        const char *end = strchr(text, '}');
        if (!end) {
            snprintf(what, CONF_WHAT, "${ without }; ${VAR}, ${VAR:-default}, or $$ for a dollar sign");
            return -EINVAL;
        }
        err = substitute_one(text + 2, end, out, what);
        text = end + 1;
    }
    return err;
}

/* ---- numbers with units */

/* Digits at *text, at least one; *text moves past them. */
static int take_digits(const char **text, int64_t *ret_value)
{
    int64_t value = 0;
    const char *at = *text;
    if (!isdigit((unsigned char)*at))
        return -EINVAL;
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
            return -ERANGE;
    }
    *text = at;
    *ret_value = value;
    return 0;
}

/* The unit at text among units[first...], by its whole run of letters; -1: none of them. */
static int find_unit(const struct unit *units, int first, int count, const char *text, size_t len)
{
    for (int i = first; i < count; i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, text, len) == 0)
            return i;
    }
    return -1;
}

static size_t letters(const char *text)
{
    size_t n = 0;
    while (isalpha((unsigned char)text[n]))
        n++;
    return n;
}

int conf_parse_duration(const char *text, int64_t *ret_ms)
{
    int64_t total = 0, part;
    int unit = -1;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return 0;
    }
    do {
        if (take_digits(&text, &part) < 0)
            return -EINVAL;
        size_t len = letters(text);
        unit = find_unit(duration_units, unit + 1, DURATION_UNITS, text, len);
        if (unit < 0 || __builtin_mul_overflow(part, duration_units[unit].worth, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -EINVAL;
        text += len;
    } while (*text);
    *ret_ms = total;
    return 0;
}

static int parse_size(const char *text, int64_t *ret_bytes)
{
    int64_t value;
    int err = take_digits(&text, &value);
    if (err < 0)
        return err;
    int unit = find_unit(size_units, 0, SIZE_UNITS, text, strlen(text));
    if (unit < 0)
        return -EINVAL;
    if (__builtin_mul_overflow(value, size_units[unit].worth, &value))
        return -ERANGE;
    *ret_bytes = value;
    return 0;
}

static int parse_int(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    int64_t value;
    text += negative;
    int err = take_digits(&text, &value);
    if (err < 0)
        return err;
    if (*text)
        return -EINVAL;
    *ret_value = negative ? -value : value;
    return 0;
}

static int parse_bool(const char *text, int64_t *ret_value)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return -EINVAL;
    *ret_value = yes;
    return 0;
}

static int parse_enum(const struct conf_option *option, const char *text, int64_t *ret_value)
{
    for (int i = 0; option->names[i]; i++) {
        if (strcmp(option->names[i], text) == 0) {
            *ret_value = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_by_type(const struct conf_option *option, const char *text, int64_t *ret_value)
{
    switch (option->type) {
    case CONF_BOOL:
        return parse_bool(text, ret_value);
    case CONF_INT:
        return parse_int(text, ret_value);
    case CONF_DURATION:
        return conf_parse_duration(text, ret_value);
    case CONF_SIZE:
        return parse_size(text, ret_value);
    case CONF_ENUM:
        return parse_enum(option, text, ret_value);
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_STRINGS:
    case CONF_MAP:
    case CONF_SECTION:
    case CONF_LIST:
        break;
    }
    return -EINVAL;
}

static bool has_range(const struct conf_option *option)
{
    return option->type == CONF_INT || option->type == CONF_DURATION || option->type == CONF_SIZE;
}

static bool is_unbounded(const struct conf_option *option)
{
    return (option->max == 0 && option->min >= 0) || option->max == INT64_MAX;
}

static bool is_in_range(const struct conf_option *option, int64_t value)
{
    return value >= option->min && (is_unbounded(option) || value <= option->max);
}

/* "what would be right", for messages. */
static void expect(const struct conf_option *option, struct buf *out)
{
    switch (option->type) {
    case CONF_BOOL:
        buf_append_string(out, "true or false");
        return;
    case CONF_INT:
        buf_append_string(out, "a whole number: ");
        break;
    case CONF_DURATION:
        buf_append_string(out, "a duration such as 500ms, 15s, 1m30s, 2h: ");
        break;
    case CONF_SIZE:
        buf_append_string(out, "a size such as 4096, 64KiB, 2MiB, 1GiB: ");
        break;
    case CONF_ENUM:
        buf_append_string(out, "one of ");
        break;
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_STRINGS:
    case CONF_MAP:
    case CONF_SECTION:
    case CONF_LIST:
        break;
    }
    conf_value_range(option, out);
}

static const char *complaint(enum conf_type type, int err)
{
    if (err == -ERANGE)
        return "is out of range";
    switch (type) {
    case CONF_BOOL:
        return "is no boolean";
    case CONF_INT:
        return "is no integer";
    case CONF_DURATION:
        return "is no duration";
    case CONF_SIZE:
        return "is no size";
    case CONF_ENUM:
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_STRINGS:
    case CONF_MAP:
    case CONF_SECTION:
    case CONF_LIST:
        break;
    }
    return "is not known here";
}

int conf_value_parse(const struct conf_option *option, const char *text, int64_t *ret_value,
                     char what[CONF_WHAT])
{
    int64_t value;
    int err = parse_by_type(option, text, &value);
    if (err == 0 && has_range(option) && !is_in_range(option, value))
        err = -ERANGE;
    if (err == 0) {
        *ret_value = value;
        return 0;
    }
    char shown[CONF_SHOW];
    struct buf right;
    buf_init(&right, CONF_WHAT);
    expect(option, &right);
    snprintf(what, CONF_WHAT, "%s %s; %.*s", conf_errors_show(text, shown), complaint(option->type, err),
             (int)right.len, right.ptr ? (const char *)right.ptr : "");
    buf_fini(&right);
    return -EINVAL;
}

/* ---- back to text */

static int format_duration(int64_t ms, struct buf *out)
{
    if (ms == 0)
        return buf_append_string(out, "0s");
    int err = 0;
    for (int i = FIRST_SHOWN_UNIT; err == 0 && i < DURATION_UNITS; i++) {
        int64_t n = ms / duration_units[i].worth;
        ms -= n * duration_units[i].worth;
        if (n)
            err = buf_printf(out, "%lld%s", (long long)n, duration_units[i].name);
    }
    return err;
}

static int format_size(int64_t bytes, struct buf *out)
{
    for (int i = 0; bytes != 0 && i < SHOWN_SIZE_UNITS; i++) {
        if (bytes % size_units[i].worth == 0)
            return buf_printf(out, "%lld%s", (long long)(bytes / size_units[i].worth), size_units[i].name);
    }
    return buf_printf(out, "%lld", (long long)bytes);
}

int conf_value_format(const struct conf_option *option, int64_t value, struct buf *out)
{
    switch (option->type) {
    case CONF_BOOL:
        return buf_append_string(out, value ? "true" : "false");
    case CONF_DURATION:
        return format_duration(value, out);
    case CONF_SIZE:
        return format_size(value, out);
    case CONF_ENUM:
        return buf_append_string(out, option->names[value]);
    case CONF_INT:
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_STRINGS:
    case CONF_MAP:
    case CONF_SECTION:
    case CONF_LIST:
        break;
    }
    return buf_printf(out, "%lld", (long long)value);
}

int conf_value_range(const struct conf_option *option, struct buf *out)
{
    if (option->type == CONF_ENUM) {
        int err = 0;
        for (int i = 0; err == 0 && option->names[i]; i++)
            err = buf_printf(out, "%s%s", i ? ", " : "", option->names[i]);
        return err;
    }
    if (!has_range(option))
        return 0;
    int err = conf_value_format(option, option->min, out);
    if (err < 0)
        return err;
    if (is_unbounded(option))
        return buf_append_string(out, " or more");
    err = buf_append_string(out, " to ");
    return err < 0 ? err : conf_value_format(option, option->max, out);
}

const char *conf_value_type(enum conf_type type)
{
    switch (type) {
    case CONF_STRING:
        return "string";
    case CONF_SECRET:
        return "secret";
    case CONF_BOOL:
        return "boolean";
    case CONF_INT:
        return "integer";
    case CONF_DURATION:
        return "duration";
    case CONF_SIZE:
        return "size";
    case CONF_ENUM:
        return "choice";
    case CONF_STRINGS:
        return "sequence of strings";
    case CONF_MAP:
        return "mapping of strings";
    case CONF_SECTION:
        return "section";
    case CONF_LIST:
        return "sequence of sections";
    }
    return "?";
}

bool conf_value_has_form(const struct conf_option *option, const char *text)
{
    regex_t form;
    if (!option->form)
        return true;
    if (regcomp(&form, option->form, REG_EXTENDED | REG_NOSUB) != 0)
        abort(); /* a bug of ours: forms are constants of the tables */
    bool matches = regexec(&form, text, 0, NULL, 0) == 0;
    regfree(&form);
    return matches;
}

/* ---- fields */

int64_t conf_value_get(const struct conf_option *option, const void *config)
{
    const char *field = (const char *)config + option->offset;
    if (option->type == CONF_BOOL)
        return *(const bool *)(const void *)field;
    if (option->type == CONF_ENUM)
        return *(const int *)(const void *)field;
    return *(const int64_t *)(const void *)field;
}

void conf_value_set(const struct conf_option *option, void *config, int64_t value)
{
    char *field = (char *)config + option->offset;
    if (option->type == CONF_BOOL)
        *(bool *)(void *)field = value != 0;
    else if (option->type == CONF_ENUM)
        *(int *)(void *)field = (int)value;
    else
        *(int64_t *)(void *)field = value;
}
