#include "base/conf/conf_errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_BYTES = 50, WORDS_MAX = 1024 };

static void add_path(struct buf *out, const struct conf_path *path)
{
    if (path->parent)
        add_path(out, path->parent);
    if (path->key)
        buf_printf(out, "%s%s", path->parent ? "." : "", path->key);
    else
        buf_printf(out, "[%zu]", path->index);
}

void conf_errors_add(struct conf_errors *errors, struct conf_place place, const struct conf_path *path,
                     const char *format, ...)
{
    if (++errors->count > CONF_ERRORS_MAX)
        return;
    char words[WORDS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    buf_printf(errors->out, "%s:%zu:%zu: ", errors->name, place.line, place.column);
    if (path) {
        add_path(errors->out, path);
        buf_append_string(errors->out, ": ");
    }
    buf_append_string(errors->out, words);
    buf_append_string(errors->out, "\n");
}

int conf_errors_end(struct conf_errors *errors)
{
    if (errors->count > CONF_ERRORS_MAX)
        buf_printf(errors->out, "%s: and %d errors more\n", errors->name, errors->count - CONF_ERRORS_MAX);
    return errors->count ? -EINVAL : 0;
}

/* At most 53 bytes of 4 characters each. */
static void escape(const char *text, char *storage, size_t size)
{
    size_t n = 0, i = 0;
    for (; text[i] && (i < SHOWN_BYTES || (text[i] & 0xc0) == 0x80) && i < SHOWN_BYTES + 3; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(storage + n, size - n, "\\x%02x", c);
        else
            storage[n++] = text[i];
    }
    snprintf(storage + n, size - n, "%s", text[i] ? "..." : "");
}

const char *conf_errors_escape(const char *text, char storage[CONF_SHOW])
{
    escape(text, storage, CONF_SHOW);
    return storage;
}

const char *conf_errors_show(const char *text, char storage[CONF_SHOW])
{
    storage[0] = '"';
    escape(text, storage + 1, CONF_SHOW - 2);
    strcat(storage, "\"");
    return storage;
}
