/* blast.c - sealed batches at full speed into a gateway, as many agents would send them: one in flight per
 * origin.
 *
 * usage: blast ADDRESS ORIGINS SECONDS RAW_BYTES [spans | BYTES_PER_SECOND]
 *
 * Each origin resumes first and then sends the same log payload (JSON lines in Loki's push format, RAW_BYTES
 * before compression) under increasing numbers; with `spans` OTLP trace requests of 100 spans each, about 300
 * bytes a span, as many as fill RAW_BYTES. With BYTES_PER_SECOND
 * all origins together send so many compressed bytes and no more. Prints batches and compressed bytes
 * acknowledged a second and the acknowledgement's p50 and p99.
 */
#include <errno.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pb.h"
#include "base/snap.h"
#include "bench/exchange.h"

enum { MAX_ORIGINS = 64, MAX_ACKS = 1 << 20 };

struct sender {
    pthread_t thread;
    int index;
    uint64_t batches, records, bytes;
    int64_t *ack_ns;
};

static const char *address;
static int64_t deadline_ns;
static struct buf payload;
static uint64_t raw_bytes, records;
static bool has_spans;
static double rate; /* compressed bytes a second of one origin; 0: as fast as it goes */

static void put_line(struct buf *out, uint64_t n)
{
    struct buf entry;
    char line[400];
    buf_init(&entry, 1024);
    int64_t now = clock_wall_ns();
    size_t mark;
    snprintf(line, sizeof line,
             "{\"time\":%lld,\"level\":\"info\",\"msg\":\"request "
             "served\",\"method\":\"GET\",\"path\":\"/api/v1/orders/%llu\","
             "\"status\":%d,\"bytes\":%llu,\"duration_ms\":%llu,\"trace_id\":\"%016llx%016llx\"}",
             (long long)now, (unsigned long long)(n * 7919 % 100000), n % 17 ? 200 : 404,
             (unsigned long long)(n * 104729 % 65536), (unsigned long long)(n * 31 % 977),
             (unsigned long long)(n * 0x9e3779b97f4a7c15u), (unsigned long long)(n * 0xbf58476d1ce4e5b9u));
    pb_begin(&entry, 1, &mark);
    pb_put_varint(&entry, 1, (uint64_t)(now / 1000000000));
    pb_put_varint(&entry, 2, (uint64_t)(now % 1000000000));
    pb_end(&entry, mark);
    pb_put_string(&entry, 2, line);
    pb_put_bytes(out, 2, buf_bytes(&entry));
    buf_fini(&entry);
}

static uint64_t draw(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void put_attribute(struct buf *out, uint32_t number, const char *key, const char *text)
{
    size_t pair, value;
    pb_begin(out, number, &pair);
    pb_put_string(out, 1, key);
    pb_begin(out, 2, &value);
    pb_put_string(out, 1, text);
    pb_end(out, value);
    pb_end(out, pair);
}

/* Fields of trace/v1 Span. */
static void put_span(struct buf *out)
{
    uint64_t ids[4] = {draw(), draw(), draw(), draw()};
    uint64_t start = (uint64_t)clock_wall_ns();
    char text[64];
    size_t mark;
    pb_begin(out, 2, &mark);
    pb_put_bytes(out, 1, (struct bytes){(uint8_t *)ids, 16});
    pb_put_bytes(out, 2, (struct bytes){(uint8_t *)&ids[2], 8});
    pb_put_bytes(out, 4, (struct bytes){(uint8_t *)&ids[3], 8});
    pb_put_string(out, 5, "GET /api/v1/orders/{id}");
    pb_put_varint(out, 6, 2);
    pb_put_fixed64(out, 7, start);
    pb_put_fixed64(out, 8, start + draw() % 100000000);
    put_attribute(out, 9, "http.request.method", "GET");
    put_attribute(out, 9, "http.route", "/api/v1/orders/{id}");
    snprintf(text, sizeof text, "/api/v1/orders/%llu", (unsigned long long)(draw() % 100000));
    put_attribute(out, 9, "url.path", text);
    put_attribute(out, 9, "server.address", "shop.eu-1.example.org");
    snprintf(text, sizeof text, "10.42.%llu.%llu", (unsigned long long)(draw() % 256),
             (unsigned long long)(draw() % 256));
    put_attribute(out, 9, "client.address", text);
    pb_end(out, mark);
    records++;
}

static void put_trace_request(struct buf *out)
{
    size_t resource_spans, resource, scope;
    pb_begin(out, 1, &resource_spans);
    pb_begin(out, 1, &resource);
    put_attribute(out, 1, "service.name", "shop");
    put_attribute(out, 1, "k8s.pod.name", "shop-7d9f");
    pb_end(out, resource);
    pb_begin(out, 2, &scope);
    for (int i = 0; i < 100; i++)
        put_span(out);
    pb_end(out, scope);
    pb_end(out, resource_spans);
}

static void make_spans(size_t size)
{
    struct buf raw;
    buf_init(&raw, size + (1 << 20));
    buf_init(&payload, size * 2 + (1 << 20));
    while (raw.len < size)
        put_trace_request(&raw);
    raw_bytes = raw.len;
    if (snap_compress(buf_bytes(&raw), &payload) < 0)
        exit(1);
    buf_fini(&raw);
}

static void make_payload(size_t size)
{
    struct buf raw;
    size_t mark;
    buf_init(&raw, size + 4096);
    buf_init(&payload, size * 2 + 4096);
    pb_begin(&raw, 1, &mark);
    pb_put_string(
        &raw, 1,
        "{container=\"app\", job=\"shop/cart\", namespace=\"shop\", pod=\"cart-7f\", stream=\"stdout\"}");
    while (raw.len < size)
        put_line(&raw, ++records);
    pb_end(&raw, mark);
    raw_bytes = raw.len;
    if (snap_compress(buf_bytes(&raw), &payload) < 0)
        exit(1);
    buf_fini(&raw);
}

static void *run_sender(void *arg)
{
    struct sender *sender = arg;
    char origin[32];
    nng_ctx ctx;
    nng_aio *aio;
    struct buf head;
    buf_init(&head, 4096);
    nng_socket sock;
    exchange_open(address, &sock, &ctx, &aio);
    snprintf(origin, sizeof origin, "node-%03d", sender->index);
    struct batch *batch = batch_new(origin);
    uint8_t *copy = malloc(payload.len);
    memcpy(copy, payload.ptr, payload.len);
    batch_take_payload(batch, copy, payload.len);
    batch->boot = (struct boot){(uint64_t)clock_wall_ns(), clock_wall_ns()};
    batch->signal = has_spans ? TELEMETRY_TRACES : TELEMETRY_LOGS;
    batch->format = has_spans ? FORMAT_OTLP_TRACES : FORMAT_LOKI_PUSH;
    batch->records = records;
    batch->raw_bytes = raw_bytes;
    exchange_resume(ctx, aio, batch);
    int64_t begin_ns = clock_mono_ns();
    while (clock_mono_ns() < deadline_ns && sender->batches < MAX_ACKS / MAX_ORIGINS) {
        int64_t began = clock_mono_ns();
        int64_t due = begin_ns + (rate > 0 ? (int64_t)((double)sender->bytes / rate * 1e9) : 0);
        if (due > began) {
            nng_msleep((nng_duration)((due - began) / 1000000 + 1));
            continue;
        }
        batch->seq++;
        batch->earliest_ns = batch->latest_ns = batch->sent_at_ns = clock_wall_ns();
        enum wire_answer answer = exchange_batch(ctx, aio, batch, &head);
        if (answer == WIRE_BUSY) {
            batch->seq--;
            nng_msleep(20);
            continue;
        }
        if (answer != WIRE_COMMITTED) {
            fprintf(stderr, "blast: answer %d\n", (int)answer);
            exit(1);
        }
        sender->ack_ns[sender->batches++] = clock_mono_ns() - began;
        sender->bytes += payload.len;
    }
    batch_free(batch);
    exchange_close(sock, ctx, aio);
    buf_fini(&head);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(struct sender *senders, int count, double seconds)
{
    uint64_t batches = 0, bytes = 0;
    int64_t *all = calloc(MAX_ACKS, sizeof *all);
    for (int i = 0; i < count; i++) {
        for (uint64_t k = 0; k < senders[i].batches && batches < MAX_ACKS; k++)
            all[batches++] = senders[i].ack_ns[k];
        bytes += senders[i].bytes;
    }
    qsort(all, batches, sizeof *all, compare);
    printf("blast batches_per_s=%.1f compressed_mb_per_s=%.1f raw_mb_per_s=%.1f compressed_bytes=%llu "
           "batches=%llu records=%llu "
           "p50_ms=%.2f p99_ms=%.2f\n",
           (double)batches / seconds, (double)bytes / seconds / 1e6,
           (double)batches * (double)raw_bytes / seconds / 1e6, (unsigned long long)bytes,
           (unsigned long long)batches, (unsigned long long)(batches * records),
           batches ? (double)all[batches / 2] / 1e6 : 0, batches ? (double)all[batches * 99 / 100] / 1e6 : 0);
    free(all);
}

int main(int argc, char **argv)
{
    static struct sender senders[MAX_ORIGINS];
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: blast ADDRESS ORIGINS SECONDS RAW_BYTES [spans | BYTES_PER_SECOND]\n");
        return 2;
    }
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]);
    has_spans = argc == 6 && strcmp(argv[5], "spans") == 0;
    rate = argc == 6 && !has_spans && count > 0 ? atof(argv[5]) / count : 0;
    (has_spans ? make_spans : make_payload)((size_t)atol(argv[4]));
    address = argv[1];
    deadline_ns = clock_mono_ns() + (int64_t)(seconds * 1e9);
    for (int i = 0; i < count && i < MAX_ORIGINS; i++) {
        senders[i].index = i;
        senders[i].ack_ns = calloc(MAX_ACKS / MAX_ORIGINS, sizeof(int64_t));
        pthread_create(&senders[i].thread, NULL, run_sender, &senders[i]);
    }
    for (int i = 0; i < count && i < MAX_ORIGINS; i++)
        pthread_join(senders[i].thread, NULL);
    report(senders, count, seconds);
    return 0;
}
