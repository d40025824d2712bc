/* HTTP/2 on the HTTP server, by a client of nghttp2 over a real socket, and by bytes that no client sends. */
#include <nghttp2/nghttp2.h>

#include "base/http/grpc.h"
#include "base/http/http_server.h"
#include "tests/unit/http_peer.h"

enum { MOST_STREAMS = 300 };

struct answer { /* what came on one stream */
    char head[4096], trailers[4096];
    struct buf body;
    bool is_over, has_body;
    uint32_t code;
};

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *held[MOST_STREAMS];
    int held_count, gone;
    int fd;
    bool is_closed;
    nghttp2_session *client;
    struct answer answers[2 * MOST_STREAMS]; /* by stream id */
    int last_goaway;
    uint32_t goaway_code;
};

/* Routes */

static void serve_echo(struct http_request *request, void *ctx)
{
    (void)ctx;
    assert_true(http_request_is_http2(request));
    http_answer_trailers(request, 200, "X-Test: yes\r\n", http_request_header(request, "content-type"),
                         http_request_body(request), "Grpc-Status: 0\r\n");
}

static void serve_hello(struct http_request *request, void *ctx)
{
    char storage[16];
    const char *name = http_request_param(request, "name", storage, sizeof storage);
    (void)ctx;
    http_answer_text(request, 200, name ? name : http_request_peer(request));
}

static void on_gone(void *ctx)
{
    struct world *w = ctx;
    w->gone++;
}

static void serve_hold(struct http_request *request, void *ctx)
{
    struct world *w = ctx;
    w->held[w->held_count++] = request;
    http_request_on_gone(request, on_gone, w);
}

static void serve_stream(struct http_request *request, void *ctx)
{
    (void)ctx;
    char block[1000];
    memset(block, 's', sizeof block);
    http_stream_begin(request, 200, "text/plain");
    for (int i = 0; i < 500; i++)
        http_stream_write(request, (struct bytes){(const uint8_t *)block, sizeof block});
    http_stream_end(request);
}

static const struct http_route routes[] = {
    {"POST", "/echo", serve_echo}, {"GET", "/hello", serve_hello},   {"GET", "/hold", serve_hold},
    {"POST", "/hold", serve_hold}, {"GET", "/stream", serve_stream}, {0},
};

/* The client */

static ssize_t client_send(nghttp2_session *session, const uint8_t *at, size_t len, int flags, void *ctx)
{
    struct world *w = ctx;
    (void)session, (void)flags;
    ssize_t n = send(w->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? NGHTTP2_ERR_WOULDBLOCK : n;
}

static int client_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct world *w = ctx;
    struct answer *a = &w->answers[frame->hd.stream_id];
    char *to = a->has_body ? a->trailers : a->head;
    size_t len = strlen(to);
    (void)session, (void)flags;
    snprintf(to + len, sizeof a->head - len, "%.*s: %.*s\n", (int)name_len, (const char *)name,
             (int)value_len, (const char *)value);
    return 0;
}

static int client_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at, size_t len,
                       void *ctx)
{
    struct world *w = ctx;
    (void)session, (void)flags;
    return buf_append(&w->answers[id].body, at, len);
}

static int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct world *w = ctx;
    (void)session;
    if (frame->hd.type == NGHTTP2_DATA)
        w->answers[frame->hd.stream_id].has_body = true;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        w->last_goaway = frame->goaway.last_stream_id;
        w->goaway_code = frame->goaway.error_code;
    }
    return 0;
}

static int client_end(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct world *w = ctx;
    (void)session;
    w->answers[id].is_over = true;
    w->answers[id].code = code;
    return 0;
}

static void turn_client(struct world *w)
{
    uint8_t bytes[16 * 1024];
    nghttp2_session_send(w->client);
    ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        assert_true(nghttp2_session_mem_recv(w->client, bytes, (size_t)n) == n);
    else if (n == 0 || errno != EAGAIN)
        w->is_closed = true;
    peer_turn(&w->loop);
}

#define CLIENT_WAIT(w, condition)                                                                            \
    for (int64_t began_ = clock_mono_ns(); !(condition); turn_client(w))                                     \
        if (peer_is_late(began_))                                                                            \
    fail_msg("waited for " #condition)

static struct world *open_server(const struct http_limits *limits)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->last_goaway = -1;
    for (int i = 0; i < 2 * MOST_STREAMS; i++)
        buf_init(&w->answers[i].body, 8 << 20);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(http_server_new(&w->loop, "127.0.0.1:0", routes, w, limits, &w->server), 0);
    w->fd = peer_connect(http_server_port(w->server));
    return w;
}

static struct world *open_world(const struct http_limits *limits)
{
    struct world *w = open_server(limits);
    nghttp2_session_callbacks *calls;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_send_callback(calls, client_send);
    nghttp2_session_callbacks_set_on_header_callback(calls, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, client_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, client_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, client_end);
    assert_int_equal(nghttp2_session_client_new(&w->client, calls, w), 0);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(w->client, NGHTTP2_FLAG_NONE, NULL, 0);
    return w;
}

static void close_world(struct world *w)
{
    close(w->fd);
    http_server_close(w->server);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    nghttp2_session_del(w->client);
    for (int i = 0; i < 2 * MOST_STREAMS; i++)
        buf_fini(&w->answers[i].body);
    free(w);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    struct bytes *rest = source->ptr;
    size_t n = rest->len < size ? rest->len : size;
    (void)session, (void)id, (void)ctx;
    if (n)
        memcpy(to, rest->ptr, n);
    *rest = bytes_skip(*rest, n);
    if (!rest->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* body: NULL for none; it must live until it is sent. extra: one more field, or NULL. */
static struct answer *ask(struct world *w, const char *method, const char *path, struct bytes *body,
                          const char *extra, const char *value)
{
    nghttp2_nv nv[5] = {field(":method", method), field(":scheme", "http"), field(":path", path),
                        field(":authority", "h")};
    nghttp2_data_provider provider = {.source.ptr = body, .read_callback = give_body};
    size_t count = 4;
    if (extra)
        nv[count++] = field(extra, value);
    int id = nghttp2_submit_request(w->client, NULL, nv, count, body ? &provider : NULL, NULL);
    assert_true(id > 0 && id < 2 * MOST_STREAMS);
    return &w->answers[id];
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%.300s\" does not hold \"%s\"", text, part);
}

static void wait_status(struct world *w, struct answer *a, const char *status)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, ":status: %s\n", status);
    CLIENT_WAIT(w, a->is_over);
    if (!a->head[0])
        fail_msg("no answer but %u, GOAWAY %u", a->code, w->goaway_code);
    assert_holds(a->head, wanted);
}

static void test_http2_serves_the_same_routes_with_trailers(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    struct bytes body = bytes_of_string("hello"), none = {0};
    struct answer *echo = ask(w, "POST", "/echo", &body, "content-type", "application/grpc");
    struct answer *empty = ask(w, "POST", "/echo", &none, "content-type", "application/grpc");
    struct answer *hello = ask(w, "GET", "/hello?name=a%20b", NULL, NULL, NULL);
    struct answer *peer = ask(w, "GET", "/hello", NULL, NULL, NULL);
    struct answer *head = ask(w, "HEAD", "/hello?name=four", NULL, NULL, NULL);
    wait_status(w, echo, "200");
    assert_holds(echo->head, "x-test: yes\n");
    assert_true(bytes_equal(buf_bytes(&echo->body), bytes_of_string("hello")));
    assert_string_equal(echo->trailers, "grpc-status: 0\n");
    wait_status(w, empty, "200");
    assert_holds(empty->has_body ? empty->trailers : empty->head, "grpc-status: 0\n");
    wait_status(w, hello, "200");
    assert_true(bytes_equal(buf_bytes(&hello->body), bytes_of_string("a b")));
    assert_holds(hello->head, "content-length: 3\n");
    wait_status(w, peer, "200");
    assert_memory_equal(peer->body.ptr, "127.0.0.1:", 10);
    wait_status(w, head, "200");
    assert_holds(head->head, "content-length: 4\n");
    assert_int_equal(head->body.len, 0);
    close_world(w);
}

static void test_http2_moves_bodies_larger_than_its_windows(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    size_t len = 3 << 20;
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    struct bytes body = {bytes, len}, rest = body;
    struct answer *echo = ask(w, "POST", "/echo", &rest, NULL, NULL);
    struct answer *stream = ask(w, "GET", "/stream", NULL, NULL, NULL);
    wait_status(w, echo, "200");
    assert_true(bytes_equal(buf_bytes(&echo->body), body));
    wait_status(w, stream, "200");
    assert_int_equal(stream->body.len, 500 * 1000);
    free(bytes);
    close_world(w);
}

static void test_http2_refuses_as_http1_does(void **state)
{
    (void)state;
    struct http_limits limits = {.head_bytes = 1000, .body_bytes = 1000, .raw_body_bytes = 1000};
    struct world *w = open_world(&limits);
    char large[2000];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    struct bytes body = bytes_of_string(large), same = body, bad = bytes_of_string("no gzip"), again = bad;
    struct answer *none = ask(w, "GET", "/none", NULL, NULL, NULL);
    struct answer *method = ask(w, "DELETE", "/echo", NULL, NULL, NULL);
    struct answer *strange = ask(w, "BREW", "/echo", NULL, NULL, NULL);
    struct answer *size = ask(w, "POST", "/echo", &body, NULL, NULL);
    struct answer *said = ask(w, "POST", "/echo", &same, "content-length", "1999");
    struct answer *head = ask(w, "GET", "/hello", NULL, "x-large", large);
    struct answer *coding = ask(w, "POST", "/echo", &bad, "content-encoding", "br");
    struct answer *gzip = ask(w, "POST", "/echo", &again, "content-encoding", "gzip");
    wait_status(w, none, "404");
    wait_status(w, method, "405");
    assert_holds(method->head, "allow: POST\n");
    wait_status(w, strange, "405");
    wait_status(w, size, "413");
    wait_status(w, said, "413");
    wait_status(w, head, "431");
    wait_status(w, coding, "415");
    wait_status(w, gzip, "400");
    close_world(w);
}

static void test_http2_refuses_grpc_clients_in_their_form(void **state)
{
    (void)state;
    struct http_limits limits = {.body_bytes = 1000, .raw_body_bytes = 1000};
    struct world *w = open_world(&limits);
    char large[2000] = "";
    struct bytes body = {(const uint8_t *)large, sizeof large}, small = bytes_of_string("x");
    struct answer *none = ask(w, "POST", "/a.B/C", &small, "content-type", "application/grpc+proto");
    struct answer *size = ask(w, "POST", "/echo", &body, "content-type", "application/grpc");
    wait_status(w, none, "200");
    assert_holds(none->head, "grpc-status: 12\n");
    wait_status(w, size, "200");
    assert_holds(size->head, "grpc-status: 8\n");
    assert_null(strstr(size->head, "grpc-status-details-bin"));
    close_world(w);
}

static void test_http2_bounds_all_bodies_together(void **state)
{
    (void)state;
    struct http_limits limits = {.body_bytes = 300 * 1000, .in_flight_bytes = 200 * 1000};
    struct world *w = open_world(&limits);
    char *large = calloc(1, 150 * 1000);
    struct bytes one = {(const uint8_t *)large, 150 * 1000}, two = one, three = one;
    struct answer *first = ask(w, "POST", "/hold", &one, NULL, NULL);
    CLIENT_WAIT(w, w->held_count == 1);
    struct answer *second = ask(w, "POST", "/echo", &two, NULL, NULL);
    wait_status(w, second, "503");
    assert_holds(second->head, "retry-after: 1\n");
    http_answer_text(w->held[0], 200, "done");
    wait_status(w, first, "200");
    struct answer *third = ask(w, "POST", "/echo", &three, NULL, NULL);
    wait_status(w, third, "200"); /* the room came back */
    free(large);
    close_world(w);
}

static void test_http2_tells_routes_of_streams_that_are_gone(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    for (int i = 0; i < 3; i++)
        ask(w, "GET", "/hold", NULL, NULL, NULL);
    CLIENT_WAIT(w, w->held_count == 3);
    nghttp2_submit_rst_stream(w->client, NGHTTP2_FLAG_NONE, 3, NGHTTP2_CANCEL);
    CLIENT_WAIT(w, w->gone == 1);
    http_answer_text(w->held[0], 200, "first");
    wait_status(w, &w->answers[1], "200");
    shutdown(w->fd, SHUT_RDWR);
    close(w->fd);
    PEER_WAIT(&w->loop, w->gone == 1 || w->gone == 2); /* half-closed: the last one may still be answered */
    if (w->gone == 1)
        http_answer_text(w->held[2], 200, "late");
    close_world(w);
}

static void test_http2_serves_no_more_streams_than_its_limit(void **state)
{
    (void)state;
    struct http_limits limits = {.streams = 4};
    struct world *w = open_world(&limits);
    CLIENT_WAIT(w,
                nghttp2_session_get_remote_settings(w->client, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) == 4);
    for (int i = 0; i < 10; i++)
        ask(w, "GET", "/hold", NULL, NULL, NULL);
    CLIENT_WAIT(w, w->held_count == 4);
    for (int i = 0; i < 50; i++)
        turn_client(w);
    assert_int_equal(w->held_count, 4);
    for (int i = 0; i < 10; i++) {
        CLIENT_WAIT(w, w->held_count > i);
        http_answer_text(w->held[i], 200, "done");
    }
    for (int i = 0; i < 10; i++)
        wait_status(w, &w->answers[2 * i + 1], "200");
    close_world(w);
}

static void test_http2_ends_connections_that_flood(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    for (int i = 0; i < 5000 && !w->is_closed; i++) {
        nghttp2_submit_ping(w->client, NGHTTP2_FLAG_NONE, NULL);
        if (i % 50 == 0)
            turn_client(w);
    }
    CLIENT_WAIT(w, w->is_closed);
    assert_int_equal(w->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    close_world(w);
}

static void test_http2_ends_connections_that_reset_all_they_ask(void **state)
{
    (void)state;
    struct world *w = open_server(NULL);
    /* :method GET, :scheme http, :path /hold, then RST_STREAM(CANCEL), over and over */
    static const uint8_t head[] = {0x82, 0x86, 0x04, 5, '/', 'h', 'o', 'l', 'd', 0x01, 1, 'h'};
    uint8_t text[64];
    peer_say(&w->loop, w->fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    peer_send(&w->loop, w->fd, "\0\0\0\4\0\0\0\0\0", 9);
    for (uint32_t id = 1; id < 20001 && !w->is_closed; id += 2) {
        uint8_t stream[] = {0, 0, (uint8_t)(id >> 8), (uint8_t)id};
        memcpy(text, (const uint8_t[]){0, 0, sizeof head, 1, 5}, 5);
        memcpy(text + 5, stream, 4);
        memcpy(text + 9, head, sizeof head);
        memcpy(text + 9 + sizeof head, (const uint8_t[]){0, 0, 4, 3, 0}, 5);
        memcpy(text + 14 + sizeof head, stream, 4);
        memcpy(text + 18 + sizeof head, (const uint8_t[]){0, 0, 0, 8}, 4);
        peer_send(&w->loop, w->fd, text, 22 + sizeof head);
        w->held_count = 0;
        uint8_t drain[4096];
        ssize_t n = recv(w->fd, drain, sizeof drain, MSG_DONTWAIT);
        w->is_closed = n == 0 || (n < 0 && errno != EAGAIN);
    }
    assert_true(w->is_closed);
    close_world(w);
}

static void test_http2_ends_connections_of_age(void **state)
{
    (void)state;
    struct http_limits limits = {.age_ms = 50};
    struct world *w = open_world(&limits);
    struct answer *a = ask(w, "GET", "/hold", NULL, NULL, NULL);
    CLIENT_WAIT(w, w->held_count == 1);
    CLIENT_WAIT(w, w->last_goaway == 1); /* after the notice: names the last stream, which goes on */
    assert_int_equal(w->goaway_code, NGHTTP2_NO_ERROR);
    assert_false(a->is_over);
    http_answer_text(w->held[0], 200, "done");
    wait_status(w, a, "200");
    CLIENT_WAIT(w, w->is_closed);
    close_world(w);
}

static void test_http2_ends_idle_and_slow_peers(void **state)
{
    (void)state;
    struct http_limits limits = {.idle_ms = 50, .request_ms = 50};
    struct world *w = open_world(&limits);
    nghttp2_nv nv[] = {field(":method", "POST"), field(":scheme", "http"), field(":path", "/echo"),
                       field(":authority", "h")};
    int id = nghttp2_submit_headers(w->client, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL);
    wait_status(w, &w->answers[id], "408"); /* its body never came */
    CLIENT_WAIT(w, w->is_closed);
    close_world(w);
}

static void test_http2_stops_after_the_last_answer(void **state)
{
    (void)state;
    struct world *w = open_world(NULL);
    struct answer *a = ask(w, "GET", "/hold", NULL, NULL, NULL);
    CLIENT_WAIT(w, w->held_count == 1);
    http_server_stop(w->server);
    CLIENT_WAIT(w, w->last_goaway == 1);
    http_answer_text(w->held[0], 200, "done");
    wait_status(w, a, "200");
    CLIENT_WAIT(w, w->is_closed);
    close_world(w);
}

static void test_http2_is_recognised_byte_by_byte_beside_http1(void **state)
{
    (void)state;
    char text[4096];
    struct world *w = open_server(NULL);
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    for (size_t i = 0; i < sizeof start - 1; i++)
        peer_send(&w->loop, w->fd, start + i, 1);
    uint8_t head[9];
    PEER_WAIT(&w->loop, recv(w->fd, head, sizeof head, MSG_DONTWAIT) == sizeof head);
    assert_int_equal(head[3], 4); /* SETTINGS */
    int fd = peer_connect(http_server_port(w->server));
    peer_say(&w->loop, fd, "P");
    peer_say(&w->loop, fd, "OST /none HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_read(&w->loop, fd, "not found", text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 404", 12);
    close(fd);
    fd = peer_connect(http_server_port(w->server));
    peer_say(&w->loop, fd, "PRI * HTTP/3");
    assert_true(peer_read(&w->loop, fd, NULL, text, sizeof text));
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    close(fd);
    close_world(w);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2_serves_the_same_routes_with_trailers),
        cmocka_unit_test(test_http2_moves_bodies_larger_than_its_windows),
        cmocka_unit_test(test_http2_refuses_as_http1_does),
        cmocka_unit_test(test_http2_refuses_grpc_clients_in_their_form),
        cmocka_unit_test(test_http2_bounds_all_bodies_together),
        cmocka_unit_test(test_http2_tells_routes_of_streams_that_are_gone),
        cmocka_unit_test(test_http2_serves_no_more_streams_than_its_limit),
        cmocka_unit_test(test_http2_ends_connections_that_flood),
        cmocka_unit_test(test_http2_ends_connections_that_reset_all_they_ask),
        cmocka_unit_test(test_http2_ends_connections_of_age),
        cmocka_unit_test(test_http2_ends_idle_and_slow_peers),
        cmocka_unit_test(test_http2_stops_after_the_last_answer),
        cmocka_unit_test(test_http2_is_recognised_byte_by_byte_beside_http1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
