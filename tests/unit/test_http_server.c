/* The HTTP server, over real sockets. */
#include <sys/stat.h>
#include <zlib.h>

#include "base/http/http_server.h"
#include "tests/unit/http_peer.h"

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *held; /* of /hold and /stream */
    int served, gone;
    int ended[HTTP_EVENT_TLS_UNUSABLE + 1];
    char text[256 * 1024];
};

static void serve_echo(struct http_request *request, void *ctx)
{
    struct world *w = ctx;
    w->served++;
    http_answer(request, 200, "X-Test: yes\r\n", "application/octet-stream", http_request_body(request));
}

static void serve_hello(struct http_request *request, void *ctx)
{
    struct world *w = ctx;
    char value[16];
    const char *name = http_request_param(request, "name", value, sizeof value);
    w->served++;
    http_answer_text(request, 200, name ? name : "hello");
}

static void on_gone(void *ctx)
{
    struct world *w = ctx;
    w->gone++;
    w->held = NULL;
}

static void serve_hold(struct http_request *request, void *ctx)
{
    struct world *w = ctx;
    w->held = request;
    http_request_on_gone(request, on_gone, w);
}

static void serve_orphan(struct http_request *request, void *ctx)
{
    struct world *w = ctx;
    w->held = request;
}

static void serve_stream(struct http_request *request, void *ctx)
{
    serve_hold(request, ctx);
    http_stream_begin(request, 200, "text/plain");
}

static void serve_peer(struct http_request *request, void *ctx)
{
    (void)ctx;
    http_answer_text(request, 200, http_request_peer(request));
}

static const struct http_route routes[] = {
    {"POST", "/echo", serve_echo},
    {"GET", "/hello", serve_hello},
    {"GET", "/hold", serve_hold},
    {"GET", "/orphan", serve_orphan},
    {"GET", "/stream", serve_stream},
    {"GET", "/peer", serve_peer},
    {0},
};

static const struct http_limits small_limits = {.head_bytes = 1000,
                                                .body_bytes = 100 * 1000,
                                                .raw_body_bytes = 200 * 1000,
                                                .in_flight_bytes = 300 * 1000,
                                                .connections = 3,
                                                .idle_ms = 60 * 1000,
                                                .request_ms = 60 * 1000};

static void on_event(void *ctx, enum http_event event, const char *words)
{
    struct world *w = ctx;
    (void)words;
    w->ended[event]++;
}

static struct world *open_world(const struct http_limits *limits)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(http_server_new(&w->loop, "127.0.0.1:0", routes, w, limits, &w->server), 0);
    assert_true(http_server_port(w->server) > 0);
    http_server_on_event(w->server, on_event);
    return w;
}

static void close_world(struct world *w)
{
    http_server_close(w->server);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
}

static int dial(struct world *w)
{
    return peer_connect(http_server_port(w->server));
}

/* Sends text on a fresh connection and returns all that comes until the server closes. */
static const char *ask_and_end(struct world *w, const char *text)
{
    int fd = dial(w);
    peer_say(&w->loop, fd, text);
    peer_read(&w->loop, fd, NULL, w->text, sizeof w->text);
    close(fd);
    return w->text;
}

static void assert_begins(const char *text, const char *beginning)
{
    if (strncmp(text, beginning, strlen(beginning)) != 0)
        fail_msg("\"%.200s\" does not begin with \"%s\"", text, beginning);
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%.300s\" does not hold \"%s\"", text, part);
}

static void test_http_server_keeps_a_connection_for_further_requests(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    for (int i = 0; i < 3; i++) {
        peer_say(&w->loop, fd, "GET /hello?x=1&name=a%20b+c HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_false(peer_read(&w->loop, fd, "a b c", w->text, sizeof w->text));
        assert_begins(w->text, "HTTP/1.1 200 OK\r\nDate: ");
        assert_holds(w->text, "Content-Length: 5\r\n");
    }
    close(fd);
    close_world(w);
}

static void test_http_server_answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd,
             "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
             "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
             "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
             "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_true(peer_read(&w->loop, fd, NULL, w->text, sizeof w->text));
    const char *one = strstr(w->text, "\r\n\r\none"), *two = strstr(w->text, "\r\n\r\ntwo");
    const char *none = strstr(w->text, "404 Not Found"), *hello = strstr(w->text, "hello");
    assert_true(one && two && none && hello && one < two && two < none && none < hello);
    close(fd);
    close_world(w);
}

static void test_http_server_takes_a_request_byte_by_byte(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++)
        peer_send(&w->loop, fd, text + i, 1);
    peer_read(&w->loop, fd, "hello world", w->text, sizeof w->text);
    assert_holds(w->text, "X-Test: yes\r\n");
    close(fd);
    close_world(w);
}

static size_t gzip(const void *raw, size_t raw_len, uint8_t *out, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)raw;
    z.avail_in = (uInt)raw_len;
    z.next_out = out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return size - z.avail_out;
}

/* Posts raw_len equal bytes as gzip (cut by cut bytes) and returns the answer's text. */
static const char *post_gzip(struct world *w, size_t raw_len, size_t cut)
{
    char head[200];
    char *raw = malloc(raw_len);
    uint8_t *zipped = malloc(raw_len + 100);
    memset(raw, 'z', raw_len);
    size_t len = gzip(raw, raw_len, zipped, raw_len + 100) - cut;
    snprintf(head, sizeof head,
             "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
             "Content-Length: %zu\r\n\r\n",
             len);
    int fd = dial(w);
    peer_say(&w->loop, fd, head);
    peer_send(&w->loop, fd, zipped, len);
    peer_read(&w->loop, fd, NULL, w->text, sizeof w->text);
    close(fd);
    free(raw), free(zipped);
    return w->text;
}

static void test_http_server_decompresses_gzip_bodies(void **state)
{
    (void)state;
    struct world *w = open_world(&small_limits);
    assert_holds(post_gzip(w, 150 * 1000, 0), "Content-Length: 150000\r\n");
    assert_holds(post_gzip(w, 200 * 1000, 0), "Content-Length: 200000\r\n"); /* exactly the limit */
    assert_begins(post_gzip(w, 150 * 1000, 1), "HTTP/1.1 400 ");
    close_world(w);
}

static void test_http_server_stops_a_decompression_bomb(void **state)
{
    (void)state;
    struct world *w = open_world(&small_limits);
    assert_begins(post_gzip(w, 200 * 1000 + 1, 0), "HTTP/1.1 413 ");
    assert_begins(post_gzip(w, 50 * 1000 * 1000, 0), "HTTP/1.1 413 ");
    assert_int_equal(w->served, 0);
    close_world(w);
}

static void test_http_server_refuses_by_the_head_alone(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer, *part;
    } cases[] = {
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n", "HTTP/1.1 413 ", ""},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n", "HTTP/1.1 413 ",
         ""},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Encoding: deflate\r\nContent-Length: 3\r\n\r\n",
         "HTTP/1.1 415 ", "Accept-Encoding: gzip, identity\r\n"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 417 ", ""},
        {"POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 404 ", ""},
        {"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 405 ",
         "Allow: GET, HEAD\r\n"},
        {"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 400 ", "Host"},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 ", ""},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 ", ""},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 400 ",
         ""},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 501 ", ""},
        {"GET /hello HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505 ", ""},
        {"\x16\x03\x01\x02", "HTTP/1.1 400 ", ""},
        {"PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n", "HTTP/1.1 400 ", ""},
        {"GET /hello HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", "HTTP/1.1 400 ", ""},
    };
    struct world *w = open_world(&small_limits);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = ask_and_end(w, cases[i].request);
        assert_begins(text, cases[i].answer);
        assert_holds(text, cases[i].part);
        assert_holds(text, "Connection: close\r\n");
    }
    assert_int_equal(w->served, 0);
    close_world(w);
}

static void test_http_server_refuses_a_head_past_its_limit(void **state)
{
    (void)state;
    struct world *w = open_world(&small_limits);
    char head[1200];
    int n = snprintf(head, sizeof head, "GET /hello HTTP/1.1\r\nHost: h\r\nX: ");
    memset(head + n, 'x', sizeof head - (size_t)n - 1);
    head[sizeof head - 1] = '\0';
    assert_begins(ask_and_end(w, head), "HTTP/1.1 431 ");
    close_world(w);
}

static void test_http_server_keeps_the_connection_after_404_and_405(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "not found\n", w->text, sizeof w->text);
    peer_say(&w->loop, fd, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "not allowed\n", w->text, sizeof w->text);
    assert_holds(w->text, "Allow: POST\r\n");
    peer_say(&w->loop, fd, "GET http://h/hello HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "hello", w->text, sizeof w->text);
    close(fd);
    close_world(w);
}

static void test_http_server_serves_head_without_a_body(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    const char *text = ask_and_end(w, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n"
                                      "HEAD /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_holds(text, "Content-Length: 5\r\n");
    assert_null(strstr(text, "hello"));
    assert_null(strstr(text, "not found\n"));
    close_world(w);
}

static void test_http_server_tells_the_peer_to_continue(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd,
             "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n");
    peer_read(&w->loop, fd, "HTTP/1.1 100 Continue\r\n\r\n", w->text, sizeof w->text);
    assert_int_equal(w->served, 0);
    peer_say(&w->loop, fd, "body");
    peer_read(&w->loop, fd, "\r\n\r\nbody", w->text, sizeof w->text);
    close(fd);
    close_world(w);
}

static void test_http_server_refuses_bodies_past_what_is_in_flight(void **state)
{
    (void)state;
    struct http_limits limits = small_limits;
    limits.in_flight_bytes = 100 * 1000;
    struct world *w = open_world(&limits);
    static char body[90 * 1000];
    int first = dial(w), second = dial(w);
    peer_say(&w->loop, first, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    peer_send(&w->loop, first, body, sizeof body - 1);
    PEER_WAIT(&w->loop, uv_run(&w->loop, UV_RUN_NOWAIT));
    peer_say(&w->loop, second, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    peer_send(&w->loop, second, body, sizeof body);
    peer_read(&w->loop, second, NULL, w->text, sizeof w->text);
    assert_begins(w->text, "HTTP/1.1 503 ");
    assert_holds(w->text, "Retry-After: 1\r\n");
    peer_send(&w->loop, first, body, 1);
    peer_read(&w->loop, first, "\r\n\r\n", w->text, sizeof w->text);
    assert_begins(w->text, "HTTP/1.1 200 ");
    close(first), close(second);
    close_world(w);
}

static const char hello[] = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

static bool says_hello(struct world *w, int fd)
{
    peer_say(&w->loop, fd, hello);
    peer_read(&w->loop, fd, "hello", w->text, sizeof w->text);
    return strstr(w->text, "hello");
}

static void wait_for_gone(struct world *w, int fd)
{
    char byte;
    PEER_WAIT(&w->loop, recv(fd, &byte, 1, MSG_DONTWAIT) == 0);
}

static void test_http_server_at_its_connection_limit_ends_what_never_asked_then_what_is_idle(void **state)
{
    (void)state;
    struct world *w = open_world(&small_limits);
    int served = dial(w);
    assert_true(says_hello(w, served));
    int silent = dial(w), slow = dial(w);
    peer_say(&w->loop, slow, "GET /hello HTTP/1.1\r\nHo");
    int fourth = dial(w);
    assert_true(says_hello(w, fourth)); /* the silent one, which is older, gives way */
    wait_for_gone(w, silent);
    int fifth = dial(w);
    assert_true(says_hello(w, fifth)); /* then the one that has not finished */
    wait_for_gone(w, slow);
    assert_true(says_hello(w, served));
    int sixth = dial(w);
    assert_true(says_hello(w, sixth)); /* then the one that was idle longest */
    wait_for_gone(w, fourth);
    assert_true(says_hello(w, served));
    assert_int_equal(w->ended[HTTP_EVENT_UNFINISHED_ENDED], 2);
    assert_int_equal(w->ended[HTTP_EVENT_IDLE_ENDED], 1);
    close(served), close(silent), close(slow), close(fourth), close(fifth), close(sixth);
    close_world(w);
}

static void test_http_server_at_its_connection_limit_waits_for_requests_that_are_served(void **state)
{
    (void)state;
    struct world *w = open_world(&small_limits);
    int held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = dial(w);
        w->held = NULL;
        peer_say(&w->loop, held[i], "GET /orphan HTTP/1.1\r\nHost: h\r\n\r\n");
        PEER_WAIT(&w->loop, w->held);
    }
    int waiting = dial(w); /* the kernel's queue takes it */
    peer_say(&w->loop, waiting, hello);
    PEER_WAIT(&w->loop, uv_run(&w->loop, UV_RUN_NOWAIT));
    assert_int_equal(w->served, 0);
    http_answer_text(w->held, 200, "held");
    peer_read(&w->loop, held[2], "held", w->text, sizeof w->text);
    close(held[2]);
    peer_read(&w->loop, waiting, "hello", w->text, sizeof w->text);
    assert_int_equal(w->served, 1);
    close(held[0]), close(held[1]), close(waiting);
    close_world(w);
}

static void test_http_server_takes_the_room_of_a_stalled_body_for_another(void **state)
{
    (void)state;
    struct http_limits limits = small_limits;
    limits.in_flight_bytes = 100 * 1000;
    struct world *w = open_world(&limits);
    static char body[90 * 1000];
    int stalled = dial(w), other = dial(w), second = dial(w);
    peer_say(&w->loop, stalled, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    peer_send(&w->loop, stalled, body, sizeof body - 1);
    int64_t began = clock_mono_ns(); /* what the server calls stalled is a matter of time */
    PEER_WAIT(&w->loop, clock_mono_ns() - began > INT64_C(700000000));
    peer_say(&w->loop, other, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    peer_send(&w->loop, other, body, sizeof body);
    peer_read(&w->loop, other, "\r\n\r\n", w->text, sizeof w->text);
    assert_begins(w->text, "HTTP/1.1 200 ");
    peer_read(&w->loop, stalled, NULL, w->text, sizeof w->text);
    assert_begins(w->text, "HTTP/1.1 503 ");
    assert_holds(w->text, "Retry-After: 1\r\n");
    assert_int_equal(w->ended[HTTP_EVENT_STALLED_ENDED], 1);
    close(stalled), close(other), close(second);
    close_world(w);
}

static void test_http_server_ends_slow_requests_and_idle_connections(void **state)
{
    (void)state;
    struct http_limits limits = small_limits;
    limits.idle_ms = 300;
    limits.request_ms = 100;
    struct world *w = open_world(&limits);
    int idle = dial(w), slow = dial(w), stuck = dial(w);
    int64_t began = clock_mono_ns();
    peer_say(&w->loop, slow, "GET /hello HT");
    peer_say(&w->loop, stuck, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12");
    assert_true(peer_read(&w->loop, slow, NULL, w->text, sizeof w->text));
    assert_begins(w->text, "HTTP/1.1 408 ");
    assert_true(peer_read(&w->loop, stuck, NULL, w->text, sizeof w->text));
    assert_begins(w->text, "HTTP/1.1 408 ");
    assert_true(peer_read(&w->loop, idle, NULL, w->text, sizeof w->text));
    assert_string_equal(w->text, "");
    assert_true(clock_mono_ns() - began >= 290 * INT64_C(1000000));
    close(idle), close(slow), close(stuck);
    close_world(w);
}

static void test_http_server_tells_that_a_peer_vanished(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    PEER_WAIT(&w->loop, w->held);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    PEER_WAIT(&w->loop, w->gone == 1);
    close_world(w);
}

static void test_http_server_keeps_a_request_without_on_gone_until_it_is_answered(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /orphan HTTP/1.1\r\nHost: h\r\n\r\n");
    PEER_WAIT(&w->loop, w->held);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    PEER_WAIT(&w->loop, *http_request_peer(w->held) == '\0'); /* the socket is gone */
    assert_string_equal(http_request_path(w->held), "/orphan");
    http_answer_text(w->held, 200, "nobody hears it");
    close_world(w);
}

static void test_http_server_answers_a_half_closed_peer(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    shutdown(fd, SHUT_WR);
    PEER_WAIT(&w->loop, w->held);
    for (int i = 0; i < 20; i++)
        peer_turn(&w->loop); /* the end of the peer's side has come by now */
    assert_int_equal(w->gone, 0);
    http_answer_text(w->held, 200, "after all");
    assert_true(peer_read(&w->loop, fd, NULL, w->text, sizeof w->text));
    assert_holds(w->text, "after all");
    close(fd);
    close_world(w);
}

static void test_http_server_streams_chunks_until_the_peer_leaves(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    PEER_WAIT(&w->loop, w->held);
    http_stream_write(w->held, bytes_of_string("first"));
    peer_read(&w->loop, fd, "5\r\nfirst\r\n", w->text, sizeof w->text);
    assert_holds(w->text, "Transfer-Encoding: chunked\r\n");
    http_stream_end(w->held);
    peer_read(&w->loop, fd, "0\r\n\r\n", w->text, sizeof w->text);
    peer_say(&w->loop, fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "\r\n\r\n", w->text, sizeof w->text);
    close(fd);
    PEER_WAIT(&w->loop, w->gone == 1);
    close_world(w);
}

static void test_http_server_tells_how_much_a_slow_reader_leaves(void **state)
{
    (void)state;
    struct http_limits limits = small_limits;
    limits.request_ms = 100;
    struct world *w = open_world(&limits);
    static uint8_t chunk[256 * 1024];
    int fd = dial(w);
    peer_say(&w->loop, fd, "GET /stream HTTP/1.0\r\n\r\n");
    PEER_WAIT(&w->loop, w->held);
    size_t queued = 0;
    for (int i = 0; i < 200 && queued == 0; i++)
        queued = http_stream_write(w->held, (struct bytes){chunk, sizeof chunk});
    assert_true(queued > 0);
    PEER_WAIT(&w->loop, w->gone == 1); /* takes nothing for request_ms */
    close(fd);
    close_world(w);
}

static void test_http_server_speaks_1_0(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    assert_holds(ask_and_end(w, "GET /hello HTTP/1.0\r\n\r\n"), "hello");
    int fd = dial(w);
    for (int i = 0; i < 2; i++) {
        peer_say(&w->loop, fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_false(peer_read(&w->loop, fd, "hello", w->text, sizeof w->text));
        assert_holds(w->text, "Connection: keep-alive\r\n");
    }
    close(fd);
    close_world(w);
}

static void test_http_server_stop_lets_answers_out(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    int busy = dial(w), idle = dial(w);
    peer_say(&w->loop, idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, idle, "hello", w->text, sizeof w->text);
    peer_say(&w->loop, busy, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    PEER_WAIT(&w->loop, w->held);
    http_server_stop(w->server);
    assert_true(peer_read(&w->loop, idle, NULL, w->text, sizeof w->text));
    http_answer_text(w->held, 200, "late");
    assert_true(peer_read(&w->loop, busy, NULL, w->text, sizeof w->text));
    assert_holds(w->text, "Connection: close\r\n");
    assert_holds(w->text, "late");
    close(busy), close(idle);
    close_world(w);
}

static void test_http_server_listens_on_a_private_unix_socket(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    struct http_server *server, *second;
    char folder[] = "/tmp/http-unix-XXXXXX", address[64];
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/s", folder);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s/s", folder);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0); /* as a killed program leaves it */
    assert_int_equal(bind(stale, (struct sockaddr *)&to, sizeof to), 0);
    close(stale);
    assert_int_equal(http_server_new(&w->loop, address, routes, w, NULL, &server), 0);
    assert_int_equal(http_server_new(&w->loop, address, routes, w, NULL, &second), -EADDRINUSE);
    struct stat st;
    assert_int_equal(stat(to.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    peer_say(&w->loop, fd, "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "\r\n\r\nunix", w->text, sizeof w->text);
    close(fd);
    http_server_close(server);
    PEER_WAIT(&w->loop, stat(to.sun_path, &st) < 0);
    assert_int_equal(rmdir(folder), 0);
    close_world(w);
}

static void test_http_server_names_what_is_wrong_with_an_address(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    struct http_server *server = NULL;
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(w->server));
    assert_int_equal(http_server_new(&w->loop, taken, routes, w, NULL, &server), -EADDRINUSE);
    assert_int_equal(http_server_new(&w->loop, "localhost", routes, w, NULL, &server), -EINVAL);
    assert_int_equal(http_server_new(&w->loop, "127.0.0.1:http", routes, w, NULL, &server), -EINVAL);
    assert_null(server);
    close_world(w);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_server_keeps_a_connection_for_further_requests),
        cmocka_unit_test(test_http_server_answers_pipelined_requests_in_order),
        cmocka_unit_test(test_http_server_takes_a_request_byte_by_byte),
        cmocka_unit_test(test_http_server_decompresses_gzip_bodies),
        cmocka_unit_test(test_http_server_stops_a_decompression_bomb),
        cmocka_unit_test(test_http_server_refuses_by_the_head_alone),
        cmocka_unit_test(test_http_server_refuses_a_head_past_its_limit),
        cmocka_unit_test(test_http_server_keeps_the_connection_after_404_and_405),
        cmocka_unit_test(test_http_server_serves_head_without_a_body),
        cmocka_unit_test(test_http_server_tells_the_peer_to_continue),
        cmocka_unit_test(test_http_server_refuses_bodies_past_what_is_in_flight),
        cmocka_unit_test(test_http_server_at_its_connection_limit_ends_what_never_asked_then_what_is_idle),
        cmocka_unit_test(test_http_server_at_its_connection_limit_waits_for_requests_that_are_served),
        cmocka_unit_test(test_http_server_takes_the_room_of_a_stalled_body_for_another),
        cmocka_unit_test(test_http_server_ends_slow_requests_and_idle_connections),
        cmocka_unit_test(test_http_server_tells_that_a_peer_vanished),
        cmocka_unit_test(test_http_server_keeps_a_request_without_on_gone_until_it_is_answered),
        cmocka_unit_test(test_http_server_answers_a_half_closed_peer),
        cmocka_unit_test(test_http_server_streams_chunks_until_the_peer_leaves),
        cmocka_unit_test(test_http_server_tells_how_much_a_slow_reader_leaves),
        cmocka_unit_test(test_http_server_speaks_1_0),
        cmocka_unit_test(test_http_server_stop_lets_answers_out),
        cmocka_unit_test(test_http_server_listens_on_a_private_unix_socket),
        cmocka_unit_test(test_http_server_names_what_is_wrong_with_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
