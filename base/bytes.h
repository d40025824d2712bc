/* bytes.h - a borrowed run of bytes. Never owned, never NUL-terminated; ptr may be NULL when len is 0. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *ptr; /* borrowed from whoever made the value */
    size_t len;
};

/* bytes_of_string: the bytes of a C string without its NUL; s may be NULL. */
static inline struct bytes bytes_of_string(const char *s)
{
    return (struct bytes){(const uint8_t *)s, s ? strlen(s) : 0};
}

/* bytes_equal: same length and same content. */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* bytes_skip: what follows the first n bytes; n must not be larger than b.len. */
static inline struct bytes bytes_skip(struct bytes b, size_t n)
{
    return (struct bytes){b.ptr + n, b.len - n};
}

#endif
