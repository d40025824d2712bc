/* http_body.h - takes the bytes of one HTTP body, decodes its content coding, keeps every limit.
 *
 * Memory is taken only for bytes that arrived, and only after the limits were checked: the body as sent, the
 * body after decompression (a bomb stops there), and the room that the owner grants at the moment. Pure: no
 * I/O. Any thread, one at a time.
 */
#ifndef BASE_HTTP_BODY_H
#define BASE_HTTP_BODY_H

#include "base/buf.h"

struct z_stream_s;

enum http_coding { HTTP_IDENTITY, HTTP_GZIP };

enum { HTTP_INFLATE_BYTES = 48 * 1024 }; /* what zlib holds while a gzip body is under way, rounded up */

struct http_body {
    struct buf bytes;           /* decoded */
    struct z_stream_s *inflate; /* owned; NULL but while a gzip body is under way */
    enum http_coding coding;
    size_t sent_max, raw_max; /* limits of the body as sent and decoded */
    size_t sent;              /* bytes taken so far, as sent */
    size_t expected;          /* its length as sent, when that was announced; else SIZE_MAX */
    size_t room;              /* what the owner lets it hold in all at the moment */
    bool member_ended;        /* gzip: the last member is complete */
};

/* http_body_init: an empty identity body with room without end. Allocates nothing. */
void http_body_init(struct http_body *b, size_t sent_max, size_t raw_max);

/* http_body_fini: frees; safe on a zeroed body. */
void http_body_fini(struct http_body *b);

/* http_body_reset: empty again under the same limits; gives all memory back. */
void http_body_reset(struct http_body *b);

/* http_body_parse_coding: a Content-Encoding value ("", "identity", "gzip", "x-gzip"; any case). 0 or
 * -ENOTSUP. */
int http_body_parse_coding(const char *value, enum http_coding *ret_coding);

/* http_body_expect: its length as sent was announced; an identity body then takes no memory beyond it. */
void http_body_expect(struct http_body *b, size_t len);

/* http_body_allow: the body may hold room bytes in all (http_body_held) from now on. */
void http_body_allow(struct http_body *b, size_t room);

/* http_body_held: bytes of memory that it holds now. */
size_t http_body_held(const struct http_body *b);

/* http_body_take: the next bytes as sent. 0; -EMSGSIZE past a limit, -ENOBUFS past the room, -EBADMSG when
 * they are not of the coding, -ENOMEM. */
int http_body_take(struct http_body *b, struct bytes chunk);

/* http_body_finish: the body is complete. 0, or -EBADMSG when its gzip stream is cut short. */
int http_body_finish(struct http_body *b);

#endif
