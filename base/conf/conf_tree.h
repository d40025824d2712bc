/* conf_tree.h - a YAML file as a small tree of nodes with their places.
 *
 * One document, at most CONF_TREE_DEPTH levels and CONF_TREE_NODES nodes. Anchors, aliases and tags are
 * errors: a configuration is what it looks like. Part of conf; not for others.
 */
#ifndef BASE_CONF_TREE_H
#define BASE_CONF_TREE_H

#include "base/conf/conf_errors.h"
#include "base/conf/conf_memory.h"

enum { CONF_TREE_DEPTH = 16, CONF_TREE_NODES = 10000 };

enum conf_kind {
    CONF_SCALAR,
    CONF_SEQUENCE,
    CONF_MAPPING,
    CONF_BROKEN, /* its error was told; whoever walks the tree passes it by */
};

struct conf_node { /* everything in the arena */
    enum conf_kind kind;
    struct conf_place place;
    bool is_null;           /* a plain scalar with no text, ~ or null */
    const char *text;       /* of a scalar */
    struct conf_node *key;  /* of a mapping's value: its key, a scalar */
    struct conf_node *next; /* in its sequence or mapping */
    struct conf_node *first, *last;
    size_t count; /* of children */
};

/* conf_tree_parse: *ret_root is NULL for a file that holds nothing. 0; -EINVAL with words in errors when the
 * text could not be read to its end (else errors may have been added too, and the tree holds CONF_BROKEN
 * nodes); -ENOMEM. */
int conf_tree_parse(struct bytes text, struct conf_memory *memory, struct conf_errors *errors,
                    struct conf_node **ret_root);

#endif
