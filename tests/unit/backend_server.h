/* backend_server.h - a small HTTP/1.1 server for tests that records what is posted to it and answers as told.
 *
 * One thread a connection. The answer is computed by a function of the test; the raw body is uncompressed
 * already.
 */
#ifndef TESTS_UNIT_BACKEND_SERVER_H
#define TESTS_UNIT_BACKEND_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/snap.h"

struct server_answer {
    int status;         /* 0: the connection is closed without an answer */
    const char *text;   /* body; NULL: none */
    const char *header; /* one more header line without its end, NULL: none */
    int hold_ms;        /* answer only after the server was released, or this long; 0: at once */
};

struct server_request {
    struct bytes raw;    /* uncompressed */
    const char *headers; /* as received, NUL-terminated */
};

struct backend_server {
    int listener, port;
    struct server_answer (*answer)(void *ctx, const struct server_request *request); /* under the lock */
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int requests, connections, in_flight, most_in_flight;
    int is_closing;
    pthread_t thread;
    pthread_t workers[256];
    int sockets[256];
    int worker_count;
};

enum { SERVER_MOST_REQUEST = 64 << 20 };

struct worker {
    struct backend_server *server;
    int index;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

/* Reads until `in` holds a whole request; false at the end of the connection. */
static bool read_request(int fd, struct buf *in, size_t *ret_head, size_t *ret_body)
{
    for (;;) {
        char *end = in->len ? memmem(in->ptr, in->len, "\r\n\r\n", 4) : NULL;
        if (end) {
            size_t head = (size_t)(end - (char *)in->ptr) + 4;
            char *length = memmem(in->ptr, head, "Content-Length: ", 16);
            size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
            if (in->len >= head + body) {
                *ret_head = head;
                *ret_body = body;
                return true;
            }
        }
        must(buf_reserve(in, 65536) == 0, "reserve");
        ssize_t n = read(fd, in->ptr + in->len, 65536);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
    }
}

static void hold(struct backend_server *server, int hold_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += hold_ms / 1000;
    until.tv_nsec += hold_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!server->is_closing &&
           pthread_cond_timedwait(&server->changed, &server->lock, &until) != ETIMEDOUT)
        continue;
}

static struct server_answer decide(struct backend_server *server, const struct server_request *request)
{
    pthread_mutex_lock(&server->lock);
    server->requests++;
    if (++server->in_flight > server->most_in_flight)
        server->most_in_flight = server->in_flight;
    struct server_answer answer = server->answer(server->ctx, request);
    if (answer.hold_ms)
        hold(server, answer.hold_ms);
    server->in_flight--;
    pthread_mutex_unlock(&server->lock);
    return answer;
}

static bool write_answer(int fd, const struct server_answer *answer)
{
    struct buf out;
    const char *text = answer->text ? answer->text : "";
    buf_init(&out, 65536);
    buf_printf(&out, "HTTP/1.1 %d X\r\n%s%s", answer->status, answer->header ? answer->header : "",
               answer->header ? "\r\n" : "");
    if (answer->status != 204)
        buf_printf(&out, "Content-Length: %zu\r\n", strlen(text));
    buf_printf(&out, "\r\n%s", answer->status == 204 ? "" : text);
    bool ok = send(fd, out.ptr, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
    buf_fini(&out);
    return ok;
}

static bool serve_one(struct backend_server *server, int fd, struct buf *in)
{
    size_t head, body;
    struct buf raw;
    if (!read_request(fd, in, &head, &body))
        return false;
    buf_init(&raw, SERVER_MOST_REQUEST);
    in->ptr[head - 1] = 0;
    must(snap_uncompress((struct bytes){in->ptr + head, body}, &raw) == 0, "the body is no snappy block");
    struct server_request request = {buf_bytes(&raw), (char *)in->ptr};
    struct server_answer answer = decide(server, &request);
    buf_fini(&raw);
    memmove(in->ptr, in->ptr + head + body, in->len - head - body);
    in->len -= head + body;
    return answer.status && write_answer(fd, &answer);
}

static void *serve(void *ctx)
{
    struct worker *worker = ctx;
    struct backend_server *server = worker->server;
    int fd = server->sockets[worker->index];
    struct buf in;
    buf_init(&in, SERVER_MOST_REQUEST);
    while (serve_one(server, fd, &in))
        continue;
    shutdown(fd, SHUT_RDWR);
    buf_fini(&in);
    free(worker);
    return NULL;
}

static void *accept_all(void *ctx)
{
    struct backend_server *server = ctx;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        struct worker *worker = malloc(sizeof *worker);
        must(worker && server->worker_count < 256, "worker");
        pthread_mutex_lock(&server->lock);
        server->connections++;
        *worker = (struct worker){server, server->worker_count};
        server->sockets[server->worker_count] = fd;
        must(pthread_create(&server->workers[server->worker_count++], NULL, serve, worker) == 0,
             "pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

/* backend_server_start: on 127.0.0.1, on an ephemeral port when port is 0. */
static void backend_server_start(struct backend_server *server, int port,
                                 struct server_answer (*answer)(void *ctx,
                                                                const struct server_request *request),
                                 void *ctx)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1;
    *server = (struct backend_server){.answer = answer, .ctx = ctx};
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(server->listener, 64) == 0, "listen");
    must(getsockname(server->listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    server->port = ntohs(address.sin_port);
    must(pthread_create(&server->thread, NULL, accept_all, server) == 0, "pthread_create");
}

static void backend_server_stop(struct backend_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    server->is_closing = 1;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < server->worker_count; i++) {
        shutdown(server->sockets[i], SHUT_RDWR);
        pthread_join(server->workers[i], NULL);
        close(server->sockets[i]);
    }
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
}

/* backend_server_has_header: whether the request holds the header line (name: value, exactly). */
__attribute__((unused)) static int backend_server_has_header(const struct server_request *request,
                                                             const char *line)
{
    const char *at = strcasestr(request->headers, line);
    return at && (at == request->headers || at[-1] == '\n') && strchr("\r", at[strlen(line)]) != NULL;
}

#endif
