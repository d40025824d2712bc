/* log_path.c - what a log line costs in the agent: the sealing path without network, against a bare loop of
 * read + newline scan + CRI parse + protobuf append + snappy over the same file.
 *
 *   log_path generate json|random BYTES FILE      writes CRI lines
 *   log_path bare FILE                            prints bytes, lines, CPU seconds
 *   log_path seal FOLDER STATE                    the same, of FOLDER laid out as /var/log/pods
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "node-agent/logs/cri.h"
#include "node-agent/logs/logs.h"
#include "node-agent/metrics.h"

enum { BLOCK = 1 << 20, BATCH = 2 << 20, LINE = 220 };

/* Nobody ships here: the program asks for batches itself. */
void ship_wake(struct ship *ship, enum telemetry signal)
{
    (void)ship;
    (void)signal;
}

void ship_ask(struct ship *ship, enum telemetry signal)
{
    (void)ship;
    (void)signal;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void report(const char *name, uint64_t bytes, uint64_t lines, uint64_t sent, double cpu, double wall)
{
    printf("%s bytes=%" PRIu64 " lines=%" PRIu64 " compressed=%" PRIu64
           " cpu_s=%.3f mb_per_s=%.0f cpu_s_per_gb=%.3f\n",
           name, bytes, lines, sent, cpu, (double)bytes / wall * 1e-6, cpu / ((double)bytes * 1e-9));
}

/* ---- input ---- */

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int json_text(char *text, size_t size, uint64_t n)
{
    static const char *const levels[] = {"info", "info", "info", "warn", "error"};
    static const char *const paths[] = {"/api/v1/orders", "/api/v1/users", "/healthz", "/api/v2/search"};
    return snprintf(
        text, size,
        "{\"level\":\"%s\",\"ts\":%" PRIu64 ".%03d,\"msg\":\"request handled\",\"method\":\"GET\",\"path\":"
        "\"%s/%" PRIu64 "\",\"status\":%d,\"duration_ms\":%d,\"request_id\":\"%016" PRIx64 "\"}",
        levels[next_random() % 5], UINT64_C(1700000000) + n / 1000, (int)(n % 1000), paths[next_random() % 4],
        next_random() % 100000, next_random() % 20 ? 200 : 500, (int)(next_random() % 900), next_random());
}

static int random_text(char *text, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        text[i] = (char)(33 + next_random() % 94);
    text[size - 1] = '\0';
    return (int)size - 1;
}

static int generate(const char *kind, uint64_t bytes, const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return perror(path), 1;
    int64_t now_ns = clock_wall_ns() - 3600 * INT64_C(1000000000);
    uint64_t written = 0;
    for (uint64_t n = 0; written < bytes; n++) {
        char text[512], second[32];
        now_ns += 20000;
        time_t seconds = (time_t)(now_ns / 1000000000);
        struct tm tm;
        strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
        if (strcmp(kind, "json") == 0)
            json_text(text, sizeof text, n);
        else
            random_text(text, LINE);
        written += (uint64_t)fprintf(out, "%s.%09dZ stdout F %s\n", second, (int)(now_ns % 1000000000), text);
    }
    return fclose(out) ? 1 : 0;
}

/* ---- the bare loop: nothing but the unavoidable ---- */

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put_entry(uint8_t *p, const struct cri_line *line)
{
    uint8_t time[16], *t = time;
    *t++ = 0x08;
    t = put_varint(t, (uint64_t)(line->time_ns / 1000000000));
    *t++ = 0x10;
    t = put_varint(t, (uint64_t)(line->time_ns % 1000000000));
    size_t time_len = (size_t)(t - time), len = line->text.len, digits = len < 128 ? 1 : len < 16384 ? 2 : 3;
    *p++ = 0x12;
    p = put_varint(p, 2 + time_len + 1 + digits + len);
    *p++ = 0x0a;
    *p++ = (uint8_t)time_len;
    memcpy(p, time, time_len);
    p += time_len;
    *p++ = 0x12;
    p = put_varint(p, len);
    memcpy(p, line->text.ptr, len);
    return p + len;
}

static int bare(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return perror(path), 1;
    uint8_t *block = malloc(BLOCK), *raw = malloc(BATCH + BLOCK);
    size_t most = snappy_max_compressed_length(BATCH + BLOCK), kept = 0, len;
    char *compressed = malloc(most);
    struct cri_clock clock = {0};
    uint64_t bytes = 0, lines = 0, sent = 0;
    uint8_t *end = raw;
    double cpu = cpu_seconds();
    int64_t start_ns = clock_mono_ns();
    ssize_t n;
    while (block && raw && compressed && (n = read(fd, block + kept, BLOCK - kept)) > 0) {
        const uint8_t *p = block, *newline, *stop = block + kept + (size_t)n;
        bytes += (uint64_t)n;
        for (; (newline = memchr(p, '\n', (size_t)(stop - p))); p = newline + 1, lines++) {
            struct cri_line line;
            if (cri_parse(&clock, (struct bytes){p, (size_t)(newline - p)}, &line) == 0)
                end = put_entry(end, &line);
            if (end - raw < BATCH)
                continue;
            len = most;
            snappy_compress((char *)raw, (size_t)(end - raw), compressed, &len);
            sent += len;
            end = raw;
        }
        kept = (size_t)(stop - p);
        memmove(block, p, kept);
    }
    len = most;
    snappy_compress((char *)raw, (size_t)(end - raw), compressed, &len);
    report("bare", bytes, lines, sent + len, cpu_seconds() - cpu,
           (double)(clock_mono_ns() - start_ns) * 1e-9);
    close(fd);
    free(block);
    free(raw);
    free(compressed);
    return 0;
}

/* ---- the agent's path ---- */

static int seal(const char *folder, const char *state)
{
    struct agent_config config = {.node = "bench", .state_folder = state};
    config.logs.root = folder;
    config.logs.max_line_bytes = 256 * 1024;
    config.logs.batch_raw_bytes = BATCH;
    config.logs.rescan_ms = 10000;
    config.logs.max_age_ms = INT64_C(168) * 3600 * 1000;
    struct loop loop = {0};
    struct stats *stats = agent_metrics_new();
    struct logs *logs;
    struct batch *batch;
    double cpu = cpu_seconds();
    int64_t start_ns = clock_mono_ns();
    int err = uv_loop_init(&loop.uv);
    if (err == 0)
        err = logs_new(&loop, &config, stats, &logs);
    if (err < 0)
        return fprintf(stderr, "%s: %s\n", folder, strerror(-err)), 1;
    struct ship_source source = logs_source(logs);
    struct wire_resume_reply resumed = {.buffer_id = "bench"};
    struct wire_reply committed = {.answer = WIRE_COMMITTED, .buffer_id = "bench"};
    uint64_t bytes = 0, lines = 0, sent = 0;
    source.resumed(source.ctx, &resumed, false, NULL);
    while (source.seal(source.ctx, &batch) == 0) {
        for (size_t i = 0; i < batch->source_count; i++)
            bytes += batch->sources[i].end - batch->sources[i].begin;
        lines += batch->records;
        sent += batch->payload.len;
        committed.delivered_seq = ++batch->seq;
        source.committed(source.ctx, batch, &committed);
        batch_free(batch);
    }
    report("seal", bytes, lines, sent, cpu_seconds() - cpu, (double)(clock_mono_ns() - start_ns) * 1e-9);
    logs_close(logs);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    stats_free(stats);
    return uv_loop_close(&loop.uv) < 0;
}

int main(int argc, char **argv)
{
    memory_init(); /* as the agent does */
    if (argc == 5 && strcmp(argv[1], "generate") == 0)
        return generate(argv[2], strtoull(argv[3], NULL, 10), argv[4]);
    if (argc == 3 && strcmp(argv[1], "bare") == 0)
        return bare(argv[2]);
    if (argc == 4 && strcmp(argv[1], "seal") == 0)
        return seal(argv[2], argv[3]);
    fprintf(stderr, "usage: %s generate json|random BYTES FILE | bare FILE | seal FOLDER STATE\n", argv[0]);
    return 2;
}
