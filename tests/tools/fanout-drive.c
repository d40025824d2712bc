/* fanout-drive - a buffer and its fan-out without the rest of the gateway, driven by lines on stdin.
 *
 *   fanout-drive FOLDER SIGNAL URL [LANES [OPTION...]]    SIGNAL: metrics, logs, traces; the backend's name
 * is "backend". OPTION: otlp (what is appended is OTLP), native (native histograms), delta (cumulated),
 * no_scope
 *
 * append ORIGIN BOOT SEQ RECORDS EARLIEST_NS LATEST_NS HANDED_OVER FILE   FILE: the raw message; answers
 * "committed" or "repeated" start            starts fan-out; answers "started" ledger           answers
 * "accepted N buffered N delivered N repeated N ... in_doubt N requests N away 0|1" stop MS          stops
 * fan-out; answers "stopped"
 *
 * One answer a line; ends at the end of stdin. Made to be killed at any moment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/snap.h"
#include "gateway/fanout/fanout.h"
#include "gateway/metrics.h"

enum { MOST_FILE = 64 << 20 };

struct drive {
    struct buffer *buffers[TELEMETRY_COUNT];
    enum telemetry signal;
    bool is_otlp;
    struct gateway_backend_config backend;
    struct gateway_config config;
    struct stats *stats;
    struct fanout *fanout;
    struct mailbox mailbox;
    int bell[2]; /* a pipe */
};

static void fail(const char *what)
{
    fprintf(stderr, "fanout-drive: %s\n", what);
    exit(1);
}

static void ring(void *ctx)
{
    struct drive *drive = ctx;
    if (write(drive->bell[1], "", 1) != 1)
        abort();
}

static void read_file(const char *path, struct buf *raw)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0;
    if (!f)
        fail(path);
    do {
        raw->len += n;
        if (buf_reserve(raw, 65536) < 0)
            fail("file too large");
    } while ((n = fread(raw->ptr + raw->len, 1, 65536, f)) > 0);
    fclose(f);
}

static void take_payload(struct batch *batch, const char *path)
{
    struct buf raw, block;
    size_t len;
    buf_init(&raw, MOST_FILE);
    buf_init(&block, MOST_FILE);
    read_file(path, &raw);
    if (snap_compress(buf_bytes(&raw), &block) < 0)
        fail("snappy");
    batch->raw_bytes = raw.len;
    uint8_t *bytes = buf_detach(&block, &len);
    batch_take_payload(batch, bytes, len);
    buf_fini(&raw);
}

static void on_appended(struct letter *letter)
{
    struct buffer_append *append = (struct buffer_append *)(void *)letter;
    if (append->outcome == BUFFER_FULL || append->outcome == BUFFER_FAILED)
        fail("the buffer took nothing");
    puts(append->outcome == BUFFER_COMMITTED ? "committed" : "repeated");
    batch_free(append->batch);
}

static void do_append(struct drive *drive, const char *line)
{
    static const enum batch_format formats[] = {FORMAT_REMOTE_WRITE_1, FORMAT_LOKI_PUSH, FORMAT_OTLP_TRACES};
    static const enum batch_format otlp[] = {FORMAT_OTLP_METRICS, FORMAT_OTLP_LOGS, FORMAT_OTLP_TRACES};
    char origin[128], path[1024], bell;
    unsigned long long boot, seq, records;
    long long earliest, latest;
    int handed_over;
    if (sscanf(line, "append %127s %llu %llu %llu %lld %lld %d %1023s", origin, &boot, &seq, &records,
               &earliest, &latest, &handed_over, path) != 8)
        fail(line);
    struct batch *batch = batch_new(origin);
    if (!batch)
        fail("memory");
    batch->boot = (struct boot){boot, (int64_t)boot};
    batch->signal = drive->signal;
    batch->format = (drive->is_otlp ? otlp : formats)[drive->signal];
    batch->seq = seq;
    batch->records = records;
    batch->earliest_ns = earliest;
    batch->latest_ns = latest;
    batch->handed_over = handed_over != 0;
    if (batch->handed_over && batch_add_owed(batch, "backend") < 0)
        fail("memory");
    take_payload(batch, path);
    struct buffer_append append = {.letter.open = on_appended, .reply_to = &drive->mailbox, .batch = batch};
    buffer_append(drive->buffers[drive->signal], &append);
    do {
        if (read(drive->bell[0], &bell, 1) != 1)
            fail("bell");
    } while (mailbox_drain(&drive->mailbox) == 0);
}

static void do_ledger(struct drive *drive)
{
    struct fanout_view view;
    const char *signal = telemetry_name(drive->signal);
    if (!drive->fanout || fanout_views(drive->fanout, &view, 1) != 1)
        fail("ledger before start");
    printf("accepted %llu buffered %llu", (unsigned long long)view.ledger.accepted,
           (unsigned long long)view.ledger.buffered);
    for (int c = 0; c < BUFFER_CAUSES; c++)
        printf(" %s %llu", buffer_cause_name((enum buffer_cause)c),
               (unsigned long long)view.ledger.by_cause[c]);
    printf(" in_doubt %lld requests %lld away %d\n",
           (long long)stats_get(stats_cell(drive->stats, GATEWAY_IN_DOUBT, signal, "backend")),
           (long long)stats_get(stats_cell(drive->stats, GATEWAY_REQUESTS, signal, "backend", "delivered")),
           view.away);
}

static void do_line(struct drive *drive, const char *line)
{
    if (strncmp(line, "append ", 7) == 0)
        do_append(drive, line);
    else if (strncmp(line, "ledger", 6) == 0)
        do_ledger(drive);
    else if (strncmp(line, "start", 5) == 0 && !drive->fanout) {
        if (fanout_new(&drive->config, drive->buffers, drive->stats, &drive->fanout) < 0)
            fail("fan-out does not start");
        puts("started");
    } else if (strncmp(line, "stop ", 5) == 0) {
        fanout_stop(drive->fanout, strtoll(line + 5, NULL, 10));
        drive->fanout = NULL;
        puts("stopped");
    } else
        fail(line);
    fflush(stdout);
}

static void take_option(struct drive *drive, const char *option)
{
    struct gateway_backend_otlp *otlp = &drive->backend.otlp;
    if (strcmp(option, "otlp") == 0)
        drive->is_otlp = true;
    else if (strcmp(option, "native") == 0)
        otlp->native_histograms = true;
    else if (strcmp(option, "delta") == 0)
        otlp->delta_to_cumulative = true;
    else if (strcmp(option, "no_scope") == 0)
        otlp->scope_labels = false;
    else if (strncmp(option, "ca=", 3) == 0)
        drive->backend.tls.ca_file = option + 3;
    else
        fail(option);
}

static void set_up(struct drive *drive, char **argv, int argc)
{
    static const char *const names[] = {"backend"};
    struct conf_list list = {&drive->backend, 1};
    struct buf errors;
    buf_init(&errors, 65536);
    drive->signal = strcmp(argv[2], "logs") == 0     ? TELEMETRY_LOGS
                    : strcmp(argv[2], "traces") == 0 ? TELEMETRY_TRACES
                                                     : TELEMETRY_METRICS;
    drive->backend = (struct gateway_backend_config){.name = names[0],
                                                     .url = argv[3],
                                                     .timeout_ms = 10000,
                                                     .lanes = argc > 4 ? strtol(argv[4], NULL, 10) : 4};
    drive->backend.otlp = (struct gateway_backend_otlp){
        .scope_labels = true, .target_info = true, .delta_memory_bytes = 1 << 20};
    for (int i = 5; i < argc; i++)
        take_option(drive, argv[i]);
    *(drive->signal == TELEMETRY_LOGS     ? &drive->config.logs.backends
      : drive->signal == TELEMETRY_TRACES ? &drive->config.traces.backends
                                          : &drive->config.metrics.backends) = list;
    struct buffer_options options = {.folder = argv[1],
                                     .signal = drive->signal,
                                     .quota_bytes = 1 << 30,
                                     .retention_ms = 3600000,
                                     .backends = names,
                                     .backend_count = 1};
    if (buffer_open(&options, &drive->buffers[drive->signal], &errors) < 0)
        fail("the buffer does not open");
    buf_fini(&errors);
    if (pipe(drive->bell) < 0)
        fail("pipe");
    mailbox_init(&drive->mailbox, ring, drive);
    drive->stats = gateway_metrics_new();
}

int main(int argc, char **argv)
{
    static struct drive drive;
    char *line = NULL;
    size_t room = 0;
    if (argc < 4)
        fail("usage: fanout-drive FOLDER SIGNAL URL [LANES [OPTION...]]");
    set_up(&drive, argv, argc);
    while (getline(&line, &room, stdin) >= 0)
        do_line(&drive, line);
    free(line);
    fanout_stop(drive.fanout, 1000);
    buffer_close(drive.buffers[drive.signal]);
    stats_free(drive.stats);
    mailbox_fini(&drive.mailbox);
    return 0;
}
