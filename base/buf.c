#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){0};
}

/* Doubles, so that appending is linear, but never past the limit. */
static size_t next_cap(const struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    return cap < b->max ? cap : b->max;
}

int buf_reserve(struct buf *b, size_t n)
{
    if (n <= b->cap - b->len)
        return 0;
    if (n > b->max - b->len)
        return -EMSGSIZE;
    size_t cap = next_cap(b, b->len + n);
    uint8_t *ptr = realloc(b->ptr, cap);
    if (!ptr)
        return -ENOMEM;
    b->ptr = ptr;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *from, size_t n)
{
    int err = buf_reserve(b, n);
    if (err < 0)
        return err;
    if (n)
        memcpy(b->ptr + b->len, from, n);
    b->len += n;
    return 0;
}

int buf_append_string(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int err = n < 0 ? -EINVAL : buf_reserve(b, (size_t)n + 1);
    if (err == 0) {
        vsnprintf((char *)b->ptr + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return err;
}

uint8_t *buf_detach(struct buf *b, size_t *ret_len)
{
    uint8_t *ptr = b->ptr;
    *ret_len = b->len;
    *b = (struct buf){.max = b->max};
    return ptr;
}

void buf_release(struct buf *b, size_t keep)
{
    b->len = 0;
    if (b->cap <= keep)
        return;
    free(b->ptr);
    b->ptr = NULL;
    b->cap = 0;
}
