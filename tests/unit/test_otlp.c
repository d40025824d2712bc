/* The agent's OTLP receiver over real sockets. Ship is played by the test: it defines the functions of
 * ship.h that otlp.c calls, so that the order of sealing, sending and answering is the test's to choose. */
#include "base/http/grpc.h"
#include "base/pb.h"
#include "base/snap.h"
#include "node-agent/metrics.h"
#include "node-agent/otlp.h"
#include "tests/unit/http_peer.h"

struct ship {
    int wakes;
    enum telemetry signal; /* that all calls are about */
    bool is_unsent;        /* the batch can be withdrawn */
    struct batch *batch;
};

static struct ship ship;

void ship_wake(struct ship *s, enum telemetry signal)
{
    assert_int_equal(signal, s->signal);
    s->wakes++;
}

const char *ship_origin(const struct ship *s)
{
    (void)s;
    return "node-1/boot";
}

bool ship_withdraw(struct ship *s, enum telemetry signal, const struct batch *batch)
{
    assert_int_equal(signal, s->signal);
    assert_ptr_equal(batch, s->batch);
    if (!s->is_unsent)
        return false;
    batch_free(s->batch);
    s->batch = NULL;
    return true;
}

bool spool_withdraw(struct spool *spool, enum telemetry signal, const struct batch *batch)
{
    (void)signal, (void)batch;
    assert_null(spool);
    return false;
}

struct world {
    uv_loop_t loop;
    struct agent_config config;
    struct conf_pair label;
    struct stats *stats;
    struct otlp *otlp;
    const struct senders *senders; /* borrowed; NULL: nobody is known */
    struct ship_source source;
    char text[64 * 1024];
};

static struct world *open_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    ship = (struct ship){.signal = TELEMETRY_TRACES};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->stats = agent_metrics_new();
    w->config.node = "node-1";
    w->config.otlp.listen_http = "127.0.0.1:0";
    w->config.otlp.max_request_bytes = 1024 * 1024;
    w->config.otlp.ack_timeout_ms = 60 * 1000;
    w->config.queue.traces_bytes = 100 * 1000;
    return w;
}

static void start(struct world *w)
{
    assert_int_equal(otlp_new(&w->loop, &w->config, w->stats, w->senders, &w->otlp), 0);
    w->source = otlp_source(w->otlp, ship.signal);
    otlp_set_ship(w->otlp, &ship, NULL);
}

static void close_world(struct world *w)
{
    otlp_close(w->otlp);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    batch_free(ship.batch);
    stats_free(w->stats);
    free(w);
}

/* A request of one span from 1000 to 2000 whose name has name_len bytes. */
static struct bytes make_request(size_t name_len)
{
    static struct buf b;
    size_t resource, scope, span;
    char *name = malloc(name_len + 1);
    uint32_t dice = 1;
    for (size_t i = 0; i < name_len; i++) { /* of a kind that does not shrink */
        dice = dice * 1664525 + 1013904223;
        name[i] = (char)(1 + (dice >> 24) % 255);
    }
    name[name_len] = '\0';
    buf_fini(&b);
    buf_init(&b, 8 << 20);
    pb_begin(&b, 1, &resource);
    pb_begin(&b, 2, &scope);
    pb_begin(&b, 2, &span);
    pb_put_string(&b, 5, name);
    pb_put_fixed64(&b, 7, 1000);
    pb_put_fixed64(&b, 8, 2000);
    pb_end(&b, span);
    pb_end(&b, scope);
    pb_end(&b, resource);
    free(name);
    return buf_bytes(&b);
}

static int post(struct world *w, const char *path, const char *type, struct bytes body)
{
    char head[256];
    int fd = peer_connect(otlp_port(w->otlp));
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", path, type,
             body.len);
    peer_say(&w->loop, fd, head);
    peer_send(&w->loop, fd, body.ptr, body.len);
    return fd;
}

static int post_traces(struct world *w, struct bytes body)
{
    return post(w, "/v1/traces", "application/x-protobuf", body);
}

static void expect_status(struct world *w, int fd, const char *status)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "HTTP/1.1 %s ", status);
    peer_read(&w->loop, fd, "\r\n\r\n", w->text, sizeof w->text);
    if (strncmp(w->text, wanted, strlen(wanted)) != 0)
        fail_msg("\"%.100s\" is not %s", w->text, status);
    close(fd);
}

/* After a batch of several requests the next one waits a little. */
static void seal(struct world *w)
{
    PEER_WAIT(&w->loop, w->source.seal(w->source.ctx, &ship.batch) == 0);
}

static void commit(struct world *w)
{
    struct wire_reply reply = {.answer = WIRE_COMMITTED};
    w->source.committed(w->source.ctx, ship.batch, &reply);
    batch_free(ship.batch);
    ship.batch = NULL;
}

static int64_t count(struct world *w, int def, const char *signal)
{
    return stats_get(stats_cell(w->stats, def, signal));
}

static struct buf uncompress(const struct batch *b)
{
    struct buf raw;
    buf_init(&raw, 8 << 20);
    assert_int_equal(snap_uncompress(b->payload, &raw), 0);
    assert_int_equal(raw.len, b->raw_bytes);
    return raw;
}

static void test_otlp_answers_only_after_the_commit(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    struct bytes body = make_request(10);
    int fd = post_traces(w, body);
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    for (int i = 0; i < 20; i++)
        peer_turn(&w->loop);
    assert_true(recv(fd, w->text, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    struct buf raw = uncompress(ship.batch);
    assert_true(bytes_equal(buf_bytes(&raw), body)); /* forwarded as received */
    assert_int_equal(ship.batch->format, FORMAT_OTLP_TRACES);
    assert_int_equal(ship.batch->records, 1);
    assert_int_equal(ship.batch->earliest_ns, 1000);
    assert_int_equal(ship.batch->latest_ns, 2000);
    assert_string_equal(ship.batch->origin, "node-1/boot");
    commit(w);
    expect_status(w, fd, "200");
    assert_non_null(strstr(w->text, "Content-Length: 0\r\n"));
    assert_non_null(strstr(w->text, "Content-Type: application/x-protobuf\r\n"));
    assert_int_equal(count(w, AGENT_OTLP_QUEUE_BYTES, "traces"), 0);
    buf_fini(&raw);
    close_world(w);
}

static void test_otlp_joins_waiting_requests_and_keeps_those_whose_client_left(void **state)
{
    (void)state;
    struct world *w = open_world();
    struct buf all, raw;
    start(w);
    buf_init(&all, 1 << 20);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        struct bytes body = make_request((size_t)(i + 1) * 10);
        buf_append(&all, body.ptr, body.len);
        fds[i] = post_traces(w, body);
        PEER_WAIT(&w->loop, ship.wakes == i + 1);
    }
    struct linger reset = {.l_onoff = 1};
    setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fds[1]);
    PEER_WAIT(&w->loop, stats_get(stats_cell(w->stats, AGENT_OTLP_REQUESTS, "traces", "499")) == 1);
    seal(w);
    raw = uncompress(ship.batch);
    assert_true(bytes_equal(buf_bytes(&raw), buf_bytes(&all)));
    assert_int_equal(ship.batch->records, 3);
    struct batch *more;
    assert_int_equal(w->source.seal(w->source.ctx, &more), -EAGAIN);
    commit(w);
    expect_status(w, fds[0], "200");
    expect_status(w, fds[2], "200");
    buf_fini(&all), buf_fini(&raw);
    close_world(w);
}

static void test_otlp_waits_for_company_only_after_a_batch_of_several(void **state)
{
    (void)state;
    struct world *w = open_world();
    struct batch *none;
    int fds[3];
    start(w);
    fds[0] = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    fds[1] = post_traces(w, make_request(20));
    PEER_WAIT(&w->loop, ship.wakes == 2);
    commit(w); /* two senders: the first one is expected to send again */
    assert_int_equal(w->source.seal(w->source.ctx, &none), -EAGAIN);
    PEER_WAIT(&w->loop, ship.wakes == 3); /* it does not */
    assert_int_equal(w->source.seal(w->source.ctx, &ship.batch), 0);
    commit(w);
    fds[2] = post_traces(w, make_request(30));
    PEER_WAIT(&w->loop, ship.wakes == 4);
    assert_int_equal(w->source.seal(w->source.ctx, &ship.batch), 0);
    commit(w);
    for (int i = 0; i < 3; i++)
        expect_status(w, fds[i], "200");
    close_world(w);
}

static void test_otlp_joins_what_was_compressed_with_what_was_not(void **state)
{
    (void)state;
    static const int spans[] = {1, 2000, 1, 2, 3000, 3000, 1}; /* alike, so that many of them shrink */
    struct world *w = open_world();
    struct buf all, body;
    int fds[7];
    w->config.queue.traces_bytes = 1 << 20;
    start(w);
    buf_init(&all, 8 << 20);
    for (int i = 0; i < 7; i++) {
        buf_init(&body, 1 << 20);
        for (int k = 0; k < spans[i]; k++) {
            struct bytes one = make_request(10);
            assert_int_equal(buf_append(&body, one.ptr, one.len), 0);
        }
        buf_append(&all, body.ptr, body.len);
        fds[i] = post_traces(w, buf_bytes(&body));
        PEER_WAIT(&w->loop, ship.wakes == i + 1);
        buf_fini(&body);
    }
    assert_true(count(w, AGENT_OTLP_QUEUE_BYTES, "traces") < (int64_t)all.len / 4);
    seal(w);
    assert_int_equal(ship.batch->records, 8005);
    struct buf raw = uncompress(ship.batch);
    assert_true(bytes_equal(buf_bytes(&raw), buf_bytes(&all)));
    commit(w);
    for (int i = 0; i < 7; i++)
        expect_status(w, fds[i], "200");
    assert_int_equal(count(w, AGENT_OTLP_QUEUE_BYTES, "traces"), 0);
    buf_fini(&all), buf_fini(&raw);
    close_world(w);
}

/* Of one record of the signal, at 1000 ns. */
static struct bytes make_request_of(enum telemetry signal)
{
    static const char metrics[] = "\x0a\x18\x12\x16\x12\x14\x0a\x03got\x2a\x0d\x0a\x0b\x1a\x00"
                                  "\x19\xe8\x03\0\0\0\0\0\0";
    static const char logs[] = "\x0a\x0d\x12\x0b\x12\x09\x09\xe8\x03\0\0\0\0\0\0";
    if (signal == TELEMETRY_METRICS)
        return (struct bytes){(const uint8_t *)metrics, sizeof metrics - 1};
    if (signal == TELEMETRY_LOGS)
        return (struct bytes){(const uint8_t *)logs, sizeof logs - 1};
    return make_request(5);
}

static void test_otlp_takes_every_signal_in_its_own_format(void **state)
{
    (void)state;
    static const struct {
        enum telemetry signal;
        enum batch_format format;
        const char *path;
    } cases[] = {
        {TELEMETRY_METRICS, FORMAT_OTLP_METRICS, "/v1/metrics"},
        {TELEMETRY_LOGS, FORMAT_OTLP_LOGS, "/v1/logs"},
        {TELEMETRY_TRACES, FORMAT_OTLP_TRACES, "/v1/traces"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = open_world();
        ship.signal = cases[i].signal;
        start(w);
        struct bytes body = make_request_of(cases[i].signal);
        int fd = post(w, cases[i].path, "application/x-protobuf", body);
        PEER_WAIT(&w->loop, ship.wakes == 1);
        seal(w);
        struct buf raw = uncompress(ship.batch);
        assert_true(bytes_equal(buf_bytes(&raw), body));
        assert_int_equal(ship.batch->signal, cases[i].signal);
        assert_int_equal(ship.batch->format, cases[i].format);
        assert_int_equal(ship.batch->records, 1);
        assert_int_equal(ship.batch->earliest_ns, 1000);
        commit(w);
        expect_status(w, fd, "200");
        buf_fini(&raw);
        close_world(w);
    }
}

static void test_otlp_batches_hold_4_mib_or_one_larger_request(void **state)
{
    (void)state;
    struct world *w = open_world();
    w->config.otlp.max_request_bytes = 8 << 20;
    w->config.queue.traces_bytes = 32 << 20;
    start(w);
    static const size_t sizes[] = {3 << 20, 3 << 20, 5 << 20, 1000, 1000};
    static const uint64_t records[] = {1, 1, 1, 2}; /* of the batches */
    int fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = post_traces(w, make_request(sizes[i]));
        PEER_WAIT(&w->loop, ship.wakes == i + 1);
    }
    for (int i = 0; i < 4; i++) {
        seal(w);
        assert_int_equal(ship.batch->records, records[i]);
        commit(w);
    }
    for (int i = 0; i < 5; i++)
        expect_status(w, fds[i], "200");
    close_world(w);
}

static void test_otlp_adds_the_labels_to_each_resource(void **state)
{
    (void)state;
    struct world *w = open_world();
    w->label = (struct conf_pair){"cluster", "blue"};
    w->config.labels = (struct conf_map){&w->label, 1};
    start(w);
    int fd = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    struct buf raw = uncompress(ship.batch);
    static const char attribute[] = "\x0a\x07"
                                    "cluster\x12\x06\x0a\x04"
                                    "blue";
    assert_non_null(memmem(raw.ptr, raw.len, attribute, sizeof attribute - 1));
    commit(w);
    expect_status(w, fd, "200");
    buf_fini(&raw);
    close_world(w);
}

static void test_otlp_refuses_what_it_cannot_take(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    struct bytes good = make_request(10);
    expect_status(w, post_traces(w, bytes_of_string("garbage")), "400");
    assert_non_null(strstr(w->text, "Content-Type: application/x-protobuf\r\n"));
    expect_status(w, post(w, "/v1/traces", "application/json", good), "400");
    assert_non_null(strstr(w->text, "Content-Type: application/json\r\n"));
    expect_status(w, post(w, "/v1/traces", "text/plain", good), "415");
    expect_status(w, post(w, "/v1/traces", "application/x-protobuffer", good), "415");
    expect_status(w, post(w, "/v1/profiles", "application/x-protobuf", good), "404");
    expect_status(w, post_traces(w, make_request(120 * 1000)), "413");  /* larger than the queue */
    expect_status(w, post_traces(w, make_request(1200 * 1000)), "413"); /* larger than a request may be */
    assert_int_equal(ship.wakes, 0);
    expect_status(w, post_traces(w, (struct bytes){0}), "200");
    close_world(w);
}

static void test_otlp_garbage_is_answered_with_a_status_message(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    int fd = post_traces(w, bytes_of_string("garbage"));
    peer_read(&w->loop, fd, "ExportTraceServiceRequest", w->text, sizeof w->text);
    const char *body = strstr(w->text, "\r\n\r\n") + 4;
    assert_memory_equal(body, "\x08\x03\x12", 3);
    assert_int_equal(body[3], strlen(body + 4));
    close(fd);
    close_world(w);
}

static void test_otlp_pushes_back_when_its_queue_is_full(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    int first = post_traces(w, make_request(60 * 1000));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    expect_status(w, post_traces(w, make_request(60 * 1000)), "503");
    assert_non_null(strstr(w->text, "Retry-After: 1\r\n"));
    seal(w); /* in flight it counts as well */
    expect_status(w, post_traces(w, make_request(60 * 1000)), "503");
    commit(w);
    expect_status(w, first, "200");
    int last = post_traces(w, make_request(60 * 1000));
    PEER_WAIT(&w->loop, ship.wakes == 2);
    seal(w);
    commit(w);
    expect_status(w, last, "200");
    close_world(w);
}

static void test_otlp_withdraws_what_waits_too_long(void **state)
{
    (void)state;
    struct world *w = open_world();
    struct batch *none;
    w->config.otlp.ack_timeout_ms = 100;
    start(w);
    expect_status(w, post_traces(w, make_request(10)), "503");
    assert_non_null(strstr(w->text, "Retry-After: 1\r\n"));
    assert_int_equal(w->source.seal(w->source.ctx, &none), -EAGAIN);
    int fd = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 2);
    seal(w);
    ship.is_unsent = true;
    expect_status(w, fd, "503");
    assert_null(ship.batch);
    assert_int_equal(count(w, AGENT_OTLP_POSSIBLE_REPEATS, "traces"), 0);
    assert_int_equal(count(w, AGENT_OTLP_QUEUE_BYTES, "traces"), 0);
    close_world(w);
}

static void test_otlp_leaves_in_flight_what_was_sent(void **state)
{
    (void)state;
    struct world *w = open_world();
    w->config.otlp.ack_timeout_ms = 100;
    start(w);
    int fd = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    expect_status(w, fd, "503");
    assert_non_null(ship.batch);
    assert_int_equal(count(w, AGENT_OTLP_POSSIBLE_REPEATS, "traces"), 1);
    assert_false(w->source.resumed(w->source.ctx, NULL, false, ship.batch));
    commit(w);
    assert_int_equal(count(w, AGENT_OTLP_QUEUE_BYTES, "traces"), 0);
    close_world(w);
}

static void put_frame(struct buf *out, uint8_t type, uint8_t flags, uint8_t stream, struct bytes payload)
{
    const uint8_t head[] = {0,     (uint8_t)(payload.len >> 8), (uint8_t)payload.len, type, flags, 0, 0, 0,
                            stream};
    buf_append(out, head, sizeof head);
    buf_append(out, payload.ptr, payload.len);
}

/* RFC 7541, 6.2.2: a literal, neither indexed nor in Huffman's code. */
static void put_header(struct buf *out, const char *name, const char *value)
{
    const uint8_t kind = 0, name_len = (uint8_t)strlen(name), value_len = (uint8_t)strlen(value);
    buf_append(out, &kind, 1);
    buf_append(out, &name_len, 1);
    buf_append(out, name, name_len);
    buf_append(out, &value_len, 1);
    buf_append(out, value, value_len);
}

/* A gRPC call whose client waits as long as timeout says; it goes on waiting. */
static int call_traces(struct world *w, struct bytes body, const char *timeout)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct buf out, headers, message;
    int fd = peer_connect(otlp_port(w->otlp));
    buf_init(&out, 1 << 20);
    buf_init(&headers, 4096);
    buf_init(&message, 1 << 20);
    put_header(&headers, ":method", "POST");
    put_header(&headers, ":scheme", "http");
    put_header(&headers, ":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    put_header(&headers, ":authority", "h");
    put_header(&headers, "content-type", "application/grpc");
    put_header(&headers, "te", "trailers");
    put_header(&headers, "grpc-timeout", timeout);
    assert_int_equal(grpc_put_frame(&message, body), 0);
    buf_append(&out, preface, sizeof preface - 1);
    put_frame(&out, 4, 0, 0, (struct bytes){0});   /* SETTINGS */
    put_frame(&out, 1, 4, 1, buf_bytes(&headers)); /* HEADERS, END_HEADERS */
    put_frame(&out, 0, 1, 1, buf_bytes(&message)); /* DATA, END_STREAM */
    peer_send(&w->loop, fd, out.ptr, out.len);
    buf_fini(&out);
    buf_fini(&headers);
    buf_fini(&message);
    return fd;
}

static bool is_told_to_retry(struct world *w)
{
    return stats_get(stats_cell(w->stats, AGENT_OTLP_REQUESTS, "traces", "UNAVAILABLE")) == 1;
}

static void test_otlp_withdraws_a_call_before_its_client_gives_up(void **state)
{
    (void)state;
    struct world *w = open_world(); /* ack_timeout is longer than this test */
    start(w);
    int patient = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    int hurried = call_traces(w, make_request(20), "100m");
    PEER_WAIT(&w->loop, is_told_to_retry(w));
    seal(w);
    assert_int_equal(ship.batch->records, 1);
    assert_int_equal(count(w, AGENT_OTLP_POSSIBLE_REPEATS, "traces"), 0);
    commit(w);
    expect_status(w, patient, "200");
    close(hurried);
    close_world(w);
}

static void test_otlp_withdraws_a_sealed_call_before_its_client_gives_up(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    ship.is_unsent = true;
    int hurried = call_traces(w, make_request(10), "1S");
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    PEER_WAIT(&w->loop, is_told_to_retry(w));
    assert_null(ship.batch);
    assert_int_equal(count(w, AGENT_OTLP_POSSIBLE_REPEATS, "traces"), 0);
    assert_int_equal(count(w, AGENT_OTLP_QUEUE_BYTES, "traces"), 0);
    close(hurried);
    close_world(w);
}

static void test_otlp_a_hurried_call_does_not_take_a_batch_from_others(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    ship.is_unsent = true;
    int patient = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    int hurried = call_traces(w, make_request(20), "1S");
    PEER_WAIT(&w->loop, ship.wakes == 2);
    seal(w);
    PEER_WAIT(&w->loop, is_told_to_retry(w));
    assert_non_null(ship.batch);
    assert_int_equal(ship.batch->records, 2);
    assert_int_equal(count(w, AGENT_OTLP_POSSIBLE_REPEATS, "traces"), 1);
    commit(w);
    expect_status(w, patient, "200");
    close(hurried);
    close_world(w);
}

static void test_otlp_tells_the_client_that_the_gateway_refused(void **state)
{
    (void)state;
    struct world *w = open_world();
    start(w);
    int fd = post_traces(w, make_request(10));
    PEER_WAIT(&w->loop, ship.wakes == 1);
    seal(w);
    w->source.refused(w->source.ctx, ship.batch, "too old");
    expect_status(w, fd, "400");
    close_world(w);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the programs */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_otlp_answers_only_after_the_commit),
        cmocka_unit_test(test_otlp_joins_waiting_requests_and_keeps_those_whose_client_left),
        cmocka_unit_test(test_otlp_waits_for_company_only_after_a_batch_of_several),
        cmocka_unit_test(test_otlp_joins_what_was_compressed_with_what_was_not),
        cmocka_unit_test(test_otlp_takes_every_signal_in_its_own_format),
        cmocka_unit_test(test_otlp_batches_hold_4_mib_or_one_larger_request),
        cmocka_unit_test(test_otlp_adds_the_labels_to_each_resource),
        cmocka_unit_test(test_otlp_refuses_what_it_cannot_take),
        cmocka_unit_test(test_otlp_garbage_is_answered_with_a_status_message),
        cmocka_unit_test(test_otlp_pushes_back_when_its_queue_is_full),
        cmocka_unit_test(test_otlp_withdraws_what_waits_too_long),
        cmocka_unit_test(test_otlp_leaves_in_flight_what_was_sent),
        cmocka_unit_test(test_otlp_withdraws_a_call_before_its_client_gives_up),
        cmocka_unit_test(test_otlp_withdraws_a_sealed_call_before_its_client_gives_up),
        cmocka_unit_test(test_otlp_a_hurried_call_does_not_take_a_batch_from_others),
        cmocka_unit_test(test_otlp_tells_the_client_that_the_gateway_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
