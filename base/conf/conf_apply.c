#include "base/conf/conf_apply.h"

#include <errno.h>
#include <stdio.h>

#include "base/conf/conf_value.h"

enum { TEXT_MAX = 1 << 20, NEAR_MAX = 64 /* longest key compared for "did you mean" */ };

struct walk {
    struct conf_memory *memory;
    struct conf_errors *errors;
    struct buf text; /* scratch: a scalar after substitution */
    int err;         /* -ENOMEM once it happened */
};

static void apply_table(struct walk *walk, const struct conf_option *table, const struct conf_node *node,
                        struct conf_place place, const struct conf_path *path, char *base);

static void *field_of(const struct conf_option *option, char *base)
{
    return base + option->offset;
}

static void *allocate(struct walk *walk, size_t count, size_t size, struct conf_place place,
                      const struct conf_path *path)
{
    void *room = conf_memory_alloc(walk->memory, count * size);
    if (!room && walk->err == 0) {
        conf_errors_add(walk->errors, place, path, "no memory left; at most %d MiB for a configuration",
                        CONF_MEMORY_MAX >> 20);
        walk->err = -ENOMEM;
    }
    return room;
}

/* ---- unknown keys */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance. Both words are shorter than NEAR_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_MAX], width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[width];
}

static const char *nearest(const struct conf_option *table, const char *key)
{
    const char *best = NULL;
    size_t best_distance = 4, len = strlen(key);
    if (len >= NEAR_MAX)
        return NULL;
    for (; table->key; table++) {
        size_t d = strlen(table->key) < NEAR_MAX ? distance(key, table->key) : NEAR_MAX;
        if (d < best_distance && d * 2 <= len) {
            best = table->key;
            best_distance = d;
        }
    }
    return best;
}

static void list_keys(const struct conf_option *table, struct buf *out)
{
    for (const struct conf_option *option = table; option->key; option++)
        buf_printf(out, "%s%s", option == table ? "" : ", ", option->key);
}

static void refuse_key(struct walk *walk, const struct conf_option *table, const struct conf_node *key,
                       const struct conf_path *path)
{
    char shown[CONF_SHOW];
    struct conf_path at = {path, conf_errors_escape(key->text, shown), 0};
    const char *near = nearest(table, key->text);
    if (near) {
        conf_errors_add(walk->errors, key->place, &at, "unknown key; did you mean %s?", near);
        return;
    }
    struct buf keys;
    buf_init(&keys, 700);
    list_keys(table, &keys);
    conf_errors_add(walk->errors, key->place, &at, "unknown key; one of %.*s", (int)keys.len,
                    keys.ptr ? (const char *)keys.ptr : "");
    buf_fini(&keys);
}

static const struct conf_option *find_option(const struct conf_option *table, const char *key)
{
    for (; table->key; table++) {
        if (strcmp(table->key, key) == 0)
            return table;
    }
    return NULL;
}

static const struct conf_node *find_child(const struct conf_node *node, const char *key)
{
    const struct conf_node *child = node ? node->first : NULL;
    while (child && strcmp(child->key->text, key) != 0)
        child = child->next;
    return child;
}

/* Tells of a key that stands twice in its mapping. */
static void check_repeated(struct walk *walk, const struct conf_node *mapping, const struct conf_node *child,
                           const struct conf_path *path)
{
    char shown[CONF_SHOW];
    struct conf_path at = {path, conf_errors_escape(child->key->text, shown), 0};
    const struct conf_node *first = find_child(mapping, child->key->text);
    if (first != child)
        conf_errors_add(walk->errors, child->key->place, &at, "stands at line %zu already; each key once",
                        first->key->place.line);
}

static void check_keys(struct walk *walk, const struct conf_option *table, const struct conf_node *mapping,
                       const struct conf_path *path)
{
    for (const struct conf_node *child = mapping->first; child; child = child->next) {
        if (!find_option(table, child->key->text))
            refuse_key(walk, table, child->key, path);
        else
            check_repeated(walk, mapping, child, path);
    }
}

/* ---- values */

static const char *kind_name(const struct conf_node *node)
{
    if (node->is_null)
        return "empty";
    switch (node->kind) {
    case CONF_SCALAR:
        return "a single value";
    case CONF_SEQUENCE:
        return "a sequence";
    case CONF_MAPPING:
    case CONF_BROKEN:
        break;
    }
    return "a mapping";
}

/* Whether node is of the kind; tells when it is not. */
static bool is_kind(struct walk *walk, const struct conf_node *node, enum conf_kind kind, const char *right,
                    const struct conf_path *path)
{
    if (node->kind == kind && !node->is_null)
        return true;
    if (node->kind != CONF_BROKEN)
        conf_errors_add(walk->errors, node->place, path, "is %s; %s", kind_name(node), right);
    return false;
}

/* The text of a scalar with variables replaced, in the scratch buffer; NULL when that failed (told). */
static const char *substitute(struct walk *walk, const char *text, struct conf_place place,
                              const struct conf_path *path)
{
    char what[CONF_WHAT] = "too long; at most 1 MiB";
    buf_clear(&walk->text);
    int err = conf_value_substitute(text, &walk->text, what);
    if (err == 0)
        err = buf_append(&walk->text, "", 1);
    if (err == 0)
        return (const char *)walk->text.ptr;
    conf_errors_add(walk->errors, place, path, "%s", err == -ENOMEM ? "no memory left" : what);
    return NULL;
}

static const char *keep_text(struct walk *walk, const char *text, struct conf_place place,
                             const struct conf_path *path)
{
    size_t size = strlen(text) + 1;
    char *kept = allocate(walk, 1, size, place, path);
    return kept ? memcpy(kept, text, size) : "";
}

/* Whether the text has the option's form; says so when not. */
static void check_form(struct walk *walk, const struct conf_option *option, const char *text,
                       struct conf_place place, const struct conf_path *path)
{
    char shown[CONF_SHOW];
    if (!option->form || !text[0] || conf_value_has_form(option, text))
        return;
    conf_errors_add(walk->errors, place, path, "\"%s\" has not the right form; for example %s",
                    conf_errors_escape(text, shown), option->example);
}

static void apply_text(struct walk *walk, const struct conf_option *option, const char *raw,
                       struct conf_place place, const struct conf_path *path, char *base)
{
    char what[CONF_WHAT];
    int64_t value;
    const char *text = substitute(walk, raw, place, path);
    if (!text)
        return;
    if (option->type == CONF_STRING || option->type == CONF_SECRET) {
        check_form(walk, option, text, place, path);
        *(const char **)field_of(option, base) = keep_text(walk, text, place, path);
    } else if (conf_value_parse(option, text, &value, what) == 0)
        conf_value_set(option, base, value);
    else
        conf_errors_add(walk->errors, place, path, "%s", what);
}

static void apply_scalar(struct walk *walk, const struct conf_option *option, const struct conf_node *node,
                         struct conf_place place, const struct conf_path *path, char *base)
{
    bool is_text = option->type == CONF_STRING || option->type == CONF_SECRET;
    if (is_text)
        *(const char **)field_of(option, base) = "";
    else
        conf_value_set(option, base, 0);
    if (node) {
        char right[CONF_WHAT];
        bool may_leave_out = node->is_null && option->fallback;
        snprintf(right, sizeof right, "expected: %s%s", conf_value_type(option->type),
                 may_leave_out ? ", or leave the key out for its default" : "");
        if (is_kind(walk, node, CONF_SCALAR, right, path))
            apply_text(walk, option, node->text, node->place, path, base);
    } else if (option->fallback) {
        apply_text(walk, option, option->fallback, place, path, base);
    } else {
        conf_errors_add(walk->errors, place, path, "missing; required: %s", conf_value_type(option->type));
    }
}

static void apply_strings(struct walk *walk, const struct conf_option *option, const struct conf_node *node,
                          const struct conf_path *path, char *base)
{
    struct conf_strings *strings = field_of(option, base);
    *strings = (struct conf_strings){0};
    if (!node || node->is_null ||
        !is_kind(walk, node, CONF_SEQUENCE, "a sequence of strings, such as [\"a\", \"b\"]", path))
        return;
    strings->items = allocate(walk, node->count, sizeof *strings->items, node->place, path);
    for (const struct conf_node *child = strings->items ? node->first : NULL; child; child = child->next) {
        struct conf_path at = {path, NULL, strings->count};
        const char *text = is_kind(walk, child, CONF_SCALAR, "a string", &at)
                               ? substitute(walk, child->text, child->place, &at)
                               : NULL;
        if (text)
            check_form(walk, option, text, child->place, &at);
        strings->items[strings->count++] = text ? keep_text(walk, text, child->place, &at) : "";
    }
}

static void apply_map(struct walk *walk, const struct conf_option *option, const struct conf_node *node,
                      const struct conf_path *path, char *base)
{
    struct conf_map *map = field_of(option, base);
    *map = (struct conf_map){0};
    if (!node || node->is_null ||
        !is_kind(walk, node, CONF_MAPPING, "a mapping of strings, such as {name: value}", path))
        return;
    map->items = allocate(walk, node->count, sizeof *map->items, node->place, path);
    for (const struct conf_node *child = map->items ? node->first : NULL; child; child = child->next) {
        char shown[CONF_SHOW];
        struct conf_path at = {path, conf_errors_escape(child->key->text, shown), 0};
        check_repeated(walk, node, child, path);
        const char *text = is_kind(walk, child, CONF_SCALAR, "a string", &at)
                               ? substitute(walk, child->text, child->place, &at)
                               : NULL;
        map->items[map->count++] =
            (struct conf_pair){child->key->text, text ? keep_text(walk, text, child->place, &at) : ""};
    }
}

static void apply_list(struct walk *walk, const struct conf_option *option, const struct conf_node *node,
                       const struct conf_path *path, char *base)
{
    struct conf_list *list = field_of(option, base);
    *list = (struct conf_list){0};
    if (!node || node->is_null ||
        !is_kind(walk, node, CONF_SEQUENCE, "a sequence of mappings, each after a dash", path))
        return;
    list->items = allocate(walk, node->count, option->size, node->place, path);
    for (const struct conf_node *child = list->items ? node->first : NULL; child; child = child->next) {
        struct conf_path at = {path, NULL, list->count};
        char *element = (char *)list->items + list->count++ * option->size;
        apply_table(walk, option->options, child, child->place, &at, element);
    }
}

static void apply_option(struct walk *walk, const struct conf_option *option, const struct conf_node *node,
                         struct conf_place place, const struct conf_path *path, char *base)
{
    switch (option->type) {
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_BOOL:
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_ENUM:
        apply_scalar(walk, option, node, place, path, base);
        break;
    case CONF_STRINGS:
        apply_strings(walk, option, node, path, base);
        break;
    case CONF_MAP:
        apply_map(walk, option, node, path, base);
        break;
    case CONF_SECTION:
        apply_table(walk, option->options, node, node ? node->place : place, path, field_of(option, base));
        break;
    case CONF_LIST:
        apply_list(walk, option, node, path, base);
        break;
    }
}

/* node NULL: the section is not there, place is where it would be. */
static void apply_table(struct walk *walk, const struct conf_option *table, const struct conf_node *node,
                        struct conf_place place, const struct conf_path *path, char *base)
{
    if (node && node->is_null)
        node = NULL;
    if (node && !is_kind(walk, node, CONF_MAPPING, "a mapping of keys to values", path))
        return;
    if (node)
        check_keys(walk, table, node, path);
    for (const struct conf_option *option = table; option->key; option++) {
        struct conf_path at = {path, option->key, 0};
        apply_option(walk, option, find_child(node, option->key), place, &at, base);
    }
}

int conf_apply(const struct conf_option *table, const struct conf_node *root, void *config,
               struct conf_memory *memory, struct conf_errors *errors)
{
    struct walk walk = {.memory = memory, .errors = errors};
    buf_init(&walk.text, TEXT_MAX);
    struct conf_place top = {1, 1};
    apply_table(&walk, table, root, root ? root->place : top, NULL, config);
    buf_fini(&walk.text);
    return walk.err;
}
