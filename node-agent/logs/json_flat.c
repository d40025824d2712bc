#include "node-agent/logs/json_flat.h"

#include <errno.h>
#include <strings.h>

static void skip_blanks(struct bytes *rest)
{
    while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t' || *rest->ptr == '\n' || *rest->ptr == '\r'))
        *rest = bytes_skip(*rest, 1);
}

/* Takes that byte, with blanks around it; false where another stands. */
static bool take(struct bytes *rest, char c)
{
    skip_blanks(rest);
    if (rest->len == 0 || *rest->ptr != (uint8_t)c)
        return false;
    *rest = bytes_skip(*rest, 1);
    skip_blanks(rest);
    return true;
}

static int take_string(struct bytes *rest, struct bytes *ret_string)
{
    if (rest->len == 0 || *rest->ptr != '"')
        return -EINVAL;
    *rest = bytes_skip(*rest, 1);
    const uint8_t *end = rest->len ? memchr(rest->ptr, '"', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : 0;
    if (!end || memchr(rest->ptr, '\\', len))
        return -EINVAL;
    *ret_string = (struct bytes){rest->ptr, len};
    *rest = bytes_skip(*rest, len + 1);
    return 0;
}

static int take_value(struct bytes *rest, struct bytes *ret_value)
{
    size_t len = 0;
    if (rest->len && *rest->ptr == '"')
        return take_string(rest, ret_value);
    while (len < rest->len && memchr("+-.0123456789eE", rest->ptr[len], 15))
        len++;
    if (len == 0)
        return -EINVAL;
    *ret_value = (struct bytes){rest->ptr, len};
    *rest = bytes_skip(*rest, len);
    return 0;
}

static int take_members(struct bytes *rest, struct json_flat *object)
{
    object->count = 0;
    if (take(rest, '}'))
        return 1;
    do {
        if (object->count == JSON_FLAT_MEMBERS ||
            take_string(rest, &object->members[object->count].key) < 0 || !take(rest, ':') ||
            take_value(rest, &object->members[object->count].value) < 0)
            return -EINVAL;
        object->count++;
    } while (take(rest, ','));
    return take(rest, '}') ? 1 : -EINVAL;
}

int json_flat_next(struct bytes *rest, struct json_flat *ret_object)
{
    if (!take(rest, '['))
        take(rest, ',');
    if (take(rest, '{'))
        return take_members(rest, ret_object);
    take(rest, ']');
    return rest->len == 0 ? 0 : -EINVAL;
}

struct bytes json_flat_get(const struct json_flat *object, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < object->count; i++)
        if (object->members[i].key.len == len &&
            strncasecmp((const char *)object->members[i].key.ptr, key, len) == 0)
            return object->members[i].value;
    return (struct bytes){0};
}
