/* meter.c - how long metrics take from their seal to Prometheus' answer: many small origins in front of a
 * gateway, and a proxy between the gateway and Prometheus that sees the answers.
 *
 * usage: meter GATEWAY ORIGINS PERIOD_MS PROXY_PORT PROMETHEUS_PORT
 *
 * Each origin seals SERIES samples every PERIOD_MS, all with the time of the seal as their value, and sends
 * them as an agent does. The proxy passes requests on unchanged; when Prometheus has answered 2xx, what the
 * request held is as old as its values say. The clock ends where the answer's head is in, before the
 * gateway has it. A line on standard input prints what was measured since the line before:
 *
 *   meter count=N p50_ms=N p90_ms=N p99_ms=N most_ms=N refused=N busy=N
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pb.h"
#include "base/snap.h"
#include "bench/exchange.h"

enum { SERIES = 50, MOST = 1 << 20, HEAD_MAX = 65536, RAW_MAX = 64 << 20 };

struct origin {
    pthread_t thread;
    int index, count;
};

static const char *gateway;
static int period_ms, upstream_port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double ages_ms[MOST]; /* under lock, and so is count */
static size_t count;
static atomic_uint refused, busy;

/* ---- what is sealed: prometheus.WriteRequest (remote write 1.0) */

static void put_label(struct buf *out, const char *name, const char *value)
{
    size_t mark;
    pb_begin(out, 1, &mark);
    pb_put_string(out, 1, name);
    pb_put_string(out, 2, value);
    pb_end(out, mark);
}

static void put_series(struct buf *out, int origin, int series, double value, int64_t ms)
{
    char name[32], number[32];
    size_t mark, sample;
    snprintf(name, sizeof name, "meter-%d", origin);
    snprintf(number, sizeof number, "%d", series);
    pb_begin(out, 1, &mark);
    put_label(out, "__name__", "bench_sealed_seconds");
    put_label(out, "instance", name);
    put_label(out, "series", number);
    pb_begin(out, 2, &sample);
    pb_put_double(out, 1, value);
    pb_put_varint(out, 2, (uint64_t)ms);
    pb_end(out, sample);
    pb_end(out, mark);
}

static void seal(struct batch *batch, int origin)
{
    struct buf raw, packed;
    int64_t now_ns = clock_wall_ns();
    buf_init(&raw, RAW_MAX);
    buf_init(&packed, RAW_MAX);
    for (int i = 0; i < SERIES; i++)
        put_series(&raw, origin, i, (double)now_ns / 1e9, now_ns / 1000000);
    if (snap_compress(buf_bytes(&raw), &packed) < 0)
        exit(1);
    batch->seq++;
    batch->records = SERIES;
    batch->raw_bytes = raw.len;
    batch->earliest_ns = batch->latest_ns = now_ns / 1000000 * 1000000;
    batch_take_payload(batch, packed.ptr, packed.len);
    buf_fini(&raw);
}

static void *run_origin(void *arg)
{
    struct origin *origin = arg;
    char name[32];
    nng_socket sock;
    nng_ctx ctx;
    nng_aio *aio;
    struct buf head;
    buf_init(&head, 4096);
    snprintf(name, sizeof name, "meter-%d", origin->index);
    exchange_open(gateway, &sock, &ctx, &aio);
    struct boot boot = {(uint64_t)clock_wall_ns(), clock_wall_ns()};
    uint64_t seq = 0;
    int64_t due_ns = clock_mono_ns() + (int64_t)period_ms * 1000000 * origin->index / origin->count;
    for (bool is_known = false;; due_ns += (int64_t)period_ms * 1000000) {
        int64_t wait_ns = due_ns - clock_mono_ns();
        if (wait_ns > 0)
            nanosleep(&(struct timespec){wait_ns / 1000000000, wait_ns % 1000000000}, NULL);
        struct batch *batch = batch_new(name);
        batch->boot = boot;
        batch->signal = TELEMETRY_METRICS;
        batch->format = FORMAT_REMOTE_WRITE_1;
        batch->seq = seq;
        if (!is_known)
            exchange_resume(ctx, aio, batch);
        is_known = true;
        seal(batch, origin->index);
        batch->sent_at_ns = clock_wall_ns();
        enum wire_answer answer;
        while ((answer = exchange_batch(ctx, aio, batch, &head)) == WIRE_BUSY) {
            atomic_fetch_add(&busy, 1);
            nng_msleep(20);
        }
        if (answer != WIRE_COMMITTED) {
            fprintf(stderr, "meter: answer %d\n", (int)answer);
            exit(1);
        }
        seq = batch->seq;
        batch_free(batch);
    }
    return NULL;
}

/* ---- the proxy */

static void note_series(struct bytes series, double now_s, double *last)
{
    struct pb_field field, inner;
    while (pb_next(&series, &field) > 0) {
        struct bytes sample = field.bytes;
        if (field.number != 2)
            continue;
        while (pb_next(&sample, &inner) > 0) {
            double value;
            memcpy(&value, &inner.value, sizeof value);
            if (inner.number != 1 || value == *last)
                continue;
            *last = value; /* a batch's samples have one time and stand together */
            pthread_mutex_lock(&lock);
            if (count < MOST)
                ages_ms[count++] = (now_s - value) * 1e3;
            pthread_mutex_unlock(&lock);
        }
    }
}

static void note(struct bytes body, int64_t now_ns)
{
    struct buf raw;
    struct pb_field field;
    double last = 0;
    buf_init(&raw, RAW_MAX);
    if (snap_uncompress(body, &raw) < 0)
        exit(1);
    struct bytes rest = buf_bytes(&raw);
    while (pb_next(&rest, &field) > 0)
        if (field.number == 1)
            note_series(field.bytes, (double)now_ns / 1e9, &last);
    buf_fini(&raw);
}

static int open_socket(int port, bool is_server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int rv = is_server ? bind(fd, (struct sockaddr *)&at, sizeof at)
                       : connect(fd, (struct sockaddr *)&at, sizeof at);
    if (rv < 0 || (is_server && listen(fd, 64) < 0)) {
        close(fd);
        return -errno;
    }
    return fd;
}

/* Reads a message with a Content-Length. False: the peer has gone. */
static bool take(int from, struct buf *message, size_t *ret_body)
{
    size_t want = 0;
    buf_clear(message);
    *ret_body = 0;
    while (!*ret_body || message->len < want) {
        if (buf_reserve(message, HEAD_MAX) < 0)
            return false;
        ssize_t n = read(from, message->ptr + message->len, HEAD_MAX);
        if (n <= 0)
            return false;
        message->len += (size_t)n;
        const uint8_t *end = memmem(message->ptr, message->len, "\r\n\r\n", 4);
        if (*ret_body || !end)
            continue;
        *ret_body = (size_t)(end - message->ptr) + 4;
        char head[2048];
        snprintf(head, sizeof head, "%.*s", (int)*ret_body, (const char *)message->ptr);
        const char *length = strcasestr(head, "content-length:");
        want = *ret_body + (length ? strtoul(length + 15, NULL, 10) : 0);
    }
    return true;
}

static bool put(int to, const struct buf *message)
{
    for (size_t sent = 0; sent < message->len;) {
        ssize_t n = write(to, message->ptr + sent, message->len - sent);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

static void *run_connection(void *arg)
{
    int client = (int)(intptr_t)arg, server = open_socket(upstream_port, false);
    struct buf request, answer;
    size_t body, answer_body;
    buf_init(&request, RAW_MAX);
    buf_init(&answer, RAW_MAX);
    while (server >= 0 && take(client, &request, &body)) {
        if (request.ptr[0] !=
            'P') /* what is not posted is not for a proxy of posts: the gateway lives without it */
            break;
        if (!put(server, &request) || !take(server, &answer, &answer_body))
            break;
        int64_t now_ns = clock_wall_ns();
        if (!put(client, &answer))
            break;
        if (answer.len > 9 && answer.ptr[9] == '2')
            note(bytes_skip(buf_bytes(&request), body), now_ns);
        else
            atomic_fetch_add(&refused, 1);
    }
    buf_fini(&request);
    buf_fini(&answer);
    close(client);
    if (server >= 0)
        close(server);
    return NULL;
}

static void *run_proxy(void *arg)
{
    int listener = (int)(intptr_t)arg, on = 1;
    for (;;) {
        pthread_t thread;
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, run_connection, (void *)(intptr_t)client) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

/* ---- what came out */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(void)
{
    static double sorted[MOST];
    pthread_mutex_lock(&lock);
    size_t n = count;
    memcpy(sorted, ages_ms, n * sizeof *sorted);
    count = 0;
    pthread_mutex_unlock(&lock);
    qsort(sorted, n, sizeof *sorted, compare);
    printf("meter count=%zu p50_ms=%.2f p90_ms=%.2f p99_ms=%.2f most_ms=%.2f refused=%u busy=%u\n", n,
           n ? sorted[n / 2] : 0, n ? sorted[n * 9 / 10] : 0, n ? sorted[n * 99 / 100] : 0,
           n ? sorted[n - 1] : 0, atomic_exchange(&refused, 0), atomic_exchange(&busy, 0));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[16];
    pthread_t proxy;
    if (argc != 6) {
        fprintf(stderr, "usage: meter GATEWAY ORIGINS PERIOD_MS PROXY_PORT PROMETHEUS_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    gateway = argv[1];
    period_ms = atoi(argv[3]);
    upstream_port = atoi(argv[5]);
    int origins = atoi(argv[2]), listener = open_socket(atoi(argv[4]), true);
    struct origin *all = calloc((size_t)origins, sizeof *all);
    if (listener < 0 || !all || pthread_create(&proxy, NULL, run_proxy, (void *)(intptr_t)listener) != 0)
        return 1;
    for (int i = 0; i < origins; i++) {
        all[i] = (struct origin){.index = i, .count = origins};
        pthread_create(&all[i].thread, NULL, run_origin, &all[i]);
    }
    while (fgets(line, sizeof line, stdin))
        report();
    _exit(0); /* its threads never end */
}
