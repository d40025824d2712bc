/* json_flat.h - objects of JSON (RFC 8259) whose members are strings and numbers, alone or in an array: what
 * the fixtures of some collectors are made of. Pure; any thread. */
#ifndef NODE_AGENT_JSON_FLAT_H
#define NODE_AGENT_JSON_FLAT_H

#include "base/bytes.h"

enum { JSON_FLAT_MEMBERS = 32 };

struct json_flat {
    struct {
        struct bytes key, value; /* borrowed from the text; strings without their quotes */
    } members[JSON_FLAT_MEMBERS];
    size_t count;
};

/* json_flat_next: takes the next object off *rest. 1; 0 at the end; -EINVAL: not such a text, an escape in a
 * string, or more than JSON_FLAT_MEMBERS members. */
int json_flat_next(struct bytes *rest, struct json_flat *ret_object);

/* json_flat_get: the member's value; letters' case does not count. Empty when there is none. */
struct bytes json_flat_get(const struct json_flat *object, const char *key);

#endif
