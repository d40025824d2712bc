/* http2_session.h - what http2.c (frames that come) and http2_answer.c (frames that go) share. */
#ifndef BASE_HTTP2_SESSION_H
#define BASE_HTTP2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "base/http/http2.h"
#include "base/http/http2_memory.h"

enum { HTTP2_ANSWER_CREDIT = 8, HTTP2_MOST_CREDIT = 10000 };

struct http2 {
    nghttp2_session *frames;
    struct http2_memory memory;   /* of frames */
    struct http_request *streams; /* owned; a list */
    int stream_count;
    int credit;          /* frames that may still come without moving anything */
    int64_t credited_ms; /* when time last gave some back */
    int64_t active_ms;   /* when a stream last began or ended */
    int64_t moved_ms;    /* when the socket last took bytes, as the deadline saw it */
    bool is_receiving;   /* nothing may be sent now: no stream ends */
    bool is_leaving;     /* told the peer to open no further streams */
    bool has_left;       /* and named the last stream */
};

struct http2_stream {
    int32_t id;
    struct buf out;      /* of the answer's body: not framed yet from out_at on */
    struct buf trailers; /* lines */
    size_t out_at;
    bool is_ended;  /* nothing more comes to out */
    bool is_paused; /* nghttp2 waits for more of out */
};

/* http2_flush: sends what is ready, as far as the socket's queue allows; closes the connection when nothing
 * is left to do on it. */
void http2_flush(struct http_request *c);

/* http2_end_unread: of a stream whose answer is out before its request was: tells the peer to stop. */
void http2_end_unread(struct http_request *stream);

#endif
