/* conf_reference.c - the table as a Markdown reference. */
#include "base/conf/conf.h"

#include <stdio.h>

#include "base/conf/conf_value.h"

enum { KEY_MAX = 256 };

static int put_cell(struct buf *out, const char *text)
{
    int err = 0;
    for (; err == 0 && *text; text++)
        err = *text == '|' ? buf_append_string(out, "\\|") : buf_append(out, text, 1);
    return err;
}

static bool has_rows_below(const struct conf_option *option)
{
    return option->type == CONF_SECTION || option->type == CONF_LIST;
}

static bool is_single(const struct conf_option *option)
{
    return !has_rows_below(option) && option->type != CONF_STRINGS && option->type != CONF_MAP;
}

static int put_default(const struct conf_option *option, struct buf *out)
{
    if (option->type == CONF_SECTION)
        return 0;
    if (!is_single(option))
        return buf_append_string(out, "none");
    if (!option->fallback)
        return buf_append_string(out, "**required**");
    if (!*option->fallback)
        return buf_append_string(out, "empty");
    int err = buf_append_string(out, "`");
    if (err == 0)
        err = put_cell(out, option->fallback);
    return err < 0 ? err : buf_append_string(out, "`");
}

static int put_row(const struct conf_option *option, const char *key, struct buf *out)
{
    int err = buf_printf(out, "| `%s` | %s | ", key, conf_value_type(option->type));
    if (err == 0)
        err = put_default(option, out);
    if (err == 0)
        err = buf_append_string(out, " | ");
    if (err == 0)
        err = conf_value_range(option, out);
    if (err == 0)
        err = buf_append_string(out, " | ");
    if (err == 0)
        err = put_cell(out, option->help ? option->help : "");
    return err < 0 ? err : buf_append_string(out, " |\n");
}

/* Recursion is as deep as the tables are nested. */
static int put_table(const struct conf_option *table, const char *prefix, struct buf *out)
{
    int err = 0;
    for (const struct conf_option *option = table; err == 0 && option->key; option++) {
        char key[KEY_MAX];
        snprintf(key, sizeof key, "%s%s%s", prefix, option->key, option->type == CONF_LIST ? "[]" : "");
        err = put_row(option, key, out);
        if (err == 0 && has_rows_below(option)) {
            size_t len = strlen(key);
            snprintf(key + len, sizeof key - len, ".");
            err = put_table(option->options, key, out);
        }
    }
    return err;
}

int conf_write_reference(const struct conf_option *table, struct buf *out)
{
    int err = buf_append_string(out, "| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
    return err < 0 ? err : put_table(table, "", out);
}
