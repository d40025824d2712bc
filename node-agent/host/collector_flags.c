#include "node-agent/host/collector_flags.h"

#include <errno.h>

#include "node-agent/pattern.h"

static const char prefix[] = "collector.";

/* A flag taken apart: "--no-collector.arp.netlink" is {off, "arp.netlink", NULL}. False when it is none of
 * the collectors'. */
struct parts {
    bool off;
    struct bytes name;
    const char *value; /* NULL without '=' */
};

/* Names that node_exporter keeps for those who still write them. */
static const struct {
    const char *old, *name;
} aliases[] = {
    {"diskstats.ignored-devices", "diskstats.device-exclude"},
    {"filesystem.ignored-mount-points", "filesystem.mount-points-exclude"},
    {"filesystem.ignored-fs-types", "filesystem.fs-types-exclude"},
    {"netdev.device-whitelist", "netdev.device-include"},
    {"netdev.device-blacklist", "netdev.device-exclude"},
    {"qdisk.device-include", "qdisc.device-include"},
    {"qdisk.device-exclude", "qdisc.device-exclude"},
    {"systemd.unit-whitelist", "systemd.unit-include"},
    {"systemd.unit-blacklist", "systemd.unit-exclude"},
};

/* Flags that node_exporter does not take together. */
static const struct {
    const char *one, *other;
} exclusive[] = {
    {"diskstats.device-include", "diskstats.device-exclude"},
    {"filesystem.mount-points-include", "filesystem.mount-points-exclude"},
    {"filesystem.fs-types-include", "filesystem.fs-types-exclude"},
    {"netdev.device-include", "netdev.device-exclude"},
    {"qdisc.device-include", "qdisc.device-exclude"},
};

static bool is_named(struct bytes name, const char *string)
{
    return bytes_equal(name, bytes_of_string(string));
}

static bool take_apart(const char *flag, struct parts *ret_parts)
{
    struct parts parts = {.off = false};
    while (*flag == '-')
        flag++;
    if (strncmp(flag, "no-", 3) == 0) {
        parts.off = true;
        flag += 3;
    }
    if (strncmp(flag, prefix, sizeof prefix - 1) != 0)
        return false;
    flag += sizeof prefix - 1;
    const char *equals = strchr(flag, '=');
    parts.value = equals ? equals + 1 : NULL;
    parts.name =
        equals ? (struct bytes){(const uint8_t *)flag, (size_t)(equals - flag)} : bytes_of_string(flag);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (is_named(parts.name, aliases[i].old))
            parts.name = bytes_of_string(aliases[i].name);
    *ret_parts = parts;
    return true;
}

/* ---- the check ---- */

/* What follows the name in the tables: "" on or off, "=" a value, "=~" an expression. NULL: unknown. */
static const char *kind_of(struct bytes name)
{
    if (is_named(name, "disable-defaults"))
        return "";
    for (const struct collector *const *c = collectors; *c; c++) {
        if (is_named(name, (*c)->name))
            return "";
        for (const char *const *flag = (*c)->flags; flag && *flag; flag++) {
            size_t len = strcspn(*flag, "=");
            if (bytes_equal(name, (struct bytes){(const uint8_t *)*flag, len}))
                return *flag + len;
        }
    }
    return NULL;
}

static const char *fault_of(const char *flag)
{
    struct parts parts;
    struct pattern *pattern;
    const char *kind = take_apart(flag, &parts) ? kind_of(parts.name) : NULL;
    if (!kind)
        return "unknown flag";
    if (!*kind)
        return !parts.value || strcmp(parts.value, "true") == 0 || strcmp(parts.value, "false") == 0
                   ? NULL
                   : "takes no value";
    if (!parts.value || parts.off)
        return "needs a value";
    if (strcmp(kind, "=~") != 0)
        return NULL;
    if (pattern_new(parts.value, &pattern) < 0)
        return "not a regular expression";
    pattern_free(pattern);
    return NULL;
}

static int check_names(const struct conf_strings *names, struct buf *errors)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct collector *const *c = collectors;
        while (*c && strcmp((*c)->name, names->items[i]) != 0)
            c++;
        if (*c)
            continue;
        buf_printf(errors, "host_metrics.collectors: %s: unknown; one of", names->items[i]);
        for (c = collectors; *c; c++)
            buf_printf(errors, "%s %s", c == collectors ? "" : ",", (*c)->name);
        buf_append_string(errors, "\n");
        return -EINVAL;
    }
    return 0;
}

/* The first way of writing that flag that was given with a value; NULL without. */
static const char *given_as(const struct conf_strings *flags, const char *name)
{
    struct parts parts;
    for (size_t i = 0; i < flags->count; i++)
        if (take_apart(flags->items[i], &parts) && is_named(parts.name, name) && parts.value && *parts.value)
            return flags->items[i];
    return NULL;
}

/* Whether the flag was given under both its names. */
static bool is_given_twice(const struct conf_strings *flags, const char *old, const char *name)
{
    bool by_old = false, by_name = false;
    for (size_t i = 0; i < flags->count; i++) {
        const char *at = flags->items[i] + strspn(flags->items[i], "-");
        if (strncmp(at, prefix, sizeof prefix - 1) != 0)
            continue;
        at += sizeof prefix - 1;
        size_t len = strcspn(at, "=");
        bool has_value = at[len] == '=' && at[len + 1];
        by_old = by_old || (has_value && len == strlen(old) && strncmp(at, old, len) == 0);
        by_name = by_name || (has_value && len == strlen(name) && strncmp(at, name, len) == 0);
    }
    return by_old && by_name;
}

static int check_exclusive(const struct conf_strings *flags, struct buf *errors)
{
    int err = 0;
    for (size_t i = 0; i < sizeof exclusive / sizeof *exclusive; i++)
        if (given_as(flags, exclusive[i].one) && given_as(flags, exclusive[i].other)) {
            buf_printf(errors, "--collector.%s and --collector.%s are mutually exclusive\n", exclusive[i].one,
                       exclusive[i].other);
            err = -EINVAL;
        }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (is_given_twice(flags, aliases[i].old, aliases[i].name)) {
            buf_printf(errors, "--collector.%s and --collector.%s are mutually exclusive\n", aliases[i].old,
                       aliases[i].name);
            err = -EINVAL;
        }
    return err;
}

int collector_flags_check(const struct conf_strings *names, const struct conf_strings *flags,
                          struct buf *errors)
{
    int err = check_names(names, errors);
    for (size_t i = 0; i < flags->count; i++) {
        const char *fault = fault_of(flags->items[i]);
        if (!fault)
            continue;
        buf_printf(errors, "%s: %s\n", flags->items[i], fault);
        err = -EINVAL;
    }
    int exclusive_err = check_exclusive(flags, errors);
    return err < 0 ? err : exclusive_err;
}

bool collector_flags_takes_value(const char *flag)
{
    struct parts parts;
    const char *kind = take_apart(flag, &parts) ? kind_of(parts.name) : NULL;
    return kind && *kind == '=' && !parts.value && !parts.off;
}

int collector_flags_print(struct buf *out)
{
    int err = buf_printf(out, "  --[no-]%sdisable-defaults\n", prefix);
    for (const struct collector *const *c = collectors; *c && err == 0; c++) {
        err = buf_printf(out, "  --[no-]%s%s%s\n", prefix, (*c)->name,
                         (*c)->enabled_by_default ? "  (on by default)" : "");
        for (const char *const *flag = (*c)->flags; flag && *flag && err == 0; flag++) {
            int len = (int)strcspn(*flag, "=");
            const char *value = (*flag)[len] == '\0'      ? ""
                                : (*flag)[len + 1] == '~' ? "=EXPRESSION"
                                                          : "=VALUE";
            err = buf_printf(out, "    --%s%s%.*s%s\n", *value ? "" : "[no-]", prefix, len, *flag, value);
        }
    }
    return err;
}

/* ---- questions ---- */

static bool is_off(const struct parts *parts)
{
    return parts->off || (parts->value && strcmp(parts->value, "false") == 0);
}

bool collector_flag_is_on(const struct agent_config *config, const char *name, bool fallback)
{
    const struct conf_strings *flags = &config->host_metrics.flags;
    struct parts parts;
    for (size_t i = flags->count; i > 0; i--)
        if (take_apart(flags->items[i - 1], &parts) && is_named(parts.name, name))
            return !is_off(&parts);
    return fallback;
}

bool collector_flags_is_chosen(const struct agent_config *config, const struct collector *collector)
{
    const struct conf_strings *names = &config->host_metrics.collectors;
    bool chosen = collector->enabled_by_default && !collector_flag_is_on(config, "disable-defaults", false);
    if (names->count > 0)
        chosen = false;
    for (size_t i = 0; i < names->count; i++)
        chosen = chosen || strcmp(names->items[i], collector->name) == 0;
    return collector_flag_is_on(config, collector->name, chosen);
}

const char *collector_flag_next(const struct agent_config *config, const char *name, size_t *at)
{
    const struct conf_strings *flags = &config->host_metrics.flags;
    struct parts parts;
    while (*at < flags->count)
        if (take_apart(flags->items[(*at)++], &parts) && is_named(parts.name, name) && parts.value)
            return parts.value;
    return NULL;
}

const char *collector_flag(const struct agent_config *config, const char *name, const char *fallback)
{
    const char *value;
    size_t at = 0;
    while ((value = collector_flag_next(config, name, &at)))
        fallback = value;
    return fallback;
}
