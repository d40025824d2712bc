#include "node-agent/host/collectors/textfile_check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/text.h"

enum { NUMBER_BYTES = 512 };

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool escapes_are_known(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\\')
            continue;
        if (++i == text.len || !strchr("\\n\"", text.ptr[i]))
            return false;
    }
    return true;
}

/* The token that the line ends in, where it is a number, has a double's range. */
static bool fits_double(struct bytes line)
{
    char copy[NUMBER_BYTES];
    size_t begin = line.len;
    while (begin > 0 && !is_blank(line.ptr[begin - 1]) && line.ptr[begin - 1] != '}')
        begin--;
    text_copy(bytes_skip(line, begin), copy, sizeof copy);
    errno = 0;
    return !isinf(strtod(copy, NULL)) || errno != ERANGE;
}

static bool line_is_fine(struct bytes line)
{
    size_t at = 0;
    while (at < line.len && is_blank(line.ptr[at]))
        at++;
    line = bytes_skip(line, at);
    if (line.len == 0)
        return true;
    bool ends_blank = is_blank(line.ptr[line.len - 1]);
    if (line.ptr[0] != '#')
        return !ends_blank && escapes_are_known(line) && fits_double(line);
    line = bytes_skip(line, 1);
    while (line.len && is_blank(line.ptr[0]))
        line = bytes_skip(line, 1);
    if (line.len > 5 && memcmp(line.ptr, "HELP", 4) == 0 && is_blank(line.ptr[4]))
        return escapes_are_known(line);
    return !(line.len > 5 && memcmp(line.ptr, "TYPE", 4) == 0 && is_blank(line.ptr[4]) && ends_blank);
}

int textfile_check_page(struct bytes page)
{
    while (page.len) {
        const uint8_t *end = memchr(page.ptr, '\n', page.len);
        size_t len = end ? (size_t)(end - page.ptr) : page.len;
        if (!line_is_fine((struct bytes){page.ptr, len}))
            return -EBADMSG;
        page = bytes_skip(page, end ? len + 1 : len);
    }
    return 0;
}

int textfile_check_labels(const struct exposition_entry *sample, enum metric_type type)
{
    const char *part = type == METRIC_HISTOGRAM ? "le" : type == METRIC_SUMMARY ? "quantile" : NULL;
    double bound;
    for (size_t i = 0; i < sample->label_count; i++) {
        struct bytes name = sample->labels[i].name;
        if (text_is(name, "__name__"))
            return -EBADMSG;
        if (part && text_is(name, part) && text_double(sample->labels[i].value, &bound) < 0)
            return -EBADMSG;
        for (size_t j = 0; j < i; j++)
            if (sample->labels[j].name.len == name.len &&
                memcmp(sample->labels[j].name.ptr, name.ptr, name.len) == 0)
                return -EBADMSG;
    }
    return 0;
}
