/* conf_print.c - a configuration in force as YAML that would load again, secrets masked. */
#include "base/conf.h"

#include <stdio.h>

#include "base/conf_value.h"

static const char mask[] = "<secret>";

static int put_indent(struct buf *out, int depth)
{
    int err = 0;
    for (int i = 0; err == 0 && i < depth; i++)
        err = buf_append_string(out, "  ");
    return err;
}

/* One byte of a double-quoted YAML scalar; a dollar sign is doubled when the text would be substituted. */
static int put_byte(struct buf *out, char c, bool is_value)
{
    unsigned char u = (unsigned char)c;
    if (c == '"' || c == '\\')
        return buf_printf(out, "\\%c", c);
    if (c == '$' && is_value)
        return buf_append_string(out, "$$");
    if (u < 0x20 || u == 0x7f)
        return buf_printf(out, "\\x%02x", u);
    return buf_append(out, &c, 1);
}

static int put_quoted(struct buf *out, const char *text, size_t len, bool is_value)
{
    int err = buf_append_string(out, "\"");
    for (size_t i = 0; err == 0 && i < len; i++)
        err = put_byte(out, text[i], is_value);
    return err < 0 ? err : buf_append_string(out, "\"");
}

/* Where "scheme://user:password@" has its password: 0 when there is none. */
static size_t find_password(const char *text, size_t *ret_end)
{
    const char *host = strstr(text, "://");
    if (!host)
        return 0;
    host += 3;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    const char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    if (!colon)
        return 0;
    *ret_end = (size_t)(at - text);
    return (size_t)(colon + 1 - text);
}

static int put_string(struct buf *out, const char *text)
{
    char shown[2048];
    size_t end = 0, begin = find_password(text, &end);
    if (begin == 0)
        return put_quoted(out, text, strlen(text), true);
    snprintf(shown, sizeof shown, "%.*s%s%s", (int)begin, text, mask, text + end);
    return put_quoted(out, shown, strlen(shown), true);
}

static int put_secret(struct buf *out, const char *text)
{
    return put_string(out, *text ? mask : "");
}

static int put_scalar(const struct conf_option *option, const void *config, struct buf *out)
{
    const char *const *text = (const void *)((const char *)config + option->offset);
    if (option->type == CONF_STRING)
        return put_string(out, *text);
    if (option->type == CONF_SECRET)
        return put_secret(out, *text);
    return conf_value_format(option, conf_value_get(option, config), out);
}

static int put_strings(const struct conf_strings *strings, struct buf *out)
{
    int err = buf_append_string(out, " [");
    for (size_t i = 0; err == 0 && i < strings->count; i++) {
        err = buf_append_string(out, i ? ", " : "");
        if (err == 0)
            err = put_string(out, strings->items[i]);
    }
    return err < 0 ? err : buf_append_string(out, "]\n");
}

static int put_pair(const struct conf_option *option, const struct conf_pair *pair, int depth,
                    struct buf *out)
{
    int err = put_indent(out, depth);
    if (err == 0)
        err = put_quoted(out, pair->key, strlen(pair->key), false);
    if (err == 0)
        err = buf_append_string(out, ": ");
    if (err == 0)
        err = option->secret ? put_secret(out, pair->value) : put_string(out, pair->value);
    return err < 0 ? err : buf_append_string(out, "\n");
}

static int put_map(const struct conf_option *option, const struct conf_map *map, int depth, struct buf *out)
{
    int err = buf_append_string(out, map->count ? "\n" : " {}\n");
    for (size_t i = 0; err == 0 && i < map->count; i++)
        err = put_pair(option, &map->items[i], depth, out);
    return err;
}

static int put_table(const struct conf_option *table, const void *config, int depth, struct buf *out);

static int put_list(const struct conf_option *option, const struct conf_list *list, int depth,
                    struct buf *out)
{
    int err = buf_append_string(out, list->count ? "\n" : " []\n");
    for (size_t i = 0; err == 0 && i < list->count; i++) {
        err = put_indent(out, depth);
        if (err == 0)
            err = buf_append_string(out, "-\n");
        if (err == 0)
            err = put_table(option->options, (const char *)list->items + i * option->size, depth + 1, out);
    }
    return err;
}

static int put_option(const struct conf_option *option, const void *config, int depth, struct buf *out)
{
    const void *field = (const char *)config + option->offset;
    switch (option->type) {
    case CONF_STRINGS:
        return put_strings(field, out);
    case CONF_MAP:
        return put_map(option, field, depth + 1, out);
    case CONF_LIST:
        return put_list(option, field, depth + 1, out);
    case CONF_SECTION: {
        int err = buf_append_string(out, "\n");
        return err < 0 ? err : put_table(option->options, field, depth + 1, out);
    }
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_BOOL:
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_ENUM:
        break;
    }
    int err = buf_append_string(out, " ");
    if (err == 0)
        err = put_scalar(option, config, out);
    return err < 0 ? err : buf_append_string(out, "\n");
}

/* Recursion is as deep as the tables are nested. */
static int put_table(const struct conf_option *table, const void *config, int depth, struct buf *out)
{
    int err = 0;
    for (const struct conf_option *option = table; err == 0 && option->key; option++) {
        err = put_indent(out, depth);
        if (err == 0)
            err = buf_printf(out, "%s:", option->key);
        if (err == 0)
            err = put_option(option, config, depth, out);
    }
    return err;
}

int conf_print(const struct conf_option *table, const void *config, struct buf *out)
{
    return put_table(table, config, 0, out);
}
