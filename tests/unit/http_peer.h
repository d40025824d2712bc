/* http_peer.h - a plain client socket and a libuv loop in one thread, for tests of HTTP servers: everything
 * waits for a condition while the loop turns, at most 10 s. */
#ifndef TESTS_UNIT_HTTP_PEER_H
#define TESTS_UNIT_HTTP_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/unit/unit.h"

enum { PEER_PATIENCE_S = 10 };

static inline bool peer_is_late(int64_t began_ns)
{
    return clock_mono_ns() - began_ns > PEER_PATIENCE_S * INT64_C(1000000000);
}

static inline void peer_turn(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_NOWAIT);
    usleep(200); /* gives way; no condition rests on it */
}

static inline int peer_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void peer_send(uv_loop_t *loop, int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    int64_t began = clock_mono_ns();
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the server gave up; its answer tells */
        }
        peer_turn(loop);
        assert_false(peer_is_late(began));
    }
}

static inline void peer_say(uv_loop_t *loop, int fd, const char *text)
{
    peer_send(loop, fd, text, strlen(text));
}

/* Reads into text (NUL-terminated) until it holds needle, or (needle NULL) until the server closes. Returns
 * whether the connection ended. */
static inline bool peer_read(uv_loop_t *loop, int fd, const char *needle, char *text, size_t size)
{
    size_t len = 0;
    int64_t began = clock_mono_ns();
    for (text[0] = '\0'; !needle || !strstr(text, needle); peer_turn(loop)) {
        ssize_t n = recv(fd, text + len, size - 1 - len, MSG_DONTWAIT);
        if (n > 0)
            text[len += (size_t)n] = '\0';
        else if (n == 0 || errno != EAGAIN)
            return true;
        assert_true(len < size - 1);
        if (peer_is_late(began))
            fail_msg("waited %d s for \"%s\"; got \"%s\"", PEER_PATIENCE_S, needle ? needle : "the end",
                     text);
    }
    return false;
}

/* Turns the loop until condition holds. */
#define PEER_WAIT(loop, condition)                                                                           \
    do {                                                                                                     \
        int64_t began_ = clock_mono_ns();                                                                    \
        while (!(condition)) {                                                                               \
            peer_turn(loop);                                                                                 \
            if (peer_is_late(began_))                                                                        \
                fail_msg("waited %d s for " #condition, PEER_PATIENCE_S);                                    \
        }                                                                                                    \
    } while (0)

#endif
