/* conf_apply.h - a tree of nodes into a struct, as a table of options has it.
 *
 * Part of conf; not for others.
 */
#ifndef BASE_CONF_APPLY_H
#define BASE_CONF_APPLY_H

#include "base/conf/conf.h"
#include "base/conf/conf_tree.h"

/* conf_apply: sets every field of config that the table names, from the tree (NULL: an empty file) or the
 * defaults. Adds every error it finds and goes on. 0, or -ENOMEM when the arena is used up (also told in
 * errors). */
int conf_apply(const struct conf_option *table, const struct conf_node *root, void *config,
               struct conf_memory *memory, struct conf_errors *errors);

#endif
