#include "node-agent/scrape/exposition.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "node-agent/host/text.h"

enum { MAX_NUMBER = 512 };

void exposition_init(struct exposition *parser, struct bytes page)
{
    *parser = (struct exposition){.rest = page};
    buf_init(&parser->unescaped, EXPOSITION_MAX_LINE);
}

void exposition_fini(struct exposition *parser)
{
    buf_fini(&parser->unescaped);
}

static int bad(struct exposition *parser, const char *problem)
{
    parser->problem = problem;
    return -EBADMSG;
}

/* ---- tokens ---- */

static bool is_name_start(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct bytes *at)
{
    size_t n = 0;
    while (n < at->len && (at->ptr[n] == ' ' || at->ptr[n] == '\t'))
        n++;
    if (n)
        *at = bytes_skip(*at, n);
}

/* Takes a name off *at; colons belong to metric names only. Empty: there is none. */
static struct bytes take_name(struct bytes *at, bool colons)
{
    size_t n = 0;
    while (n < at->len &&
           (is_name_start(at->ptr[n]) || (colons && at->ptr[n] == ':') || (n && is_digit(at->ptr[n]))))
        n++;
    struct bytes name = {at->ptr, n};
    if (n)
        *at = bytes_skip(*at, n);
    return name;
}

static bool take_byte(struct bytes *at, uint8_t byte)
{
    if (at->len == 0 || at->ptr[0] != byte)
        return false;
    *at = bytes_skip(*at, 1);
    return true;
}

/* ---- label values ---- */

/* Length of the value that begins after a quote and ends before the next one, and whether it has escapes. -1:
 * no end. */
static ptrdiff_t value_length(struct bytes at, bool *ret_escaped)
{
    *ret_escaped = false;
    for (size_t i = 0; i < at.len; i++) {
        if (at.ptr[i] == '"')
            return (ptrdiff_t)i;
        if (at.ptr[i] == '\\') {
            *ret_escaped = true;
            i++;
        }
    }
    return -1;
}

/* Writes value without its escapes into the parser's buffer, which has room for it. */
static struct bytes unescape(struct exposition *parser, struct bytes value)
{
    uint8_t *begin = parser->unescaped.ptr + parser->unescaped.len, *to = begin;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i], next = i + 1 < value.len ? value.ptr[i + 1] : 0;
        bool known = c == '\\' && (next == '\\' || next == '"' || next == 'n');
        *to++ = !known ? c : next == 'n' ? '\n' : next;
        i += known;
        if (!known && c == '\\' && i + 1 < value.len)
            *to++ = value.ptr[++i];
    }
    parser->unescaped.len += (size_t)(to - begin);
    return (struct bytes){begin, (size_t)(to - begin)};
}

static int take_value(struct exposition *parser, struct bytes *at, struct bytes *ret_value)
{
    bool escaped;
    if (!take_byte(at, '"'))
        return bad(parser, "expected a quoted label value");
    ptrdiff_t len = value_length(*at, &escaped);
    if (len < 0)
        return bad(parser, "label value has no closing quote");
    struct bytes value = {at->ptr, (size_t)len};
    if (!parser->is_lenient && !utf8_is_valid(value))
        return bad(parser, "label value is not UTF-8");
    /* room for the rest of the line: what the next values ask for then fits as well, so that none of them
     * moves */
    if (escaped && buf_reserve(&parser->unescaped, at->len) < 0)
        return -ENOMEM;
    *ret_value = escaped ? unescape(parser, value) : value;
    *at = bytes_skip(*at, (size_t)len + 1);
    return 0;
}

static int take_label(struct exposition *parser, struct bytes *at, struct exposition_entry *entry)
{
    struct series_label label;
    if (entry->label_count == EXPOSITION_MAX_LABELS)
        return bad(parser, "too many labels");
    label.name = take_name(at, false);
    if (label.name.len == 0)
        return bad(parser, "expected a label name");
    skip_blanks(at);
    if (!take_byte(at, '='))
        return bad(parser, "expected = after a label name");
    skip_blanks(at);
    int err = take_value(parser, at, &label.value);
    if (err == 0)
        entry->labels[entry->label_count++] = label;
    return err;
}

/* What stands after the opening brace: labels with commas between them, one more comma is allowed at the end.
 */
static int take_labels(struct exposition *parser, struct bytes *at, struct exposition_entry *entry)
{
    for (skip_blanks(at); !take_byte(at, '}'); skip_blanks(at)) {
        int err = take_label(parser, at, entry);
        if (err < 0)
            return err;
        skip_blanks(at);
        if (take_byte(at, ','))
            continue;
        if (at->len == 0 || at->ptr[0] != '}')
            return bad(parser, "expected , or } after a label value");
    }
    return 0;
}

/* ---- numbers ---- */

/* strtod takes what Prometheus does not: hexadecimal numbers, nan(...), NaN with a sign. */
static bool is_float(struct bytes field)
{
    bool sign = field.ptr[0] == '+' || field.ptr[0] == '-';
    if (sign && field.len > 1 && (field.ptr[1] == 'n' || field.ptr[1] == 'N'))
        return false;
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.ptr[i];
        if (c == 'x' || c == 'X' || c == '(' || c <= ' ')
            return false;
    }
    return true;
}

/* Prometheus has one NaN for values; the marker of staleness is another one. */
static double normal_nan(void)
{
    uint64_t bits = UINT64_C(0x7ff8000000000001);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int parse_float(struct bytes field, double *ret_value)
{
    char copy[MAX_NUMBER], *end;
    if (field.len == 0 || field.len >= sizeof copy || !is_float(field))
        return -EINVAL;
    double value = strtod(text_copy(field, copy, sizeof copy), &end);
    if (end != copy + field.len)
        return -EINVAL;
    *ret_value = isnan(value) ? normal_nan() : value;
    return 0;
}

static int parse_time(struct bytes field, int64_t *ret_time_ms)
{
    bool negative = field.len && field.ptr[0] == '-';
    uint64_t size, most = (uint64_t)INT64_MAX + negative;
    if (negative || (field.len && field.ptr[0] == '+'))
        field = bytes_skip(field, 1);
    if (text_u64(field, &size) < 0 || size > most)
        return -EINVAL;
    *ret_time_ms = negative ? (int64_t)(0 - size) : (int64_t)size;
    return 0;
}

/* ---- lines ---- */

static int parse_sample(struct exposition *parser, struct bytes line, struct exposition_entry *entry)
{
    struct bytes field;
    entry->kind = EXPOSITION_SAMPLE;
    entry->label_count = 0;
    entry->has_time = false;
    entry->name = take_name(&line, true);
    bool is_nameless = entry->name.len == 0;
    if (is_nameless && (!parser->is_lenient || line.len == 0 || *line.ptr != '{'))
        return bad(parser, "expected a metric name");
    size_t before = line.len;
    skip_blanks(&line);
    bool has_labels = take_byte(&line, '{');
    int err = has_labels ? take_labels(parser, &line, entry) : 0;
    if (err < 0)
        return err;
    if (!has_labels && line.len == before)
        return bad(parser, line.len ? "invalid character in a metric name" : "expected a value");
    if (!text_field(&line, &field))
        return bad(parser, "expected a value");
    if (parse_float(field, &entry->value) < 0)
        return bad(parser, "value is not a number");
    entry->has_time = text_field(&line, &field);
    if (entry->has_time && parse_time(field, &entry->time_ms) < 0)
        return bad(parser, "timestamp is not an integer");
    if (text_field(&line, &field))
        return bad(parser, "expected the end of the line");
    return 1;
}

/* Prometheus takes the words as they are, the parser that node_exporter reads textfiles with in any case. */
static bool is_type(const struct exposition *parser, struct bytes text)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "summary", "untyped"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (parser->is_lenient ? text_is(text, types[i]) : text_is_caseless(text, types[i]))
            return true;
    return false;
}

/* A line that begins with #: 1 with an entry, 0 for a comment. */
static int parse_comment(struct exposition *parser, struct bytes line, struct exposition_entry *entry)
{
    struct bytes keyword;
    bool blank = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
    if (!blank || !text_field(&line, &keyword))
        return 0;
    bool help = text_is(keyword, "HELP");
    if (!help && !text_is(keyword, "TYPE"))
        return 0;
    skip_blanks(&line);
    struct bytes name = take_name(&line, true);
    if (name.len == 0 || (line.len && line.ptr[0] != ' ' && line.ptr[0] != '\t'))
        return bad(parser, "expected a metric name after HELP or TYPE");
    skip_blanks(&line);
    struct bytes text = line;
    if (!help && (!text_field(&line, &text) || !is_type(parser, text) || text_field(&line, &keyword)))
        return bad(parser, "expected counter, gauge, histogram, summary or untyped");
    if (help && !utf8_is_valid(text))
        return bad(parser, "help text is not UTF-8");
    entry->kind = help ? EXPOSITION_HELP : EXPOSITION_TYPE;
    entry->name = name;
    entry->text = text;
    entry->label_count = 0;
    entry->has_time = false;
    return 1;
}

static int take_line(struct exposition *parser, struct bytes *ret_line)
{
    const uint8_t *end = memchr(parser->rest.ptr, '\n', parser->rest.len);
    size_t len = end ? (size_t)(end - parser->rest.ptr) : parser->rest.len;
    parser->line++;
    if (len > EXPOSITION_MAX_LINE)
        return bad(parser, "line is too long");
    if (!end)
        return bad(parser, "the last line does not end in a newline");
    *ret_line = (struct bytes){parser->rest.ptr, len};
    parser->rest = bytes_skip(parser->rest, len + 1);
    return 0;
}

int exposition_next(struct exposition *parser, struct exposition_entry *ret_entry)
{
    if (parser->problem)
        return -EBADMSG;
    while (parser->rest.len) {
        struct bytes line;
        int got = take_line(parser, &line);
        if (got < 0)
            return got;
        buf_clear(&parser->unescaped);
        skip_blanks(&line);
        if (line.len == 0)
            continue;
        got = take_byte(&line, '#') ? parse_comment(parser, line, ret_entry)
                                    : parse_sample(parser, line, ret_entry);
        if (got != 0)
            return got;
    }
    return 0;
}
