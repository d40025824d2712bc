/* The HTTP client against Python's http.server. */
#include <signal.h>
#include <sys/wait.h>

#include "base/http/http_client.h"
#include "tests/unit/http_peer.h"

struct world {
    uv_loop_t loop;
    pid_t server;
    int port;
    struct http_client *client;
    int done; /* answers so far, and the last one: */
    int error, status;
    char content_type[100];
    struct buf body;
};

static int start_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    int out[2];
    char line[16];
    assert_non_null(w);
    assert_int_equal(pipe(out), 0);
    w->server = fork();
    if (w->server == 0) {
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", TEST_DATA "/http_server.py", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    ssize_t n = read(out[0], line, sizeof line - 1);
    assert_true(n > 0);
    line[n] = '\0';
    close(out[0]);
    w->port = atoi(line);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    buf_init(&w->body, 64 << 20);
    *state = w;
    return 0;
}

static int stop_world(void **state)
{
    struct world *w = *state;
    http_client_close(w->client);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    kill(w->server, SIGKILL);
    waitpid(w->server, NULL, 0);
    buf_fini(&w->body);
    free(w);
    return 0;
}

static void on_done(void *ctx, const struct http_reply *reply)
{
    struct world *w = ctx;
    w->done++;
    w->error = reply->error;
    w->status = reply->status;
    snprintf(w->content_type, sizeof w->content_type, "%s", reply->content_type ? reply->content_type : "");
    buf_clear(&w->body);
    buf_append(&w->body, reply->body.ptr, reply->body.len);
    buf_append(&w->body, "", 1);
}

static void open_client(struct world *w, const char *host, int port, const char *target, size_t body_bytes)
{
    http_client_close(w->client);
    struct http_client_options options = {host, port, target, "X-Scrape: yes\r\n", body_bytes};
    assert_int_equal(http_client_new(&w->loop, &options, &w->client), 0);
}

static void get(struct world *w, int64_t timeout_ms)
{
    int before = w->done;
    assert_int_equal(http_client_get(w->client, timeout_ms, on_done, w), 0);
    assert_int_equal(w->done, before); /* never from inside the call */
    PEER_WAIT(&w->loop, w->done > before);
    assert_int_equal(w->done, before + 1);
}

static void get_target(struct world *w, const char *target)
{
    open_client(w, "127.0.0.1", w->port, target, 0);
    get(w, 9000);
}

static void test_http_client_keeps_its_connection(void **state)
{
    struct world *w = *state;
    open_client(w, "localhost", w->port, "/count?a=b", 0);
    for (int i = 1; i <= 3; i++) {
        get(w, 9000);
        assert_int_equal(w->error, 0);
        assert_int_equal(w->status, 200);
        assert_int_equal(atoi((char *)w->body.ptr), i);
        assert_string_equal(w->content_type, "text/plain; version=0.0.4");
    }
}

static void test_http_client_sends_its_headers(void **state)
{
    struct world *w = *state;
    char host[40];
    get_target(w, "/headers");
    snprintf(host, sizeof host, "Host: 127.0.0.1:%d\n", w->port);
    assert_non_null(strstr((char *)w->body.ptr, host));
    assert_non_null(strstr((char *)w->body.ptr, "X-Scrape: yes\n"));
    assert_non_null(strstr((char *)w->body.ptr, "Accept-Encoding: gzip\n"));
}

static void test_http_client_reads_every_framing(void **state)
{
    struct world *w = *state;
    static const char *const cases[][2] = {
        {"/chunked", "one two three"}, {"/close", "until close"}, {"/interim", "final"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        get_target(w, cases[i][0]);
        assert_int_equal(w->error, 0);
        assert_string_equal((char *)w->body.ptr, cases[i][1]);
    }
    get_target(w, "/none");
    assert_int_equal(w->error, 0);
    assert_int_equal(w->status, 404);
}

static void test_http_client_decompresses_within_its_limit(void **state)
{
    struct world *w = *state;
    get_target(w, "/gzip");
    assert_int_equal(w->error, 0);
    assert_int_equal(w->body.len - 1, 900000);
    assert_memory_equal(w->body.ptr, "metric 1\nmetric 1\n", 18);
    open_client(w, "127.0.0.1", w->port, "/gzip", 899999);
    get(w, 9000);
    assert_int_equal(w->error, -EMSGSIZE);
}

static void test_http_client_gives_up_on_endless_bodies_and_on_time(void **state)
{
    struct world *w = *state;
    open_client(w, "127.0.0.1", w->port, "/endless", 1000 * 1000);
    get(w, 9000);
    assert_int_equal(w->error, -EMSGSIZE);
    open_client(w, "127.0.0.1", w->port, "/stall", 0);
    get(w, 200);
    assert_int_equal(w->error, -ETIMEDOUT);
}

static void test_http_client_names_what_went_wrong(void **state)
{
    struct world *w = *state;
    get_target(w, "/cut");
    assert_int_equal(w->error, -EBADMSG);
    get_target(w, "/garbage");
    assert_int_equal(w->error, -EBADMSG);
    get_target(w, "/unknown_coding");
    assert_int_equal(w->error, -ENOTSUP);
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, but nobody listens */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    open_client(w, "127.0.0.1", ntohs(at.sin_port), "/", 0);
    get(w, 9000);
    assert_int_equal(w->error, -ECONNREFUSED);
    close(fd);
    open_client(w, "no-such-host.invalid", 80, "/", 0);
    get(w, 9000);
    assert_true(w->error < 0);
}

static void test_http_client_tries_again_when_a_kept_connection_was_closed(void **state)
{
    struct world *w = *state;
    open_client(w, "127.0.0.1", w->port, "/drop", 0);
    for (int i = 0; i < 20; i++) {
        get(w, 9000);
        assert_int_equal(w->error, 0);
        assert_string_equal((char *)w->body.ptr, "1");
    }
}

static void test_http_client_does_one_get_at_a_time(void **state)
{
    struct world *w = *state;
    open_client(w, "127.0.0.1", w->port, "/count", 0);
    int before = w->done;
    assert_int_equal(http_client_get(w->client, 9000, on_done, w), 0);
    assert_int_equal(http_client_get(w->client, 9000, on_done, w), -EBUSY);
    http_client_close(w->client); /* done is not called */
    w->client = NULL;
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->done, before);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_client_keeps_its_connection),
        cmocka_unit_test(test_http_client_sends_its_headers),
        cmocka_unit_test(test_http_client_reads_every_framing),
        cmocka_unit_test(test_http_client_decompresses_within_its_limit),
        cmocka_unit_test(test_http_client_gives_up_on_endless_bodies_and_on_time),
        cmocka_unit_test(test_http_client_names_what_went_wrong),
        cmocka_unit_test(test_http_client_tries_again_when_a_kept_connection_was_closed),
        cmocka_unit_test(test_http_client_does_one_get_at_a_time),
    };
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
