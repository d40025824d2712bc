/* conf_tree.c - libyaml's events into a tree; without recursion, so that the depth is checked and not
 * suffered. */
#include "base/conf/conf_tree.h"

#include <errno.h>
#include <yaml.h>

struct build {
    struct conf_memory *memory;
    struct conf_errors *errors;
    struct conf_node *root;
    struct conf_node *open[CONF_TREE_DEPTH]; /* sequences and mappings not ended yet */
    struct conf_node *key[CONF_TREE_DEPTH];  /* of an open mapping: the key whose value comes next */
    int depth;
    int nodes, documents;
};

static struct conf_place place_of(yaml_mark_t mark)
{
    return (struct conf_place){mark.line + 1, mark.column + 1};
}

static int fail(struct build *build, struct conf_place place, const char *words)
{
    conf_errors_add(build->errors, place, NULL, "%s", words);
    return -EINVAL;
}

/* Puts a finished or just opened node under the innermost open one. */
static int attach(struct build *build, struct conf_node *node)
{
    if (build->depth == 0) {
        build->root = node;
        return 0;
    }
    struct conf_node *parent = build->open[build->depth - 1];
    struct conf_node **key = &build->key[build->depth - 1];
    if (parent->kind == CONF_MAPPING && !*key) {
        if (node->kind != CONF_SCALAR)
            return fail(build, node->place, "a key must be a plain word");
        *key = node;
        return 0;
    }
    node->key = *key;
    *key = NULL;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
    return 0;
}

static int add_node(struct build *build, const yaml_event_t *event, enum conf_kind kind,
                    struct conf_node **ret_node)
{
    struct conf_place place = place_of(event->start_mark);
    if (++build->nodes > CONF_TREE_NODES)
        return fail(build, place, "too many values; a file holds at most 10000");
    struct conf_node *node = conf_memory_alloc(build->memory, sizeof *node);
    if (!node)
        return -ENOMEM;
    node->kind = kind;
    node->place = place;
    int err = attach(build, node);
    if (err == 0)
        *ret_node = node;
    return err;
}

static void refuse_extras(struct build *build, struct conf_place place, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    char shown[CONF_SHOW];
    if (anchor)
        conf_errors_add(build->errors, place, NULL,
                        "anchor %s: anchors are not supported; write the value where it is needed",
                        conf_errors_show((const char *)anchor, shown));
    if (tag)
        conf_errors_add(build->errors, place, NULL, "tag %s: tags are not supported; leave it out",
                        conf_errors_show((const char *)tag, shown));
}

static bool says_nothing(const char *text)
{
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static int add_scalar(struct build *build, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct conf_place place = place_of(event->start_mark);
    struct conf_node *node;
    refuse_extras(build, place, event->data.scalar.anchor, event->data.scalar.tag);
    if (memchr(value, 0, len))
        return fail(build, place, "a zero byte; text without it");
    int err = add_node(build, event, CONF_SCALAR, &node);
    if (err < 0)
        return err;
    node->text = conf_memory_copy(build->memory, (struct bytes){(const uint8_t *)value, len});
    if (!node->text)
        return -ENOMEM;
    node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && says_nothing(node->text);
    return 0;
}

static int add_alias(struct build *build, const yaml_event_t *event)
{
    char shown[CONF_SHOW];
    struct conf_node *node;
    conf_errors_add(build->errors, place_of(event->start_mark), NULL,
                    "alias %s: aliases are not supported; write the value where it is needed",
                    conf_errors_show((const char *)event->data.alias.anchor, shown));
    return add_node(build, event, CONF_BROKEN, &node);
}

static int open_node(struct build *build, const yaml_event_t *event, enum conf_kind kind,
                     const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct conf_node *node;
    refuse_extras(build, place_of(event->start_mark), anchor, tag);
    if (build->depth == CONF_TREE_DEPTH)
        return fail(build, place_of(event->start_mark), "nested too deeply; at most 16 levels");
    int err = add_node(build, event, kind, &node);
    if (err < 0)
        return err;
    build->key[build->depth] = NULL;
    build->open[build->depth++] = node;
    return 0;
}

static int take_event(struct build *build, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++build->documents > 1)
            return fail(build, place_of(event->start_mark), "a second document; a file holds one");
        return 0;
    case YAML_ALIAS_EVENT:
        return add_alias(build, event);
    case YAML_SCALAR_EVENT:
        return add_scalar(build, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(build, event, CONF_SEQUENCE, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_node(build, event, CONF_MAPPING, event->data.mapping_start.anchor,
                         event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        build->depth--;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* The reader's errors (bytes that are no UTF-8) come with an offset instead of a mark. */
static struct conf_place place_of_offset(struct bytes text, size_t offset)
{
    struct conf_place place = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        place.column++;
        if (text.ptr[i] == '\n')
            place = (struct conf_place){place.line + 1, 1};
    }
    return place;
}

static int fail_parse(struct build *build, const yaml_parser_t *parser, struct bytes text)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    struct conf_place place = parser->error == YAML_READER_ERROR
                                  ? place_of_offset(text, parser->problem_offset)
                                  : place_of(parser->problem_mark);
    conf_errors_add(build->errors, place, NULL, "not YAML: %s%s%s",
                    parser->problem ? parser->problem : "unreadable", parser->context ? " " : "",
                    parser->context ? parser->context : "");
    return -EINVAL;
}

int conf_tree_parse(struct bytes text, struct conf_memory *memory, struct conf_errors *errors,
                    struct conf_node **ret_root)
{
    struct build build = {.memory = memory, .errors = errors};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, text.ptr ? text.ptr : (const uint8_t *)"", text.len);
    int err = 0;
    for (bool ended = false; err == 0 && !ended;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            err = fail_parse(&build, &parser, text);
            break;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        err = take_event(&build, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (err == 0)
        *ret_root = build.root;
    return err;
}
