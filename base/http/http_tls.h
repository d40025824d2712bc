/* http_tls.h - TLS of the HTTP server's listeners: a certificate that is read again when its files change,
 * and the bytes of each connection, with no socket in it. Internal to http_server.c and http_connection.c.
 *
 * Sources: RFC 8446 and RFC 5246 (nothing older than TLS 1.2), RFC 7301 (ALPN: h2, then http/1.1; a client
 * that names others only is refused, one that names none speaks HTTP/1.1), RFC 9113 section 3.2. No
 * renegotiation, no tickets, no cache of sessions. OpenSSL keeps no read or write buffer of a connection at
 * rest; what a call decrypts or encrypts is in memory of the listener until the next call for any of its
 * connections. Loop thread only.
 */
#ifndef BASE_HTTP_TLS_H
#define BASE_HTTP_TLS_H

#include "base/buf.h"
#include "base/http/http_server.h"

struct http_tls;        /* of a listener */
struct http_tls_stream; /* of a connection */

enum {
    HTTP_TLS_WORDS = 200,
    HTTP_TLS_TAKE_BYTES = 44 * 1024, /* at most so many at a time */
    HTTP_TLS_GIVE_BYTES = 64 * 1024, /* what they come to at most, with a record that had begun */
};

enum http_tls_event {
    HTTP_TLS_MORE,   /* plain is what there is, perhaps nothing */
    HTTP_TLS_ENDED,  /* plain is the last: the peer has said that nothing more comes */
    HTTP_TLS_FAILED, /* to be closed after what is to be sent; words say why */
};

/* http_tls_new: reads the files (paths are borrowed). 0, -ENOMEM, -ENOENT: OpenSSL is not there, -EINVAL: a
 * file cannot be used; words say which. */
int http_tls_new(const struct http_tls_files *files, struct http_tls **ret_tls, char *words,
                 size_t words_size);
void http_tls_free(struct http_tls *tls); /* after all its streams; NULL is fine */

/* http_tls_renew: looks at the files, at most once a second. 0: as they were; 1: connections from now on have
 * what they say; -EINVAL: they changed and cannot be used; it goes on as before (words say why; told once a
 * change). */
int http_tls_renew(struct http_tls *tls, int64_t now_ms, char *words, size_t words_size);

/* http_tls_open: a connection's; NULL: memory. http_tls_close: NULL is fine. */
struct http_tls_stream *http_tls_open(struct http_tls *tls);
void http_tls_close(struct http_tls_stream *stream);

/* http_tls_take: bytes from the peer. http_tls_give: bytes for it; -EIO: cannot be encrypted any more.
 * http_tls_end: says that nothing more comes. After each, what http_tls_out has is to be sent at once. */
enum http_tls_event http_tls_take(struct http_tls *tls, struct http_tls_stream *stream, struct bytes bytes,
                                  struct bytes *ret_plain, char *words, size_t words_size);
int http_tls_give(struct http_tls_stream *stream, struct bytes plain);
void http_tls_end(struct http_tls_stream *stream);
struct bytes http_tls_out(struct http_tls *tls);
void http_tls_sent(struct http_tls *tls); /* forgets it */

/* http_tls_is_open: the handshake is done. http_tls_is_http2: and h2 was agreed. */
bool http_tls_is_open(const struct http_tls_stream *stream);
bool http_tls_is_http2(const struct http_tls_stream *stream);

#endif
