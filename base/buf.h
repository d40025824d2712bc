/* buf.h - a growable run of bytes that cannot be made without a limit.
 *
 * Invariants: len <= cap <= max; ptr is NULL exactly when cap is 0. A call that fails leaves the buffer as it
 * was. Owns its memory. Any thread, one at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"

struct buf {
    uint8_t *ptr; /* owned */
    size_t len;
    size_t cap;
    size_t max; /* never grows past this many bytes */
};

/* buf_init: an empty buffer that holds at most max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/* buf_fini: frees the memory; safe on a zeroed or already finished buffer. */
void buf_fini(struct buf *b);

/* buf_reserve: makes room for n more bytes. 0, -EMSGSIZE past the limit, -ENOMEM. */
int buf_reserve(struct buf *b, size_t n);

/* buf_append: adds n bytes. Errors as buf_reserve. */
int buf_append(struct buf *b, const void *from, size_t n);

/* buf_append_string: adds a C string without its NUL. Errors as buf_reserve. */
int buf_append_string(struct buf *b, const char *s);

/* buf_printf: adds formatted text without a NUL. Errors as buf_reserve. */
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* buf_detach: gives the memory away (the caller frees it with free()) and leaves the buffer empty. */
uint8_t *buf_detach(struct buf *b, size_t *ret_len);

/* buf_release: empties the buffer and gives memory beyond keep bytes back to the allocator. */
void buf_release(struct buf *b, size_t keep);

/* buf_clear: empties the buffer, keeps its memory. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

/* buf_bytes: the content, borrowed until the next change of the buffer. */
static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->ptr, b->len};
}

#endif
