/* What reaches the gateway's door that no agent of ours would send; and TLS. */
#include "tests/unit/transport.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/pb.h"
#include "gateway/ask/resend_scope.h"
#include "gateway/intake/half_open.h"
#include "proto/link.h"

/* ---- a peer that sends what it likes */

struct asker {
    struct link *link;
    bool is_up;
    int answers, downs;
    struct wire_reply reply;
    int error;
};

static void asker_up(void *ctx, struct link *link)
{
    (void)link;
    ((struct asker *)ctx)->is_up = true;
}

static void asker_down(void *ctx, struct link *link)
{
    struct asker *asker = ctx;
    (void)link;
    asker->is_up = false;
    asker->downs++;
}

static void asker_answered(void *ctx, struct link *link, int channel, struct bytes frame)
{
    struct asker *asker = ctx;
    (void)link, (void)channel;
    asker->error = wire_decode_reply(frame, &asker->reply);
    asker->answers++;
}

static void asker_freed(void *ctx, struct link *link, int channel)
{
    (void)ctx, (void)link, (void)channel;
}

static void asker_open(struct world *w, struct asker *asker, const char *url)
{
    struct buf errors;
    struct link_options options = {
        .url = url, .server_name = "x", .reconnect_min_ms = 50, .reconnect_max_ms = 100};
    buf_init(&errors, 4096);
    *asker = (struct asker){0};
    assert_int_equal(link_open(&w->loop.mailbox, &options,
                               (struct link_events){asker, asker_up, asker_down, asker_answered, asker_freed},
                               &asker->link, &errors),
                     0);
    UNTIL(w, asker->is_up);
    buf_fini(&errors);
}

static void ask(struct world *w, struct asker *asker, struct bytes message)
{
    int before = asker->answers + asker->downs;
    assert_int_equal(link_request(asker->link, 0, message, (struct bytes){0}), 0);
    UNTIL(w, asker->answers + asker->downs > before);
}

static void asker_close(struct world *w, struct asker *asker)
{
    link_close(asker->link);
    UNTIL(w, link_closing() == 0);
}

static struct batch *sound_batch(void)
{
    struct feed feed = {.signal = TELEMETRY_METRICS, .total = 1};
    struct batch *batch;
    assert_int_equal(feed_seal(&feed, &batch), 0);
    batch->seq = 1;
    batch->boot = (struct boot){1, 1};
    return batch;
}

static struct buf frame_of(const struct batch *batch)
{
    struct buf frame;
    buf_init(&frame, 16 << 20);
    assert_int_equal(wire_encode_batch_head(batch, &frame), 0);
    assert_int_equal(buf_append(&frame, batch->payload.ptr, batch->payload.len), 0);
    return frame;
}

static int64_t malformed(const struct gateway_side *g, const char *cause)
{
    return stats_get(stats_cell(g->stats, GATEWAY_MALFORMED, cause));
}

static void finish(struct world *w, struct gateway_side *g)
{
    gateway_close(g);
    world_fini(w);
    gateway_free(g);
}

static void test_what_is_not_a_frame_is_refused_with_its_cause(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct asker asker;
    struct wire_reply reply = {.answer = WIRE_COMMITTED};
    struct buf frame;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    asker_open(&w, &asker, g.url);
    ask(&w, &asker, bytes_of_string("GET / HTTP/1.1\r\n\r\n"));
    assert_int_equal(asker.error, 0);
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_true(asker.reply.reason[0]);
    ask(&w, &asker, bytes_of_string(""));
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_int_equal(malformed(&g, "format"), 2);
    ask(&w, &asker, bytes_of_string("TB\x07\x01"));
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_int_equal(malformed(&g, "version"), 1);
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_reply(&reply, &frame), 0);
    ask(&w, &asker, buf_bytes(&frame)); /* a reply is no request */
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_int_equal(malformed(&g, "format"), 3);
    assert_int_equal(asker.downs, 0);
    buf_fini(&frame);
    asker_close(&w, &asker);
    finish(&w, &g);
}

static void test_a_wrong_checksum_or_size_is_refused_and_nothing_kept(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct asker asker;
    struct wire_resume resume = {.origin = "node-a", .boot = {1, 1}};
    struct buf frame;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    asker_open(&w, &asker, g.url);
    struct batch *batch = sound_batch();
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_resume(&resume, &frame), 0);
    ask(&w, &asker, buf_bytes(&frame));
    buf_fini(&frame);
    batch->crc ^= 1;
    frame = frame_of(batch);
    ask(&w, &asker, buf_bytes(&frame));
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_int_equal(malformed(&g, "checksum"), 1);
    buf_fini(&frame);
    batch->crc ^= 1;
    batch->raw_bytes++;
    frame = frame_of(batch);
    ask(&w, &asker, buf_bytes(&frame));
    assert_int_equal(asker.reply.answer, WIRE_REFUSED);
    assert_int_equal(malformed(&g, "value"), 1);
    buf_fini(&frame);
    batch->raw_bytes--;
    assert_int_equal(g.buffers[0]->count, 0);
    frame = frame_of(batch);
    ask(&w, &asker, buf_bytes(&frame));
    assert_int_equal(asker.reply.answer, WIRE_COMMITTED);
    assert_int_equal(g.buffers[0]->count, 1);
    buf_fini(&frame);
    batch_free(batch);
    asker_close(&w, &asker);
    finish(&w, &g);
}

static void test_a_batch_without_a_resume_is_not_committed(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct asker asker;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    asker_open(&w, &asker, g.url);
    struct batch *batch = sound_batch();
    struct buf frame = frame_of(batch);
    ask(&w, &asker, buf_bytes(&frame));
    assert_int_equal(asker.reply.answer, WIRE_RESUME_FIRST);
    assert_string_equal(asker.reply.buffer_id, g.buffers[0]->id);
    assert_int_equal(g.buffers[0]->count, 0);
    buf_fini(&frame);
    batch->handed_over = true; /* a gateway that drains sends batches of boots that never came here */
    frame = frame_of(batch);
    ask(&w, &asker, buf_bytes(&frame));
    assert_int_equal(asker.reply.answer, WIRE_COMMITTED);
    buf_fini(&frame);
    batch_free(batch);
    asker_close(&w, &asker);
    finish(&w, &g);
}

static void test_a_batch_that_comes_after_later_ones_is_not_committed(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct asker asker;
    struct wire_resume resume = {.origin = "node-a", .boot = {1, 1}};
    struct buf frame;
    struct {
        uint64_t seq;
        bool is_handed_over;
        enum wire_answer answer;
    } steps[] = {
        {2, false, WIRE_COMMITTED},
        {1, false, WIRE_REFUSED}, /* its sender had left with it: a lost connection's kernel sends on */
        {1, true, WIRE_COMMITTED},
        {3, false, WIRE_COMMITTED}};
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    asker_open(&w, &asker, g.url);
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_resume(&resume, &frame), 0);
    ask(&w, &asker, buf_bytes(&frame));
    buf_fini(&frame);
    struct batch *batch = sound_batch();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        batch->seq = steps[i].seq;
        batch->handed_over = steps[i].is_handed_over;
        frame = frame_of(batch);
        ask(&w, &asker, buf_bytes(&frame));
        assert_int_equal(asker.reply.answer, steps[i].answer);
        buf_fini(&frame);
    }
    assert_int_equal(g.buffers[0]->count, 3);
    assert_int_equal(stats_get(stats_cell(g.stats, GATEWAY_LATE_BATCHES, "metrics")), 1);
    batch_free(batch);
    asker_close(&w, &asker);
    finish(&w, &g);
}

static void resume_logs(struct world *w, struct asker *asker, const char *held_buffer_id,
                        bool is_only_gateway)
{
    struct wire_resume resume = {
        .origin = "node-a", .boot = {1, 1}, .signal = TELEMETRY_LOGS, .is_only_gateway = is_only_gateway};
    struct buf frame;
    snprintf(resume.buffer_id, sizeof resume.buffer_id, "%s", held_buffer_id);
    buf_init(&frame, 4096);
    assert_int_equal(wire_encode_resume(&resume, &frame), 0);
    ask(w, asker, buf_bytes(&frame));
    buf_fini(&frame);
}

/* Whether a row of the origin is in the scope of a restart, a day after since_ns. */
static bool may_be_forgotten(const struct gateway_side *g, const char *origin, enum batch_format format,
                             int64_t since_ns)
{
    struct resend_scope scope;
    struct buffer_row row = {.format = format};
    snprintf(row.origin, sizeof row.origin, "%s", origin);
    resend_scope_init(&scope, g->receive, since_ns + (int64_t)RESEND_SCOPE_MS * 1000000);
    bool has = resend_scope_has(&scope, &row);
    resend_scope_fini(&scope);
    return has;
}

static void test_only_rows_that_another_gateway_may_have_posted_are_in_scope_of_a_restart(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct asker asker;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    asker_open(&w, &asker, g.url);
    int64_t before_ns = clock_wall_ns() - 1;
    resume_logs(&w, &asker, g.buffers[TELEMETRY_LOGS]->id, false);
    assert_true(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, before_ns)); /* heard of only since then */
    int64_t known_ns = clock_wall_ns() + 1;
    assert_false(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, known_ns));
    assert_true(may_be_forgotten(&g, "node-a", FORMAT_OTLP_LOGS, known_ns));
    assert_true(may_be_forgotten(&g, "node-b", FORMAT_LOKI_PUSH, known_ns));
    resume_logs(&w, &asker, "elsewhere", true);
    assert_true(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, known_ns));
    assert_false(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, clock_wall_ns() + 1));
    resume_logs(&w, &asker, "", true); /* it knows of no other and was nowhere */
    assert_false(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, before_ns));
    resume_logs(&w, &asker, "", false);
    assert_true(may_be_forgotten(&g, "node-a", FORMAT_LOKI_PUSH, known_ns));
    asker_close(&w, &asker);
    finish(&w, &g);
}

static void test_an_oversize_message_ends_its_connection_and_no_other(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {.config.agents.max_message_bytes = 1 << 20};
    struct agent_side a = {.feeds = {{.total = 1}}};
    struct asker asker;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    asker_open(&w, &asker, g.url);
    UNTIL(&w, a.feeds[0].committed == 1);
    struct bytes large = {calloc(1, 2 << 20), 2 << 20};
    ask(&w, &asker, large);
    assert_int_equal(asker.downs, 1);
    assert_int_equal(asker.answers, 0);
    free((void *)large.ptr);
    more(&a, TELEMETRY_METRICS, 100);
    UNTIL(&w, a.feeds[0].committed == 101);
    assert_int_equal(a.feeds[0].resumed, 1);
    agent_close(&a);
    asker_close(&w, &asker);
    finish(&w, &g);
    stats_free(a.stats);
}

/* ---- TLS, with certificates made by openssl for this run */

struct certificates {
    char folder[32];
    char ca[64], cert[64], key[64], stranger_ca[64], stranger_cert[64], stranger_key[64];
};

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static void make_pair(const struct certificates *c, const char *ca, const char *name)
{
    char command[1024];
    snprintf(
        command, sizeof command,
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s"
        " -keyout %s.key -out %s.pem 2>/dev/null && openssl req -newkey ec -pkeyopt"
        " ec_paramgen_curve:P-256 -nodes -subj /CN=gateway.test -keyout %s.key -out %s.csr 2>/dev/null &&"
        " printf 'subjectAltName=DNS:gateway.test' > ext && openssl x509 -req -in %s.csr -CA %s.pem -CAkey"
        " %s.key -CAcreateserial -days 2 -extfile ext -out %s.pem 2>/dev/null",
        c->folder, ca, ca, ca, name, name, name, ca, ca, name);
    run(command);
}

static void make_certificates(struct certificates *c)
{
    strcpy(c->folder, "/tmp/receive.XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    make_pair(c, "ca", "own");
    make_pair(c, "otherca", "stranger");
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    snprintf(c->cert, sizeof c->cert, "%s/own.pem", c->folder);
    snprintf(c->key, sizeof c->key, "%s/own.key", c->folder);
    snprintf(c->stranger_ca, sizeof c->stranger_ca, "%s/otherca.pem", c->folder);
    snprintf(c->stranger_cert, sizeof c->stranger_cert, "%s/stranger.pem", c->folder);
    snprintf(c->stranger_key, sizeof c->stranger_key, "%s/stranger.key", c->folder);
}

static void remove_certificates(const struct certificates *c)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", c->folder);
    run(command);
}

static void use_certificate(struct gateway_side *g, const struct certificates *c)
{
    g->config.agents.tls.ca_file = c->ca;
    g->config.agents.tls.cert_file = c->cert;
    g->config.agents.tls.key_file = c->key;
}

static int dial(const struct gateway_side *g)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)receive_port(g->receive, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void test_random_bytes_and_silent_connections_do_not_slow_an_agent(void **state)
{
    (void)state;
    enum { SILENT = 300, ROUNDS = 20 };
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 1}}};
    int fds[SILENT];
    uint64_t random = 88172645463325252u;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, a.feeds[0].committed == 1);
    for (int i = 0; i < SILENT; i++)
        fds[i] = dial(&g);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SILENT; i += 3) {
            uint64_t noise[32];
            for (size_t j = 0; j < 32; j++)
                noise[j] = random = (random ^ random << 13) * 0x2545f4914f6cdd1du;
            if (i % 2)
                memcpy(noise, "\0SP\0\0\x30\0\0", 8); /* says it is a REQ, and then noise */
            (void)!send(fds[i], noise, sizeof noise, MSG_NOSIGNAL);
        }
        more(&a, TELEMETRY_METRICS, 50);
        UNTIL(&w, a.feeds[0].committed == a.feeds[0].total);
    }
    assert_int_equal(a.feeds[0].resumed, 1);
    assert_int_equal(g.buffers[0]->count, a.feeds[0].total);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    agent_close(&a);
    finish(&w, &g);
    stats_free(a.stats);
}

/* How many of the descriptors of this process are sockets to the gateway that are still open on its side. */
static int count_open(const int *fds, int count)
{
    int open = 0;
    for (int i = 0; i < count; i++) {
        char byte;
        open += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0 && errno != ECONNRESET;
    }
    return open;
}

static void test_silent_tls_connections_do_not_keep_their_descriptors(void **state)
{
    (void)state;
    enum { CROWD = HALF_OPEN_MOST + 200 };
    struct world w;
    struct certificates c;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 1}}};
    static int fds[CROWD];
    make_certificates(&c);
    use_certificate(&g, &c);
    a.config.gateway.tls = (struct agent_tls){c.ca, c.cert, c.key, "gateway.test"};
    world_init(&w);
    gateway_open(&w, &g, "tls+tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, a.feeds[0].committed == 1);
    for (int i = 0; i < CROWD; i++)
        fds[i] = dial(&g);
    UNTIL(&w, count_open(fds, CROWD) <= HALF_OPEN_MOST); /* past the limit, at once */
    UNTIL(&w, count_open(fds, CROWD) == 0);              /* the others after their time */
    more(&a, TELEMETRY_METRICS, 10);
    UNTIL(&w, a.feeds[0].committed == 11);
    assert_int_equal(a.feeds[0].resumed, 1); /* the agent, as old as they are, kept its connection */
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    agent_close(&a);
    finish(&w, &g);
    stats_free(a.stats);
    remove_certificates(&c);
}

static void test_the_clock_of_an_agent_is_shown(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.feeds = {{.total = 5}}};
    struct receive_agent agents[2];
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, a.feeds[0].committed == 5);
    assert_int_equal(receive_agents(g.receive, agents, 2), 1);
    assert_string_equal(agents[0].origin, "node-a");
    assert_int_equal(agents[0].batches[TELEMETRY_METRICS], 5);
    assert_true(agents[0].clock_skew_ns <= 0 && agents[0].clock_skew_ns > -INT64_C(10000000000));
    assert_true(stats_get(stats_cell(g.stats, GATEWAY_CLOCK_SKEW, "node-a")) == agents[0].clock_skew_ns);
    agent_close(&a);
    finish(&w, &g);
    stats_free(a.stats);
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void test_while_draining_batches_are_put_off_and_the_end_waits_for_those_under_way(void **state)
{
    (void)state;
    struct world w;
    struct gateway_side g = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 20000, .feeds = {{.total = 1}}};
    int drained = 0;
    world_init(&w);
    gateway_open(&w, &g, "tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, a.feeds[0].committed == 1);
    g.buffers[0]->is_stuck = true;
    more(&a, TELEMETRY_METRICS, 2);
    UNTIL(&w, g.buffers[0]->asked == 2);
    receive_drain(g.receive, count_call, &drained);
    for (int i = 0; i < 5; i++)
        uv_run(&w.loop.uv, UV_RUN_ONCE);
    assert_int_equal(drained, 0);
    let_go(g.buffers[0]);
    UNTIL(&w, drained == 1);
    UNTIL(&w, ship_state(a.ship, TELEMETRY_METRICS) == SHIP_BACKOFF);
    assert_int_equal(a.feeds[0].committed, 2); /* the one under way was acknowledged */
    assert_int_equal(g.buffers[0]->count, 2);
    agent_close(&a);
    finish(&w, &g);
    stats_free(a.stats);
}

static void test_mutual_tls_carries_batches(void **state)
{
    (void)state;
    struct world w;
    struct certificates c;
    struct gateway_side g = {0};
    struct agent_side a = {.config.gateway.ack_deadline_ms = 5000,
                           .feeds = {{.total = 50, .size = 100000}, {.total = 50}, {.total = 50}}};
    make_certificates(&c);
    use_certificate(&g, &c);
    a.config.gateway.tls = (struct agent_tls){c.ca, c.cert, c.key, "gateway.test"};
    world_init(&w);
    gateway_open(&w, &g, "tls+tcp://127.0.0.1:0");
    agent_open(&w, &a, (const char *[]){g.url}, 1);
    UNTIL(&w, a.feeds[0].committed == 50 && a.feeds[1].committed == 50 && a.feeds[2].committed == 50);
    assert_false(a.feeds[0].out_of_order);
    agent_close(&a);
    finish(&w, &g);
    stats_free(a.stats);
    remove_certificates(&c);
}

/* Nobody gets a pipe for as long as an agent with the right certificate takes to get one and commit. */
static void assert_no_connection(const struct certificates *c, struct agent_tls tls)
{
    struct world w;
    struct gateway_side g = {0};
    struct agent_side wrong = {.config.gateway.tls = tls, .feeds = {{.total = 1}}};
    struct agent_side right = {
        .config.gateway = {.ack_deadline_ms = 5000, .tls = {c->ca, c->cert, c->key, "gateway.test"}},
        .feeds = {{.total = 20}}};
    use_certificate(&g, c);
    world_init(&w);
    gateway_open(&w, &g, "tls+tcp://127.0.0.1:0");
    agent_open(&w, &wrong, (const char *[]){g.url}, 1);
    agent_open(&w, &right, (const char *[]){g.url}, 1);
    UNTIL(&w, right.feeds[0].committed == 20);
    assert_string_equal(ship_gateway(wrong.ship), "");
    assert_int_equal(wrong.feeds[0].next, 0);
    agent_close(&wrong);
    agent_close(&right);
    finish(&w, &g);
    stats_free(wrong.stats);
    stats_free(right.stats);
}

static void test_tls_refuses_a_wrong_name_and_strangers_on_either_side(void **state)
{
    (void)state;
    struct certificates c;
    make_certificates(&c);
    assert_no_connection(&c, (struct agent_tls){c.ca, c.cert, c.key, "other.test"});
    assert_no_connection(&c, (struct agent_tls){c.ca, c.cert, c.key, ""}); /* the address is not the name */
    assert_no_connection(&c, (struct agent_tls){c.ca, c.stranger_cert, c.stranger_key, "gateway.test"});
    assert_no_connection(&c, (struct agent_tls){c.stranger_ca, c.cert, c.key, "gateway.test"});
    remove_certificates(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_a_frame_is_refused_with_its_cause),
        cmocka_unit_test(test_a_wrong_checksum_or_size_is_refused_and_nothing_kept),
        cmocka_unit_test(test_a_batch_without_a_resume_is_not_committed),
        cmocka_unit_test(test_a_batch_that_comes_after_later_ones_is_not_committed),
        cmocka_unit_test(test_only_rows_that_another_gateway_may_have_posted_are_in_scope_of_a_restart),
        cmocka_unit_test(test_an_oversize_message_ends_its_connection_and_no_other),
        cmocka_unit_test(test_random_bytes_and_silent_connections_do_not_slow_an_agent),
        cmocka_unit_test(test_silent_tls_connections_do_not_keep_their_descriptors),
        cmocka_unit_test(test_the_clock_of_an_agent_is_shown),
        cmocka_unit_test(test_while_draining_batches_are_put_off_and_the_end_waits_for_those_under_way),
        cmocka_unit_test(test_mutual_tls_carries_batches),
        cmocka_unit_test(test_tls_refuses_a_wrong_name_and_strangers_on_either_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
