/* bare_sender.c - posts requests as fast as a backend takes them: what a drain of a backlog is compared with.
 *
 * usage: bare_sender PORT PATH CONNECTIONS FILE
 *
 * FILE holds requests: each a decimal length, a space, the decoded size, a newline, and the body (a snappy
 * block). They are read into memory first. Each connection posts the next one when it has its answer; what is
 * answered 429 or 5xx is posted again after a moment, every other answer must be 2xx. Prints
 *
 *   bare requests=N raw_bytes=N retries=N seconds=S
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { MOST_REQUESTS = 1 << 20, MOST_CONNECTIONS = 64, RETRY_MS = 100 };

struct request {
    uint8_t *body; /* owned */
    size_t len, raw;
};

static struct request *requests;
static size_t count;
static atomic_size_t next, retries;
static int port;
static const char *path;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void read_requests(const char *name)
{
    FILE *file = fopen(name, "re");
    requests = calloc(MOST_REQUESTS, sizeof *requests);
    if (!file || !requests)
        fail(name);
    for (struct request *r = requests; count < MOST_REQUESTS; r++, count++) {
        if (fscanf(file, "%zu %zu", &r->len, &r->raw) != 2)
            break;
        if (fgetc(file) != '\n' || !(r->body = malloc(r->len)) || fread(r->body, 1, r->len, file) != r->len)
            fail(name);
    }
    fclose(file);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        fail("connect");
    return fd;
}

static void put(int fd, const void *from, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = write(fd, (const uint8_t *)from + sent, len - sent);
        if (n <= 0)
            fail("write");
        sent += (size_t)n;
    }
}

/* The head and what a Content-Length says follows. False: it is to be posted again. */
static bool take_answer(int fd)
{
    char answer[16384];
    size_t len = 0, want = 0;
    while (!want || len < want) {
        ssize_t n = read(fd, answer + len, sizeof answer - 1 - len);
        if (n <= 0)
            fail("read");
        len += (size_t)n;
        answer[len] = '\0';
        const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "content-length:");
        if (!want && end)
            want = (size_t)(end - answer) + 4 + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
    }
    if (answer[9] == '2')
        return true;
    fprintf(stderr, "bare_sender: %s\n", answer);
    if (answer[9] != '5' && strncmp(answer + 9, "429", 3) != 0)
        exit(1);
    atomic_fetch_add(&retries, 1);
    return false;
}

static void post(int fd, const struct request *request)
{
    char head[512];
    int len = snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                       "application/x-protobuf\r\nContent-Encoding: snappy\r\nContent-Length: %zu\r\n\r\n",
                       path, port, request->len);
    for (;;) {
        put(fd, head, (size_t)len);
        put(fd, request->body, request->len);
        if (take_answer(fd))
            return;
        nanosleep(&(struct timespec){0, RETRY_MS * 1000000}, NULL);
    }
}

static void *run(void *arg)
{
    int fd = dial();
    (void)arg;
    for (size_t i; (i = atomic_fetch_add(&next, 1)) < count;)
        post(fd, &requests[i]);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[MOST_CONNECTIONS];
    size_t raw = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: bare_sender PORT PATH CONNECTIONS FILE\n");
        return 2;
    }
    port = atoi(argv[1]);
    path = argv[2];
    int connections = atoi(argv[3]);
    read_requests(argv[4]);
    int64_t began = clock_mono_ns();
    for (int i = 0; i < connections && i < MOST_CONNECTIONS; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            fail("thread");
    for (int i = 0; i < connections && i < MOST_CONNECTIONS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < count; i++)
        raw += requests[i].raw;
    printf("bare requests=%zu raw_bytes=%zu retries=%zu seconds=%.3f\n", count, raw, atomic_load(&retries),
           (double)(clock_mono_ns() - began) / 1e9);
    return 0;
}
