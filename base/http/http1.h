/* http1.h - HTTP/1.x messages from bytes: feed bytes, get events. No sockets; fuzzed as it stands.
 *
 * Source: RFC 9110, RFC 9112; the grammar is http-parser's. Refused, with the status that a server answers:
 * what is no HTTP/1.x (400, 505), a 1.1 request without exactly one Host (400), both Content-Length and
 * Transfer-Encoding (400), a transfer coding besides chunked (501), heads (431) and bodies (413) past their
 * limits, content codings besides gzip (415), expectations besides 100-continue (417), no room for the body
 * at the moment (503).
 *
 *   feed -> MORE ... HEAD ... DONE, then http1_next() -> feed ...     REFUSED ends the connection
 */
#ifndef BASE_HTTP1_H
#define BASE_HTTP1_H

#include <http_parser.h>

#include "base/http/http_body.h"

enum http1_role { HTTP1_REQUESTS, HTTP1_RESPONSES };

enum http1_event {
    HTTP1_MORE,    /* all bytes taken, nothing complete */
    HTTP1_HEAD,    /* the head is complete; the rest of the bytes is still to be fed */
    HTTP1_DONE,    /* the message is complete; what is left of the bytes belongs to the next one */
    HTTP1_REFUSED, /* error, status and reason tell why; nothing more may be fed */
};

struct http1_limits {
    size_t head_bytes, body_bytes, raw_body_bytes;
};

struct http1 {
    http_parser parser;
    enum http1_role role;
    const struct http1_limits *limits; /* borrowed */
    struct buf head;                   /* target NUL (name NUL value NUL)* */
    size_t headers_at;                 /* where the first name is in head */
    struct http_body body;
    int part;               /* what the parser told of last */
    enum http1_event event; /* of the pause under way */
    bool is_complete;       /* of an HTTP/2 stream: its head is, what follows are trailers */
    bool wants_continue;    /* the peer waits for 100 before it sends the body */
    int error;              /* refused: a negative errno */
    int status;             /* refused: for the answer */
    const char *reason;     /* refused: constant text */
};

/* http1_init: limits are borrowed. Allocates nothing. */
void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits);

/* http1_fini: frees; safe on a zeroed struct. */
void http1_fini(struct http1 *h);

/* http1_feed: takes bytes off *rest until something happened. */
enum http1_event http1_feed(struct http1 *h, struct bytes *rest);

/* http1_end: the peer will send nothing more: HTTP1_DONE when that ends a message (a response until close),
 * HTTP1_MORE between messages, else HTTP1_REFUSED. */
enum http1_event http1_end(struct http1 *h);

/* http1_next: forgets the message and gives its memory back. */
void http1_next(struct http1 *h);

/* A head that came otherwise (HTTP/2): its target, then its headers, under the same limit; past it status is
 * 431 and the head is as it was. http1_check_coding reads Content-Encoding. http1_refuse_body: status and
 * reason for an error of http_body. All return 0, or -1 with status set. */
int http1_put_target(struct http1 *h, struct bytes target);
int http1_put_header(struct http1 *h, struct bytes name, struct bytes value);
int http1_check_coding(struct http1 *h);
int http1_refuse_body(struct http1 *h, int err);

/* Of the message, from HTTP1_HEAD on; borrowed until http1_next. */
const char *http1_target(const struct http1 *h);                   /* as sent */
const char *http1_header(const struct http1 *h, const char *name); /* first of that name; NULL when none */
int http1_count_headers(const struct http1 *h, const char *name);  /* how many of that name */
bool http1_has_body(const struct http1 *h);                        /* one is announced */
bool http1_keeps_alive(const struct http1 *h);                     /* at HTTP1_DONE: another may follow */

#endif
