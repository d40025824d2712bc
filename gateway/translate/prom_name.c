#include "gateway/translate/prom_name.h"

#include <errno.h>

struct unit_name {
    const char *unit, *word;
};
/* UCUM's short forms, as the specification names them. */
static const struct unit_name units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};
static const struct unit_name per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

struct words {
    struct bytes items[PROM_NAME_TOKENS]; /* borrowed from the name, the tables or text */
    size_t count;
    uint8_t text[PROM_NAME_BYTES]; /* of cleaned units */
    size_t text_len;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

static bool is_metric_char(uint8_t c)
{
    return is_alnum(c) || c == ':';
}

static int split_words(struct bytes name, struct words *words)
{
    for (size_t i = 0; i < name.len;) {
        size_t from = i;
        while (i < name.len && is_metric_char(name.ptr[i]))
            i++;
        if (i > from) {
            if (words->count == PROM_NAME_TOKENS - 4) /* units and suffix come behind */
                return -E2BIG;
            words->items[words->count++] = (struct bytes){name.ptr + from, i - from};
        } else
            i++;
    }
    return 0;
}

static bool has_word(const struct words *words, struct bytes word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (bytes_equal(words->items[i], word))
            return true;
    }
    return false;
}

static void remove_word(struct words *words, struct bytes word)
{
    size_t kept = 0;
    for (size_t i = 0; i < words->count; i++) {
        if (!bytes_equal(words->items[i], word))
            words->items[kept++] = words->items[i];
    }
    words->count = kept;
}

static struct bytes trim(struct bytes text)
{
    while (text.len && text.ptr[0] == ' ')
        text = bytes_skip(text, 1);
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static struct bytes look_up(const struct unit_name *table, size_t count, struct bytes unit)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(bytes_of_string(table[i].unit), unit))
            return bytes_of_string(table[i].word);
    }
    return unit;
}

/* A unit that is none of the table's, made of a name's characters; "" when nothing is left. */
static struct bytes clean_unit(struct words *words, const char *before, struct bytes unit)
{
    size_t begin = words->text_len;
    if (unit.len == 0 || unit.len + strlen(before) + 1 > sizeof words->text - begin)
        return (struct bytes){0};
    uint8_t *p = words->text + begin, *from = p;
    p = mempcpy(p, before, strlen(before));
    uint8_t *body = p;
    for (size_t i = 0; i < unit.len; i++) {
        uint8_t c = is_metric_char(unit.ptr[i]) ? unit.ptr[i] : '_';
        if (c != '_' || (p > body && p[-1] != '_'))
            *p++ = c;
    }
    while (p > body && p[-1] == '_')
        p--;
    if (p == body)
        return (struct bytes){0};
    words->text_len = (size_t)(p - words->text);
    return (struct bytes){from, (size_t)(p - from)};
}

static bool is_annotation(struct bytes unit)
{
    return unit.len && (memchr(unit.ptr, '{', unit.len) || memchr(unit.ptr, '}', unit.len));
}

static void add_unit(struct words *words, struct bytes unit)
{
    const uint8_t *slash = unit.len ? memchr(unit.ptr, '/', unit.len) : NULL;
    struct bytes main_unit = trim(slash ? (struct bytes){unit.ptr, (size_t)(slash - unit.ptr)} : unit);
    struct bytes per = {0};
    if (slash)
        per = trim(bytes_skip(unit, (size_t)(slash - unit.ptr) + 1));
    if (is_annotation(main_unit))
        main_unit = (struct bytes){0};
    if (is_annotation(per))
        per = (struct bytes){0};
    main_unit = look_up(units, sizeof units / sizeof units[0], main_unit);
    per = look_up(per_units, sizeof per_units / sizeof per_units[0], per);
    struct bytes main_word = clean_unit(words, "", main_unit), per_word = clean_unit(words, "per_", per);
    bool has_main = has_word(words, main_word), has_per = has_word(words, per_word);
    if (main_word.len && !has_main)
        words->items[words->count++] = main_word;
    if (per_word.len && !has_per)
        words->items[words->count++] = per_word;
}

static void add_last(struct words *words, const char *word)
{
    remove_word(words, bytes_of_string(word));
    words->items[words->count++] = bytes_of_string(word);
}

static int put_words(const struct words *words, struct buf *out)
{
    size_t before = out->len;
    int err = is_digit(words->items[0].ptr[0]) ? buf_append_string(out, "_") : 0;
    for (size_t i = 0; i < words->count && err == 0; i++) {
        err = i ? buf_append_string(out, "_") : 0;
        if (err == 0)
            err = buf_append(out, words->items[i].ptr, words->items[i].len);
    }
    if (err == 0 && out->len - before > PROM_NAME_BYTES)
        err = -E2BIG;
    if (err < 0)
        out->len = before;
    return err;
}

int prom_name_put_metric(struct bytes name, struct bytes unit, enum prom_kind kind, struct buf *out)
{
    struct words words;
    words.count = words.text_len = 0;
    int err = split_words(name, &words);
    if (err < 0)
        return err;
    if (words.count == 0)
        return -EINVAL;
    add_unit(&words, unit);
    if (kind == PROM_COUNTER)
        add_last(&words, "total");
    if (kind == PROM_GAUGE && bytes_equal(unit, bytes_of_string("1")))
        add_last(&words, "ratio");
    return put_words(&words, out);
}

int prom_name_put_label(struct bytes name, bool key_first, struct buf *out)
{
    bool is_reserved =
        name.len > 4 && memcmp(name.ptr, "__", 2) == 0 && memcmp(name.ptr + name.len - 2, "__", 2) == 0;
    bool has_letter = false;
    int err = buf_reserve(out, name.len + 8);
    if (err < 0)
        return err;
    uint8_t *p = out->ptr + out->len;
    if (is_reserved) {
        name = (struct bytes){name.ptr + 2, name.len - 4};
        p = mempcpy(p, "__", 2);
    } else if (name.len && is_digit(name.ptr[0]))
        p = mempcpy(p, "key_", 4);
    else if (name.len && key_first && !is_alnum(name.ptr[0])) {
        p = mempcpy(p, "key", 3);
        has_letter = true;
    }
    uint8_t *body = p;
    for (size_t i = 0; i < name.len; i++) {
        bool is_plain = is_alnum(name.ptr[i]);
        has_letter |= is_plain;
        if (is_plain || p == body || p[-1] != '_')
            *p++ = is_plain ? name.ptr[i] : '_';
    }
    if (is_reserved)
        p = mempcpy(p, "__", 2);
    if (!has_letter)
        return -EINVAL;
    out->len = (size_t)(p - out->ptr);
    return 0;
}
