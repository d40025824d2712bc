/* logs_fixture.h - the log source on a real folder and a real loop, and what came out of it as text.
 *
 * The test plays the gateway: take_one() seals a batch, has it committed, and notes its lines. Everything
 * here is static, because a test is one program of one file.
 */
#ifndef TESTS_UNIT_LOGS_FIXTURE_H
#define TESTS_UNIT_LOGS_FIXTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pb.h"
#include "base/snap.h"
#include "node-agent/logs/logs.h"
#include "node-agent/logs/logtext.h"
#include "node-agent/metrics.h"
#include "tests/unit/gzip_file.h"

#define POD "demo_web-1_uid-1/web"

struct fixture {
    char root[64], pods[96], state[96];
    struct agent_config config;
    struct loop loop;
    struct stats *stats;
    struct logs *logs;
    struct ship_source source;
    uint64_t seq;
    const char *buffer;
    char got[2 << 20];        /* "stream|text\n" of everything sent */
    char labels[4096];        /* of the stream noted last */
    char metadata[64 * 1024]; /* "name=value;" of everything sent, a line each */
    int64_t times[16384];
    int count;
};

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

__attribute__((unused)) static void path_of(const struct fixture *f, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", f->pods, name);
}

__attribute__((unused)) static void make_folders(const char *path)
{
    char part[PATH_MAX];
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        mkdir(part, 0755);
    }
}

__attribute__((unused)) static void put_bytes(const struct fixture *f, const char *name, const char *text,
                                              size_t len)
{
    char path[PATH_MAX];
    path_of(f, name, path);
    make_folders(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

/* A CRI line, age_s seconds old. */
__attribute__((unused)) static void put_aged(const struct fixture *f, const char *name, const char *rest,
                                             int64_t age_s)
{
    static int64_t last_ns;
    int64_t now_ns = clock_wall_ns();
    last_ns = now_ns > last_ns ? now_ns : last_ns + 1;
    time_t seconds = (time_t)(last_ns / 1000000000 - age_s);
    struct tm tm;
    char *line;
    char second[32];
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    int len = asprintf(&line, "%s.%09dZ %s\n", second, (int)(last_ns % 1000000000), rest);
    assert_true(len > 0);
    put_bytes(f, name, line, (size_t)len);
    free(line);
}

__attribute__((unused)) static void put(const struct fixture *f, const char *name, const char *rest)
{
    put_aged(f, name, rest, 0);
}

__attribute__((unused)) static void start(struct fixture *f)
{
    struct wire_resume_reply resumed = {.answer = WIRE_COMMITTED};
    assert_int_equal(uv_loop_init(&f->loop.uv), 0);
    assert_int_equal(logs_new(&f->loop, &f->config, f->stats, &f->logs), 0);
    logs_set_waits(f->logs, 0, 3600 * 1000);
    f->source = logs_source(f->logs);
    f->seq = 0;
    snprintf(resumed.buffer_id, sizeof resumed.buffer_id, "%s", f->buffer);
    f->source.resumed(f->source.ctx, &resumed, false, NULL);
}

__attribute__((unused)) static void stop(struct fixture *f)
{
    logs_close(f->logs);
    uv_run(&f->loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop.uv), 0);
    f->logs = NULL;
}

__attribute__((unused)) static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->root, "/tmp/test_tail.XXXXXX");
    if (!mkdtemp(f->root))
        return -1;
    snprintf(f->pods, sizeof f->pods, "%s/pods", f->root);
    snprintf(f->state, sizeof f->state, "%s/state", f->root);
    f->config.node = "node-1";
    f->config.state_folder = f->state;
    f->config.logs.root = f->pods;
    f->config.logs.max_line_bytes = 4096;
    f->config.logs.batch_raw_bytes = 64 * 1024;
    f->config.logs.rescan_ms = 60000;
    f->config.logs.max_age_ms = INT64_C(168) * 3600 * 1000;
    f->buffer = "buffer-1";
    f->stats = agent_metrics_new();
    mkdir(f->pods, 0755);
    *state = f;
    return 0;
}

__attribute__((unused)) static int remove_entry(const char *path, const struct stat *st, int type,
                                                struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

__attribute__((unused)) static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->logs)
        stop(f);
    stats_free(f->stats);
    nftw(f->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

__attribute__((unused)) static void note_metadata(struct fixture *f, struct bytes pair)
{
    struct pb_field field;
    size_t used = strlen(f->metadata);
    while (pb_next(&pair, &field) > 0)
        used +=
            (size_t)snprintf(f->metadata + used, sizeof f->metadata - used, "%.*s%c", (int)field.bytes.len,
                             (const char *)field.bytes.ptr, field.number == 1 ? '=' : ';');
}

__attribute__((unused)) static void note_entry(struct fixture *f, const char *stream, struct bytes entry)
{
    struct pb_field field, t;
    size_t used = strlen(f->got);
    while (pb_next(&entry, &field) > 0) {
        if (field.number == 3) {
            note_metadata(f, field.bytes);
            continue;
        }
        if (field.number == 2) {
            strncat(f->metadata, "\n", sizeof f->metadata - strlen(f->metadata) - 1);
            snprintf(f->got + used, sizeof f->got - used, "%s|%.*s\n", stream, (int)field.bytes.len,
                     (const char *)field.bytes.ptr);
            continue;
        }
        int64_t ns = 0;
        while (pb_next(&field.bytes, &t) > 0)
            ns += t.number == 1 ? (int64_t)t.value * 1000000000 : (int64_t)t.value;
        f->times[f->count++] = ns;
    }
}

__attribute__((unused)) static void note_batch(struct fixture *f, const struct batch *batch)
{
    struct buf raw;
    struct pb_field field, g;
    buf_init(&raw, 8 << 20);
    assert_int_equal(snap_uncompress(batch->payload, &raw), 0);
    for (struct bytes rest = buf_bytes(&raw); pb_next(&rest, &field) > 0;) {
        char stream[32] = "";
        for (struct bytes in = field.bytes; pb_next(&in, &g) > 0;) {
            if (g.number == 2) {
                note_entry(f, stream, g.bytes);
                continue;
            }
            snprintf(f->labels, sizeof f->labels, "%.*s", (int)g.bytes.len, (const char *)g.bytes.ptr);
            const char *at = memmem(g.bytes.ptr, g.bytes.len, "stream=\"", 8);
            snprintf(stream, sizeof stream, "file");
            if (!at)
                continue;
            at += strlen("stream=\"");
            const char *end = memchr(at, '"', (size_t)((const char *)g.bytes.ptr + g.bytes.len - at));
            assert_non_null(end);
            snprintf(stream, sizeof stream, "%.*s", (int)(end - at), at);
        }
    }
    buf_fini(&raw);
}

/* Seals one batch and has it committed, but not delivered. False: there was nothing. */
__attribute__((unused)) static bool take_one(struct fixture *f)
{
    struct batch *batch;
    if (f->source.seal(f->source.ctx, &batch) < 0)
        return false;
    struct wire_reply reply = {.answer = WIRE_COMMITTED};
    snprintf(reply.buffer_id, sizeof reply.buffer_id, "%s", f->buffer);
    batch->seq = ++f->seq;
    note_batch(f, batch);
    f->source.committed(f->source.ctx, batch, &reply);
    batch_free(batch);
    return true;
}

__attribute__((unused)) static void take_all(struct fixture *f)
{
    logs_rescan(f->logs);
    while (take_one(f))
        ;
    logs_rescan(f->logs); /* tidies */
}

__attribute__((unused)) static void expect(struct fixture *f, const char *got)
{
    take_all(f);
    assert_string_equal(f->got, got);
}

/* The same of what waits for a file that is finished. */
__attribute__((unused)) static void expect_soon(struct fixture *f, const char *got)
{
    for (int i = 0; i < 1000 && strcmp(f->got, got) != 0; i++) {
        take_all(f);
        (void)poll(NULL, 0, 10);
    }
    assert_string_equal(f->got, got);
}

__attribute__((unused)) static int64_t dropped(struct fixture *f, const char *cause)
{
    return stats_get(stats_cell(f->stats, AGENT_DROPPED_RECORDS, "logs", cause));
}

__attribute__((unused)) static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#endif
