/* conf_print.c - a configuration in force as YAML that would load again, secrets masked. */
#include "base/conf/conf.h"

#include "base/conf/conf_value.h"

static const char mask[] = "<secret>";

static int put_indent(struct buf *out, int depth)
{
    int err = 0;
    for (int i = 0; err == 0 && i < depth; i++)
        err = buf_append_string(out, "  ");
    return err;
}

/* Characters that a YAML reader refuses, or folds as line breaks, where they stand as themselves. */
static const struct {
    const char *raw, *escaped;
} unreadable[] = {
    {"\xe2\x80\xa8", "\\L"},     {"\xe2\x80\xa9", "\\P"},     {"\xef\xbb\xbf", "\\uFEFF"},
    {"\xef\xbf\xbe", "\\uFFFE"}, {"\xef\xbf\xbf", "\\uFFFF"},
};

/* The next character of a double-quoted scalar; *text moves past it. A dollar sign is doubled where it would
 * be substituted. */
static int put_character(struct buf *out, const char **text, const char *end, bool is_value)
{
    const char *at = *text;
    unsigned char c = (unsigned char)*at, next = at + 1 < end ? (unsigned char)at[1] : 0;
    for (size_t i = 0; end - at >= 3 && i < sizeof unreadable / sizeof unreadable[0]; i++) {
        if (memcmp(at, unreadable[i].raw, 3) == 0) {
            *text += 3;
            return buf_append_string(out, unreadable[i].escaped);
        }
    }
    *text += 1;
    if (c == '"' || c == '\\')
        return buf_printf(out, "\\%c", c);
    if (c == '$' && is_value)
        return buf_append_string(out, "$$");
    if (c < 0x20 || c == 0x7f)
        return buf_printf(out, "\\x%02x", c);
    if (c != 0xc2 || next < 0x80 || next > 0x9f)
        return buf_append(out, &c, 1);
    *text += 1;
    return buf_printf(out, "\\x%02x", next); /* the controls U+0080 to U+009F */
}

static int put_text(struct buf *out, const char *text, size_t len, bool is_value)
{
    int err = 0;
    for (const char *end = text + len; err == 0 && text < end;)
        err = put_character(out, &text, end, is_value);
    return err;
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

static int put_masked(struct buf *out, const char *text)
{
    size_t end = 0, begin = find_password(text, &end);
    if (begin == 0)
        return put_text(out, text, strlen(text), true);
    int err = put_text(out, text, begin, true);
    if (err == 0)
        err = buf_append_string(out, mask);
    return err < 0 ? err : put_text(out, text + end, strlen(text + end), true);
}

static int put_string(struct buf *out, const char *text)
{
    int err = buf_append_string(out, "\"");
    if (err == 0)
        err = put_masked(out, text);
    return err < 0 ? err : buf_append_string(out, "\"");
}

static int put_key(struct buf *out, const char *key)
{
    int err = buf_append_string(out, "\"");
    if (err == 0)
        err = put_text(out, key, strlen(key), false);
    return err < 0 ? err : buf_append_string(out, "\": ");
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
        err = put_key(out, pair->key);
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
