/* Posting to one backend: what is answered, what surely did not arrive, what may have. */
#include <sys/stat.h>

#include "base/clock.h"
#include "gateway/fanout/sender.h"
#include "tests/unit/backend_server.h"
#include "tests/unit/unit.h"

struct seen {
    int closes; /* how many of the next requests are not answered */
    int hold_ms;
    char headers[4096];
};

static struct server_answer answer(void *ctx, const struct server_request *request)
{
    struct seen *seen = ctx;
    snprintf(seen->headers, sizeof seen->headers, "%s", request->headers);
    if (seen->closes > 0) {
        seen->closes--;
        return (struct server_answer){0};
    }
    return (struct server_answer){429, "slow down", "retry-after: 17", seen->hold_ms};
}

struct posted {
    struct sender_post post;
    enum sender_outcome outcome;
    int status, done;
    bool timed_out;
    char retry_after[32], body[64], error[256];
};

static void on_done(struct sender_post *post, const struct sender_answer *a)
{
    struct posted *posted = (struct posted *)(void *)post;
    posted->done++;
    posted->outcome = a->outcome;
    posted->status = a->http.status;
    posted->timed_out = a->timed_out;
    snprintf(posted->retry_after, sizeof posted->retry_after, "%s",
             a->http.retry_after ? a->http.retry_after : "");
    snprintf(posted->body, sizeof posted->body, "%.*s", (int)a->http.body.len,
             (const char *)a->http.body.ptr);
    snprintf(posted->error, sizeof posted->error, "%s", a->error);
}

static struct posted post(struct sender *sender)
{
    static const uint8_t block[] = {3, 8, 'a', 'b', 'c'}; /* snappy: three literal bytes */
    struct posted posted = {.post = {.body = {block, sizeof block}, .done = on_done}};
    int64_t deadline = clock_mono_ns() + INT64_C(30000000000);
    assert_int_equal(sender_start(sender, &posted.post), 0);
    while (!posted.done) {
        assert_true(clock_mono_ns() < deadline);
        sender_run(sender);
        if (!posted.done)
            sender_wait(sender, 1000);
    }
    assert_int_equal(posted.done, 1);
    return posted;
}

static struct gateway_backend_config config_of(int port, char url[64])
{
    snprintf(url, 64, "http://127.0.0.1:%d/x", port);
    return (struct gateway_backend_config){.name = "one", .url = url, .timeout_ms = 10000, .lanes = 2};
}

static void test_sender_hands_out_the_whole_answer_over_one_connection(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct backend_server server;
    struct sender *sender;
    char url[64];
    backend_server_start(&server, 0, answer, &seen);
    struct gateway_backend_config config = config_of(server.port, url);
    assert_int_equal(sender_new(&config, BACKEND_LOKI, TELEMETRY_LOGS, &sender), 0);
    for (int i = 0; i < 3; i++) {
        struct posted posted = post(sender);
        assert_int_equal(posted.outcome, SENDER_ANSWERED);
        assert_int_equal(posted.status, 429);
        assert_string_equal(posted.retry_after, "17");
        assert_string_equal(posted.body, "slow down");
    }
    assert_int_equal(server.connections, 1);
    assert_null(strcasestr(seen.headers, "Expect:"));
    assert_null(strcasestr(seen.headers, "Content-Encoding:"));
    assert_non_null(strstr(seen.headers, "User-Agent: tributary-gateway/"));
    sender_free(sender);
    backend_server_stop(&server);
}

static void test_sender_tells_what_did_not_arrive_from_what_may_have(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct backend_server server;
    struct sender *sender;
    char url[64];
    backend_server_start(&server, 0, answer, &seen);
    struct gateway_backend_config config = config_of(server.port, url);
    assert_int_equal(sender_new(&config, BACKEND_REMOTE_WRITE, TELEMETRY_METRICS, &sender), 0);
    seen.closes = 1;
    assert_int_equal(post(sender).outcome, SENDER_NO_ANSWER); /* on a fresh connection */
    assert_int_equal(post(sender).outcome, SENDER_ANSWERED);
    seen.closes = 1;
    assert_int_equal(post(sender).outcome,
                     SENDER_NO_ANSWER); /* on one used before: curl would silently try again */
    assert_int_equal(server.requests, 3);
    assert_int_equal(post(sender).outcome, SENDER_ANSWERED);
    backend_server_stop(&server);
    struct posted posted = post(sender);
    assert_true(posted.error[0]);
    if (posted.outcome == SENDER_NO_ANSWER) /* it was sent on the connection that just died */
        posted = post(sender);
    assert_int_equal(posted.outcome, SENDER_NOT_SENT);
    sender_free(sender);
}

static void test_sender_gives_up_after_its_timeout(void **state)
{
    (void)state;
    struct seen seen = {.hold_ms = 20000};
    struct backend_server server;
    struct sender *sender;
    char url[64];
    backend_server_start(&server, 0, answer, &seen);
    struct gateway_backend_config config = config_of(server.port, url);
    config.timeout_ms = 200;
    assert_int_equal(sender_new(&config, BACKEND_REMOTE_WRITE, TELEMETRY_METRICS, &sender), 0);
    struct posted posted = post(sender);
    assert_int_equal(posted.outcome, SENDER_NO_ANSWER);
    assert_true(posted.timed_out);
    sender_free(sender);
    backend_server_stop(&server);
}

static void write_token(const char *path, const char *token)
{
    char fresh[128];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    fputs(token, f);
    fclose(f);
    assert_int_equal(rename(fresh, path), 0); /* as a Secret's file is exchanged */
}

static void test_sender_reads_a_bearer_token_again_when_it_changes(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct backend_server server;
    struct sender *sender;
    char url[64], path[64] = "/tmp/test_sender.XXXXXX";
    close(mkstemp(path));
    write_token(path, "first\n");
    backend_server_start(&server, 0, answer, &seen);
    struct gateway_backend_config config = config_of(server.port, url);
    config.bearer_token_file = path;
    assert_int_equal(sender_new(&config, BACKEND_REMOTE_WRITE, TELEMETRY_METRICS, &sender), 0);
    post(sender);
    assert_non_null(strstr(seen.headers, "Authorization: Bearer first\r\n"));
    write_token(path, " second ");
    int64_t deadline = clock_mono_ns() + INT64_C(10000000000);
    do { /* it looks once a second */
        assert_true(clock_mono_ns() < deadline);
        post(sender);
    } while (!strstr(seen.headers, "Authorization: Bearer second\r\n"));
    sender_free(sender);
    backend_server_stop(&server);
    unlink(path);
}

static void test_sender_refuses_a_url_that_is_none(void **state)
{
    (void)state;
    struct sender *sender;
    struct gateway_backend_config config = {.name = "one", .url = "http://[half", .lanes = 1};
    assert_int_equal(sender_new(&config, BACKEND_REMOTE_WRITE, TELEMETRY_METRICS, &sender), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender_hands_out_the_whole_answer_over_one_connection),
        cmocka_unit_test(test_sender_tells_what_did_not_arrive_from_what_may_have),
        cmocka_unit_test(test_sender_gives_up_after_its_timeout),
        cmocka_unit_test(test_sender_reads_a_bearer_token_again_when_it_changes),
        cmocka_unit_test(test_sender_refuses_a_url_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
