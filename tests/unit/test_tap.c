/* The tap from its query to the bytes on the control socket, over a real buffer. */
#include "tests/unit/buffer_fixture.h"
#include "tests/unit/http_peer.h"

#include "gateway/ask/tap.h"
#include "gateway/ask/tap_query.h"
#include "tests/unit/records_fixture.h"

#define NOW INT64_C(1763830800000000000) /* 2025-11-22T17:00:00Z */

/* ---- the query */

static void test_tap_query_reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"2025-11-22T17:00:00Z", NOW},
                {"2025-11-22T17:00:00.5Z", NOW + 500000000},
                {"2025-11-22T17:00:00.000000001Z", NOW + 1},
                {"2025-11-22T18:30:00+01:30", NOW},
                {"2025-11-22 15:00:00-02:00", NOW},
                {"5m", NOW - INT64_C(300000000000)},
                {"1h30m", NOW - INT64_C(5400000000000)}};
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2025-11-22T17:00:00",
                                      "2025-13-22T17:00:00Z",
                                      "2025-02-30T17:00:00Z",
                                      "2025-11-22T24:00:00Z",
                                      "2025-11-22T17:00:00Zz",
                                      "2025-11-22T17:00:00+1",
                                      "-5m"};
    int64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(tap_query_parse_time(good[i].text, NOW, &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tap_query_parse_time(bad[i], NOW, &ns) == 0)
            fail_msg("\"%s\" was taken as a time", bad[i]);
}

static void test_tap_query_reads_every_parameter(void **state)
{
    (void)state;
    struct tap_query q;
    const char *wrong;
    assert_int_equal(
        tap_query_parse("signal=logs&from=5m&to=1m&follow=1&label=pod:a%3ab&label=x:&text=a+b%26c&limit=12"
                        "&format=json",
                        NOW, &q, &wrong),
        0);
    assert_int_equal(q.signal, TELEMETRY_LOGS);
    assert_int_equal(q.from_ns, NOW - INT64_C(300000000000));
    assert_int_equal(q.to_ns, NOW - INT64_C(60000000000));
    assert_true(q.has_from && q.is_followed && q.is_json);
    assert_int_equal(q.label_count, 2);
    assert_true(bytes_equal(q.labels[0].name, bytes_of_string("pod")));
    assert_true(bytes_equal(q.labels[0].value, bytes_of_string("a:b")));
    assert_int_equal(q.labels[1].value.len, 0);
    assert_true(bytes_equal(q.text, bytes_of_string("a b&c")));
    assert_int_equal(q.limit, 12);
    assert_int_equal(tap_query_parse("signal=traces", NOW, &q, &wrong), 0);
    assert_true(!q.is_followed && !q.is_json && !q.has_from);
    assert_int_equal(q.limit, UINT64_MAX);
}

static void test_tap_query_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "signal=profiles",
                                      "follow=1",
                                      "signal=logs&lable=a:b",
                                      "signal=logs&label=a",
                                      "signal=logs&label=:b",
                                      "signal=logs&limit=x",
                                      "signal=logs&limit=-1",
                                      "signal=logs&limit=",
                                      "signal=logs&from=soon",
                                      "signal=logs&format=xml"};
    struct tap_query q;
    const char *wrong;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (tap_query_parse(bad[i], NOW, &q, &wrong) == 0)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(wrong);
    }
    char *labels = calloc(1, 16384), *at = labels + sprintf(labels, "signal=logs");
    for (int i = 0; i < 40; i++)
        at += sprintf(at, "&label=a:b");
    assert_int_equal(tap_query_parse(labels, NOW, &q, &wrong), -EINVAL);
    memset(labels, '&', 16000);
    assert_int_equal(tap_query_parse(labels, NOW, &q, &wrong), -EINVAL);
    free(labels);
}

/* ---- over the socket */

struct world {
    struct fixture f; /* its buffer is that of logs */
    struct loop loop;
    struct control *control;
    struct tap *tap;
    uint64_t seq;
    int64_t time_ns;
};

static void nothing(void *ctx)
{
    (void)ctx;
}

static void setup(struct world *w)
{
    struct buffer *buffers[TELEMETRY_COUNT] = {0};
    char socket[128];
    memset(w, 0, sizeof *w);
    fixture_setup(&w->f, 0);
    buffers[TELEMETRY_LOGS] = w->f.buffer;
    w->time_ns = NOW;
    assert_int_equal(loop_init(&w->loop, (struct loop_callbacks){nothing, nothing, NULL}), 0);
    snprintf(socket, sizeof socket, "%s/control.sock", w->f.folder);
    assert_int_equal(control_new(&w->loop, socket, &w->control), 0);
    assert_int_equal(tap_new(&w->loop, w->control, buffers, &w->tap), 0);
}

static void teardown(struct world *w)
{
    tap_close(w->tap);
    control_close(w->control);
    loop_end(&w->loop);
    loop_run(&w->loop);
    loop_fini(&w->loop);
    fixture_fini(&w->f);
}

static void append_raw(struct world *w, enum batch_format format, struct bytes raw)
{
    struct buf block;
    size_t len;
    buf_init(&block, 64 << 20);
    assert_int_equal(snap_compress(raw, &block), 0);
    struct batch *batch = fixture_batch("node", 1, ++w->seq, 0);
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    batch->format = format;
    batch->earliest_ns = NOW;
    batch->latest_ns = w->time_ns;
    assert_int_equal(fixture_append_batch(&w->f, batch).outcome, BUFFER_COMMITTED);
}

/* One batch of count lines "line N" a second apart. */
static void append_lines(struct world *w, const char *labels, int first, int count)
{
    struct buf raw;
    char line[32];
    buf_init(&raw, 64 << 20);
    for (int i = first; i < first + count; i++) {
        snprintf(line, sizeof line, "line %d", i);
        put_line(&raw, labels, w->time_ns, line);
        w->time_ns += 1000000000;
    }
    append_raw(w, FORMAT_LOKI_PUSH, buf_bytes(&raw));
    buf_fini(&raw);
}

static int connect_tap(struct world *w, const char *query)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char request[512];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/control.sock", w->f.folder);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request, "GET /tap?%s HTTP/1.0\r\n\r\n", query);
    peer_say(&w->loop.uv, fd, request);
    return fd;
}

/* The whole answer of a tap that ends; the caller frees. */
static char *tap_all(struct world *w, const char *query)
{
    enum { SIZE = 8 << 20 };
    char *text = malloc(SIZE);
    int fd = connect_tap(w, query);
    peer_read(&w->loop.uv, fd, NULL, text, SIZE);
    close(fd);
    return text;
}

static int lines_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    int count = 0;
    assert_non_null(body);
    for (const char *p = body + 4; *p; p++)
        count += *p == '\n';
    return count;
}

static void assert_lines(struct world *w, const char *query, int count)
{
    char *answer = tap_all(w, query);
    assert_non_null(strstr(answer, "200 OK"));
    if (lines_of(answer) != count)
        fail_msg("%s: %d lines instead of %d", query, lines_of(answer), count);
    free(answer);
}

static void test_tap_shows_the_past_filtered(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    append_lines(&w, "{pod=\"a\"}", 0, 10);
    append_lines(&w, "{pod=\"b\"}", 10, 10);
    assert_lines(&w, "signal=logs", 20);
    assert_lines(&w, "signal=logs&label=pod:b", 10);
    assert_lines(&w, "signal=logs&label=pod:c", 0);
    assert_lines(&w, "signal=logs&text=line+1", 11); /* 1, 10 ... 19 */
    assert_lines(&w, "signal=logs&limit=7", 7);
    assert_lines(&w, "signal=logs&limit=0", 0);
    assert_lines(&w, "signal=logs&from=2025-11-22T17:00:05Z&to=2025-11-22T17:00:12Z", 8);
    assert_lines(&w, "signal=logs&from=2025-11-22T18:00:00Z", 0);
    char *answer = tap_all(&w, "signal=logs&text=line+19&format=json");
    assert_non_null(strstr(answer,
                           "\r\n\r\n{\"time\":\"2025-11-22T17:00:19.000000000Z\",\"labels\":{\"pod\":\"b\"},"
                           "\"line\":\"line 19\"}\n"));
    free(answer);
    teardown(&w);
}

static void test_tap_refuses_a_wrong_query(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    char *answer = tap_all(&w, "signal=logs&limit=many");
    assert_non_null(strstr(answer, "400 Bad Request"));
    assert_non_null(strstr(answer, "limit: a number of records"));
    free(answer);
    teardown(&w);
}

static void test_tap_follows_what_is_committed(void **state)
{
    (void)state;
    struct world w;
    static char text[65536];
    setup(&w);
    append_lines(&w, "{pod=\"a\"}", 0, 5); /* before: not shown */
    int fd = connect_tap(&w, "signal=logs&follow=1&text=line");
    peer_read(&w.loop.uv, fd, "\r\n\r\n", text, sizeof text);
    for (int i = 100; i < 110; i++) {
        char expected[32];
        append_lines(&w, "{pod=\"a\"}", i, 1);
        snprintf(expected, sizeof expected, "line %d\n", i);
        assert_false(peer_read(&w.loop.uv, fd, expected, text, sizeof text));
        assert_null(strstr(text, "line 0"));
    }
    close(fd);
    teardown(&w); /* ends though the tap never did */
}

static void test_tap_does_not_wait_for_a_peer_that_takes_nothing(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    for (int i = 0; i < 6; i++)
        append_lines(&w, "{pod=\"a-rather-long-name-of-a-pod-so-that-it-fills-the-socket\"}", i * 20000,
                     20000);
    int slow = connect_tap(&w, "signal=logs"); /* 13 MB that nobody reads */
    int64_t began = clock_mono_ns();
    while (clock_mono_ns() - began < INT64_C(300000000)) { /* meanwhile the loop turns freely */
        int64_t turn = clock_mono_ns();
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        assert_true(clock_mono_ns() - turn < INT64_C(2000000000));
    }
    assert_lines(&w, "signal=logs&limit=3", 3);
    static char text[32 << 20];
    assert_true(peer_read(&w.loop.uv, slow, NULL, text, sizeof text)); /* and it still gets all of it */
    assert_int_equal(lines_of(text), 120000);
    close(slow);
    teardown(&w);
}

static void test_tap_names_rows_that_it_cannot_show(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    append_lines(&w, "{pod=\"a\"}", 0, 1);
    append_raw(&w, FORMAT_REMOTE_WRITE_2, bytes_of_string("whatever"));
    append_raw(&w, FORMAT_LOKI_PUSH, bytes_of_string("\x0a\x7f"));
    struct batch *batch = fixture_batch("node", 1, ++w.seq, 100); /* no snappy block */
    assert_int_equal(fixture_append_batch(&w.f, batch).outcome, BUFFER_COMMITTED);
    append_lines(&w, "{pod=\"a\"}", 1, 1);
    char *answer = tap_all(&w, "signal=logs");
    assert_non_null(strstr(answer, "line 0\n"));
    assert_non_null(strstr(answer, "# row 2: its format is not shown\n"));
    assert_non_null(strstr(answer, "# row 3: not in its format\n"));
    assert_non_null(strstr(answer, "line 1\n"));
    free(answer);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tap_query_reads_times),
        cmocka_unit_test(test_tap_query_reads_every_parameter),
        cmocka_unit_test(test_tap_query_refuses_what_it_does_not_know),
        cmocka_unit_test(test_tap_shows_the_past_filtered),
        cmocka_unit_test(test_tap_refuses_a_wrong_query),
        cmocka_unit_test(test_tap_follows_what_is_committed),
        cmocka_unit_test(test_tap_does_not_wait_for_a_peer_that_takes_nothing),
        cmocka_unit_test(test_tap_names_rows_that_it_cannot_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
