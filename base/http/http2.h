/* http2.h - HTTP/2 on a connection of the HTTP server: without TLS, recognised by its preface ("prior
 * knowledge"). Internal to http_server.c, http_connection.c and http_answer.c.
 *
 * Source: RFC 9113; the framing is nghttp2's. The connection's http_request carries the session and is no
 * request itself; each stream is an http_request of its own, so that a route sees no difference.
 *
 * Bounded: streams at a time, the bytes of a head, bodies (the server's in_flight_bytes; windows only tell
 * how much may be on its way), frames that move nothing (each takes of a credit that requests and time give
 * back: past it ENHANCE_YOUR_CALM), streams that are reset before their answer (nghttp2's own rate), what an
 * unreading peer leaves in the socket's queue, the age of a connection (GOAWAY, the streams go on).
 */
#ifndef BASE_HTTP2_H
#define BASE_HTTP2_H

#include "base/http/http_connection.h"

struct http2;
struct http2_stream;

enum http2_preface { HTTP2_NO, HTTP2_MORE, HTTP2_YES };

/* http2_recognise: whether a connection's first bytes are HTTP/2's preface; MORE: its beginning. */
enum http2_preface http2_recognise(struct bytes first);

/* http2_start: the connection c goes on in HTTP/2. The preface is still to be taken. 0, -ENOMEM. */
int http2_start(struct http_request *c);

/* http2_take: the connection's next bytes. */
void http2_take(struct http_request *c, struct bytes bytes);

/* http2_written: bytes left the socket's queue: there is room for more. */
void http2_written(struct http_request *c);

/* http2_half_close: the peer sends nothing more: closes when the last answer is out. */
void http2_half_close(struct http_request *c);

/* http2_expire: the deadline of the connection has passed; sets the next one. */
void http2_expire(struct http_request *c);

/* http2_stop: the server stops: GOAWAY, closes after the last answer. */
void http2_stop(struct http_request *c);

/* http2_drop: the routes of the connection's streams are told nothing any more. */
void http2_drop(struct http_request *c);

/* http2_free: of a connection whose socket is closed: ends its streams (on_gone) and its session. */
void http2_free(struct http_request *c);

/* http2_free_stream: what a stream holds besides its http_request. NULL is fine. */
void http2_free_stream(struct http2_stream *stream);

/* http2_answer: the whole answer of a stream. headers and trailers are "Name: value\r\n" lines or NULL. */
void http2_answer(struct http_request *stream, int status, const char *headers, const char *content_type,
                  struct bytes body, const char *trailers);

/* http2_refuse: an answer of the server's own; to a gRPC client in gRPC's form. */
void http2_refuse(struct http_request *stream, int status, const char *headers, const char *text);

/* http2_begin, http2_write, http2_end: an answer of unknown length; as http_stream_*. */
void http2_begin(struct http_request *stream, int status, const char *content_type);
size_t http2_write(struct http_request *stream, struct bytes chunk);
void http2_end(struct http_request *stream);

#endif
