/* http2_memory.h - the memory of an HTTP/2 session of nghttp2.
 *
 * nghttp2 gives every session a block of 16 KiB for the frames it writes, of which the answers of a request
 * touch a few hundred bytes. On the heap such a block lies between others and becomes resident as a whole
 * with what was there before; as a mapping of its own only its touched pages are: 4 KiB. Everything else is
 * malloc's.
 */
#ifndef BASE_HTTP2_MEMORY_H
#define BASE_HTTP2_MEMORY_H

#include <nghttp2/nghttp2.h>

/* One session's; zeroed at first. Stays where it is as long as the session. */
struct http2_memory {
    void *block; /* owned by the session */
    size_t block_bytes;
};

/* http2_memory_calls: the functions for nghttp2_session_server_new3; memory is borrowed. */
nghttp2_mem http2_memory_calls(struct http2_memory *memory);

#endif
