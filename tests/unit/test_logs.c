/* The log source as a whole: a random model of writers, a kubelet, an agent that is stopped and killed, and a
 * gateway in memory that commits, loses answers, delivers and loses its buffer. What came out is decoded here
 * and compared with what was written. */

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pb.h"
#include "base/snap.h"
#include "node-agent/logs/logs.h"
#include "node-agent/metrics.h"
#include "tests/unit/gzip_file.h"

enum { RECORD_LINES = 5 }; /* of a joined record at most */
enum { PODS = 3, STREAMS = 2, MAX_LINES = 6000, MAX_ROWS = 6000, MAX_ENDS = 4096 };

/* What the agent would call; the tests drive the source themselves. */
static int wakes;
void ship_wake(struct ship *ship, enum telemetry signal)
{
    (void)ship;
    (void)signal;
    wakes++;
}

void ship_ask(struct ship *ship, enum telemetry signal)
{
    (void)ship;
    (void)signal;
}

struct written {
    char *text;
};
struct posted {
    int stream; /* pod * STREAMS + stream */
    int64_t time_ns;
    char *text;
    int arrival;
};
struct row {
    uint64_t seq;
    int boot, first_post, last_post;
};

struct world {
    char root[64], state[80], pods[80];
    uint64_t random;
    struct agent_config config;
    struct loop loop;
    struct stats *stats;
    struct logs *logs;
    struct ship_source source;
    int boot;
    uint64_t seq;
    struct batch *in_flight;
    /* the gateway */
    int buffer_number;
    struct wire_end ends[MAX_ENDS];
    size_t end_count;
    struct row rows[MAX_ROWS];
    size_t row_count, delivered; /* rows delivered */
    struct posted posts[4 * MAX_LINES];
    int post_count, arrivals;
    /* the writers */
    struct written lines[PODS * STREAMS][MAX_LINES];
    int line_count[PODS * STREAMS];
    char *open_text[PODS * STREAMS]; /* of a line begun with P */
    int rotations;
    int64_t clock_ns;
    bool lost_buffer;
    struct agent_log_rule joining; /* of lines that begin with '+' to the one before */
    bool joins;
    int record_lines[PODS * STREAMS]; /* of the last record */
};

static uint64_t rnd(struct world *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % n;
}

/* ---- the agent ---- */

static const char *const pod_folders[PODS] = {"demo_web-1_uid-1/web", "demo_db-2_uid-2/db",
                                              "kube-system_dns_3/dns"};

static void buffer_name(const struct world *w, char *name, size_t size)
{
    snprintf(name, size, "buffer-%d", w->buffer_number);
}

static void gateway_lose(struct world *w)
{
    for (size_t i = w->delivered; i < w->row_count; i++)
        for (int p = w->rows[i].first_post; p < w->rows[i].last_post; p++)
            w->posts[p].stream = -1; /* never reached the backend */
    for (size_t i = 0; i < w->end_count; i++)
        free(w->ends[i].file);
    w->end_count = w->row_count = w->delivered = 0;
    w->buffer_number++;
    w->lost_buffer = true;
}

static void agent_resume(struct world *w)
{
    struct wire_resume_reply reply = {.answer = WIRE_COMMITTED, .ends = w->ends, .end_count = w->end_count};
    buffer_name(w, reply.buffer_id, sizeof reply.buffer_id);
    if (w->source.resumed(w->source.ctx, &reply, false, w->in_flight)) {
        batch_free(w->in_flight);
        w->in_flight = NULL;
    }
}

static void agent_start(struct world *w)
{
    assert_int_equal(uv_loop_init(&w->loop.uv), 0);
    assert_int_equal(logs_new(&w->loop, &w->config, w->stats, &w->logs), 0);
    logs_set_waits(w->logs, 0, 3600 * 1000);
    w->source = logs_source(w->logs);
    w->boot++;
    w->seq = 0;
    agent_resume(w);
}

static void agent_stop(struct world *w, bool save)
{
    if (save)
        assert_int_equal(logs_save(w->logs), 0);
    logs_close(w->logs);
    uv_run(&w->loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop.uv), 0);
    batch_free(w->in_flight);
    w->in_flight = NULL;
    w->logs = NULL;
}

/* ---- the gateway ---- */

static int stream_of(struct bytes labels)
{
    static const char *const names[PODS][2] = {{"web-1", "web"}, {"db-2", "db"}, {"dns", "dns"}};
    char text[512];
    snprintf(text, sizeof text, "%.*s", (int)labels.len, (const char *)labels.ptr);
    for (int pod = 0; pod < PODS; pod++) {
        for (int s = 0; s < STREAMS; s++) {
            char expected[512];
            const char *namespace = pod == 2 ? "kube-system" : "demo";
            snprintf(expected, sizeof expected,
                     "{container=\"%s\", job=\"%s/%s\", namespace=\"%s\", pod=\"%s\", stream=\"%s\"}",
                     names[pod][1], namespace, names[pod][0], namespace, names[pod][0],
                     s ? "stderr" : "stdout");
            if (strcmp(text, expected) == 0)
                return pod * STREAMS + s;
        }
    }
    fail_msg("unexpected labels %s", text);
    return -1;
}

static int64_t time_of(struct bytes timestamp)
{
    struct pb_field f;
    int64_t ns = 0;
    while (pb_next(&timestamp, &f) > 0)
        ns += f.number == 1 ? (int64_t)f.value * 1000000000 : (int64_t)f.value;
    return ns;
}

static void store_entry(struct world *w, int stream, struct bytes entry)
{
    struct pb_field f;
    struct posted p = {.stream = stream, .arrival = w->arrivals++};
    while (pb_next(&entry, &f) > 0) {
        if (f.number == 1)
            p.time_ns = time_of(f.bytes);
        else
            p.text = strndup((const char *)f.bytes.ptr, f.bytes.len);
    }
    assert_true(w->post_count < 4 * MAX_LINES);
    w->posts[w->post_count++] = p;
}

static void store(struct world *w, const struct batch *batch)
{
    struct buf raw;
    struct pb_field f, g;
    uint64_t records = 0;
    buf_init(&raw, 8 << 20);
    assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    assert_int_equal(raw.len, batch->raw_bytes);
    for (struct bytes rest = buf_bytes(&raw); pb_next(&rest, &f) > 0;) {
        int stream = -1;
        for (struct bytes in = f.bytes; pb_next(&in, &g) > 0;) {
            if (g.number == 1)
                stream = stream_of(g.bytes);
            else
                store_entry(w, stream, g.bytes), records++;
        }
    }
    assert_int_equal(records, batch->records);
    buf_fini(&raw);
}

static void raise_end(struct world *w, const struct batch_source *s)
{
    size_t i = 0;
    assert_true(s->begin < s->end);
    while (i < w->end_count && strcmp(w->ends[i].file, s->file) != 0)
        i++;
    if (i == w->end_count) {
        assert_true(w->end_count < MAX_ENDS);
        w->ends[w->end_count++] = (struct wire_end){strdup(s->file), 0};
    }
    if (s->end > w->ends[i].end)
        w->ends[i].end = s->end;
}

/* Commits unless it has that number already. */
static void gateway_commit(struct world *w, const struct batch *batch)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].boot == w->boot && w->rows[i].seq == batch->seq)
            return;
    assert_true(w->row_count < MAX_ROWS);
    struct row *row = &w->rows[w->row_count++];
    *row = (struct row){batch->seq, w->boot, w->post_count, 0};
    store(w, batch);
    row->last_post = w->post_count;
    for (size_t i = 0; i < batch->source_count; i++)
        raise_end(w, &batch->sources[i]);
}

static void gateway_answer(struct world *w)
{
    struct wire_reply reply = {.answer = WIRE_COMMITTED};
    buffer_name(w, reply.buffer_id, sizeof reply.buffer_id);
    for (size_t i = 0; i < w->delivered; i++)
        if (w->rows[i].boot == w->boot)
            reply.delivered_seq = w->rows[i].seq;
    w->source.committed(w->source.ctx, w->in_flight, &reply);
    batch_free(w->in_flight);
    w->in_flight = NULL;
}

/* Seals when nothing is in flight. Whether something is in flight then. */
static bool agent_seal(struct world *w)
{
    if (w->in_flight)
        return true;
    if (w->source.seal(w->source.ctx, &w->in_flight) < 0) {
        w->in_flight = NULL;
        return false;
    }
    w->in_flight->seq = ++w->seq;
    return true;
}

/* Everything that can be read now is committed and answered. */
static void agent_catch_up(struct world *w)
{
    logs_rescan(w->logs);
    while (agent_seal(w)) {
        gateway_commit(w, w->in_flight);
        gateway_answer(w);
    }
}

/* ---- the writers ---- */

static void live_path(const struct world *w, int pod, char *path)
{
    snprintf(path, PATH_MAX, "%s/%s/0.log", w->pods, pod_folders[pod]);
}

static void append(const struct world *w, int pod, const char *text)
{
    char path[PATH_MAX];
    live_path(w, pod, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void note(struct world *w, int stream, const char *text)
{
    assert_true(w->line_count[stream] < MAX_LINES);
    if (w->joins && text[0] == '+' && w->line_count[stream] && w->record_lines[stream] < RECORD_LINES) {
        char **last = &w->lines[stream][w->line_count[stream] - 1].text, *longer;
        assert_true(asprintf(&longer, "%s\n%s", *last, text) > 0);
        free(*last);
        *last = longer;
        w->record_lines[stream]++;
        return;
    }
    w->record_lines[stream] = 1;
    w->lines[stream][w->line_count[stream]++].text = strdup(text);
}

/* The third pod's runtime is Docker. */
static bool is_docker(int pod)
{
    return pod == 2;
}

/* One record of the pod's format, with its newline; returns its length. */
static int format_record(int pod, char *line, size_t size, int64_t ns, int s, char tag, const char *text)
{
    char second[32];
    const char *stream = s ? "stderr" : "stdout";
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    int rest = (int)(ns % 1000000000);
    if (is_docker(pod))
        return snprintf(line, size, "{\"log\":\"%s%s\",\"stream\":\"%s\",\"time\":\"%s.%09dZ\"}\n", text,
                        tag == 'F' ? "\\n" : "", stream, second, rest);
    return snprintf(line, size, "%s.%09dZ %s %c %s\n", second, rest, stream, tag, text);
}

static void append_record(struct world *w, int pod, int s, char tag, const char *text, bool same_time)
{
    char line[1024];
    w->clock_ns += same_time ? 0 : 1000;
    format_record(pod, line, sizeof line, w->clock_ns, s, tag, text);
    append(w, pod, line);
}

static void write_line(struct world *w, int pod)
{
    int s = (int)rnd(w, STREAMS), stream = pod * STREAMS + s;
    char text[512], joined[2048];
    bool goes_on = w->joins && rnd(w, 2);
    snprintf(text, sizeof text, "%sline %d of %d %.*s", goes_on ? "+" : "", w->line_count[stream], stream,
             (int)rnd(w, 200),
             "-----------------------------------------------------------------------------------------------"
             "----------"
             "-----------------------------------------------------------------------------------------------"
             "------");
    const char *begun = w->open_text[stream] ? w->open_text[stream] : "";
    snprintf(joined, sizeof joined, "%s%s", begun, text);
    if (rnd(w, 5) == 0 && strlen(joined) < 1000) {
        append_record(w, pod, s, 'P', text, false);
        free(w->open_text[stream]);
        w->open_text[stream] = strdup(joined);
        return;
    }
    append_record(w, pod, s, 'F', text, false);
    note(w, stream, joined);
    free(w->open_text[stream]);
    w->open_text[stream] = NULL;
}

/* The same text at the same time: Loki would keep one of them. */
static void write_equal_lines(struct world *w, int pod)
{
    int stream = pod * STREAMS;
    if (w->open_text[stream])
        return;
    w->clock_ns += 1000;
    for (int i = (int)rnd(w, 4); i >= 0; i--) {
        const char *text = rnd(w, 3) ? "same" : "other";
        append_record(w, pod, 0, 'F', text, true);
        note(w, stream, text);
    }
}

static void rotate(struct world *w, int pod)
{
    char path[PATH_MAX], rotated[PATH_MAX + 32];
    live_path(w, pod, path);
    snprintf(rotated, sizeof rotated, "%s.20260101-%06d", path, ++w->rotations);
    if (rename(path, rotated) == 0)
        append(w, pod, "");
}

/* As the kubelet does it some time later: a rotated file becomes a compressed one. */
static void compress_rotated(struct world *w, int pod)
{
    char path[PATH_MAX], rotated[PATH_MAX + 32];
    live_path(w, pod, path);
    for (int i = 1; i <= w->rotations; i++) {
        snprintf(rotated, sizeof rotated, "%s.20260101-%06d", path, i);
        if (access(rotated, F_OK) == 0 && rnd(w, 2)) {
            gzip_file(rotated);
            return;
        }
    }
}

/* Copytruncate, after all was read and no line is open: what it loses otherwise cannot be had. */
static void truncate_live(struct world *w, int pod)
{
    char path[PATH_MAX];
    if (w->open_text[pod * STREAMS] || w->open_text[pod * STREAMS + 1])
        return;
    agent_catch_up(w);
    live_path(w, pod, path);
    if (access(path, F_OK) == 0)
        assert_int_equal(truncate(path, 0), 0);
    logs_rescan(w->logs);
    agent_seal(w);
}

static void delete_live(struct world *w, int pod)
{
    char path[PATH_MAX];
    if (w->open_text[pod * STREAMS] || w->open_text[pod * STREAMS + 1]) /* would be sent as it is */
        return;
    logs_rescan(w->logs); /* the agent holds a descriptor */
    live_path(w, pod, path);
    unlink(path);
    agent_catch_up(w);
}

/* Half a line, seen by the agent, then the rest. */
static void write_torn(struct world *w, int pod)
{
    int stream = pod * STREAMS;
    char text[64];
    if (w->open_text[stream])
        return;
    w->clock_ns += 1000;
    char line[256], first[256];
    snprintf(text, sizeof text, "torn %d", w->line_count[stream]);
    size_t len = (size_t)format_record(pod, line, sizeof line, w->clock_ns, 0, 'F', text);
    size_t cut = 1 + rnd(w, len - 1);
    snprintf(first, sizeof first, "%.*s", (int)cut, line);
    append(w, pod, first);
    logs_rescan(w->logs);
    agent_seal(w);
    append(w, pod, line + cut);
    note(w, stream, text);
}

/* ---- the run ---- */

static void step_agent(struct world *w, bool may_lose)
{
    switch (rnd(w, 12)) {
    case 0: /* committed, but the answer is lost; resumed with the batch still in flight */
        if (agent_seal(w))
            gateway_commit(w, w->in_flight);
        agent_resume(w);
        break;
    case 1: /* killed between commit and answer, or before */
        if (agent_seal(w) && rnd(w, 2))
            gateway_commit(w, w->in_flight);
        agent_stop(w, false);
        agent_start(w);
        break;
    case 2:
        agent_stop(w, true);
        agent_start(w);
        break;
    case 3:
        if (w->delivered < w->row_count)
            w->delivered += rnd(w, w->row_count - w->delivered + 1);
        break;
    case 4:
        if (may_lose && rnd(w, 4) == 0) {
            gateway_lose(w);
            agent_resume(w);
        }
        break;
    case 5:
        uv_run(&w->loop.uv, UV_RUN_NOWAIT);
        break;
    default:
        if (rnd(w, 2))
            logs_rescan(w->logs);
        if (agent_seal(w)) {
            gateway_commit(w, w->in_flight);
            gateway_answer(w);
        }
    }
}

static void step_writer(struct world *w, bool may_lose)
{
    int pod = (int)rnd(w, PODS);
    switch (rnd(w, 40)) {
    case 0:
        rotate(w, pod);
        break;
    case 1:
        if (!may_lose)
            truncate_live(w, pod);
        break;
    case 2:
        if (!may_lose)
            delete_live(w, pod);
        break;
    case 3:
        write_torn(w, pod);
        break;
    case 4:
        write_equal_lines(w, pod);
        break;
    case 5:
        compress_rotated(w, pod);
        break;
    default:
        write_line(w, pod);
    }
}

static void close_lines(struct world *w)
{
    for (int stream = 0; stream < PODS * STREAMS; stream++) {
        if (!w->open_text[stream])
            continue;
        append_record(w, stream / STREAMS, stream % STREAMS, 'F', "", false);
        note(w, stream, w->open_text[stream]);
    }
}

static int compare_posts(const void *a, const void *b)
{
    const struct posted *x = a, *y = b;
    if (x->stream != y->stream)
        return x->stream - y->stream;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->arrival - y->arrival;
}

/* Every stream holds what was written, in order; repeats are counted where none are allowed. */
static void check(struct world *w, uint64_t seed)
{
    int at[PODS * STREAMS] = {0}, repeats = 0;
    const struct posted *repeated = NULL;
    qsort(w->posts, (size_t)w->post_count, sizeof *w->posts, compare_posts);
    for (int i = 0; i < w->post_count; i++) {
        const struct posted *p = &w->posts[i];
        if (p->stream < 0)
            continue;
        const struct posted *same = p; /* Loki keeps one of equal texts of a time */
        while (--same >= w->posts && same->stream == p->stream && same->time_ns == p->time_ns)
            if (strcmp(same->text, p->text) == 0)
                break;
        if (same >= w->posts && same->stream == p->stream && same->time_ns == p->time_ns) {
            repeated = p;
            repeats++;
            continue;
        }
        int n = at[p->stream]++;
        if (n >= w->line_count[p->stream] || strcmp(w->lines[p->stream][n].text, p->text) != 0)
            fail_msg("seed %" PRIu64 " stream %d line %d of %d: got \"%s\" at %" PRId64 ", written \"%s\"",
                     seed, p->stream, n, w->line_count[p->stream], p->text, p->time_ns,
                     n < w->line_count[p->stream] ? w->lines[p->stream][n].text : "(nothing)");
    }
    for (int s = 0; s < PODS * STREAMS; s++)
        if (at[s] != w->line_count[s])
            fail_msg("seed %" PRIu64 " stream %d: %d of %d lines came out", seed, s, at[s], w->line_count[s]);
    if (!w->lost_buffer && repeats)
        fail_msg("seed %" PRIu64 ": %d lines were sent twice, one in stream %d: \"%s\"", seed, repeats,
                 repeated->stream, repeated->text);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->clock_ns = clock_wall_ns() - 60 * INT64_C(1000000000);
    strcpy(w->root, "/tmp/test_logs.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    snprintf(w->pods, sizeof w->pods, "%s/pods", w->root);
    snprintf(w->state, sizeof w->state, "%s/state", w->root);
    assert_int_equal(mkdir(w->pods, 0755), 0);
    for (int i = 0; i < PODS; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", w->pods, pod_folders[i]);
        *strrchr(path, '/') = '\0';
        assert_int_equal(mkdir(path, 0755), 0);
        path[strlen(path)] = '/';
        assert_int_equal(mkdir(path, 0755), 0);
    }
    w->config.node = "node-1";
    w->config.state_folder = w->state;
    w->config.logs.root = w->pods;
    w->config.logs.max_line_bytes = 256 * 1024;
    w->config.logs.batch_raw_bytes = 2048 + (int64_t)rnd(w, 64 * 1024);
    w->config.logs.rescan_ms = 1000;
    w->stats = agent_metrics_new();
    assert_non_null(w->stats);
    return w;
}

static void world_free(struct world *w)
{
    if (w->logs)
        agent_stop(w, false);
    stats_free(w->stats);
    for (size_t i = 0; i < w->end_count; i++)
        free(w->ends[i].file);
    for (int s = 0; s < PODS * STREAMS; s++) {
        for (int i = 0; i < w->line_count[s]; i++)
            free(w->lines[s][i].text);
        free(w->open_text[s]);
    }
    for (int i = 0; i < w->post_count; i++)
        free(w->posts[i].text);
    nftw(w->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}

static void join_lines(struct world *w)
{
    w->joins = true;
    w->joining = (struct agent_log_rule){.name = "join",
                                         .redact_with = "",
                                         .multiline_start = "^[^+]",
                                         .multiline_max_lines = RECORD_LINES,
                                         .multiline_wait_ms = 3600 * 1000};
    w->config.logs.rules = (struct conf_list){&w->joining, 1};
}

/* One more record in each stream, which stays open, so that those before it are whole. */
static void end_records(struct world *w)
{
    for (int stream = 0; stream < PODS * STREAMS; stream++)
        append_record(w, stream / STREAMS, stream % STREAMS, 'F', "end", false);
}

static void run_seed(uint64_t seed, bool may_lose, bool joins)
{
    struct world *w = world_new(seed);
    if (joins)
        join_lines(w);
    agent_start(w);
    for (int i = 0; i < 600; i++) {
        if (rnd(w, 3))
            step_writer(w, may_lose);
        else
            step_agent(w, may_lose);
    }
    close_lines(w);
    if (joins)
        end_records(w);
    if (w->in_flight) {
        gateway_commit(w, w->in_flight);
        gateway_answer(w);
    }
    agent_catch_up(w);
    check(w, seed);
    world_free(w);
}

/* LOGS_SEEDS: how many; LOGS_FIRST: the first one. */
static uint64_t setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static void test_logs_come_out_once_with_one_gateway(void **state)
{
    (void)state;
    uint64_t first = setting("LOGS_FIRST", 1), count = setting("LOGS_SEEDS", 12);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed, false, false);
}

static void test_logs_lose_nothing_when_buffers_are_lost(void **state)
{
    (void)state;
    uint64_t first = setting("LOGS_FIRST", 1), count = setting("LOGS_SEEDS", 12);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed, true, false);
}

static void test_logs_join_the_same_records_when_buffers_are_lost(void **state)
{
    (void)state;
    uint64_t first = setting("LOGS_FIRST", 1), count = setting("LOGS_SEEDS", 12);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs_come_out_once_with_one_gateway),
        cmocka_unit_test(test_logs_lose_nothing_when_buffers_are_lost),
        cmocka_unit_test(test_logs_join_the_same_records_when_buffers_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
