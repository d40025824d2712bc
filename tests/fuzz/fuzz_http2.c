/* The HTTP/2 path of the server over a real socket: the input follows the connection preface. Two routes
 * answer, at once and by gRPC; whatever comes, the server ends the connection by itself and holds nothing for
 * it afterwards.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/http/grpc.h"
#include "base/http/http_connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_TURNS = 20000 };

static uv_loop_t loop;
static struct http_server *server;
static char path[64];

static void answer(struct http_request *request, void *ctx)
{
    (void)ctx;
    http_answer_text(request, 200, "here\n");
}

static void answer_grpc(struct http_request *request, void *ctx)
{
    struct buf storage;
    struct bytes message;
    char trailers[64];
    (void)ctx;
    buf_init(&storage, 0);
    int err = grpc_message(http_request_body(request), http_request_header(request, "grpc-encoding"), 20000,
                           &storage, &message);
    snprintf(trailers, sizeof trailers, "grpc-status: %d\r\n", err < 0 ? GRPC_INVALID_ARGUMENT : GRPC_OK);
    http_answer_trailers(request, 200, NULL, "application/grpc", err < 0 ? (struct bytes){0} : message,
                         trailers);
    buf_fini(&storage);
}

static const struct http_route routes[] = {
    {"GET", "/", answer},
    {"POST", "/", answer},
    {"POST", "/s/Export", answer_grpc},
    {0},
};

static void open_server(void)
{
    struct http_limits limits = {.head_bytes = 4000,
                                 .body_bytes = 4000,
                                 .raw_body_bytes = 20000,
                                 .in_flight_bytes = 40000,
                                 .streams = 8};
    signal(SIGPIPE, SIG_IGN);
    snprintf(path, sizeof path, "unix:/tmp/fuzz-http2-%d", (int)getpid());
    if (uv_loop_init(&loop) || http_server_new(&loop, path, routes, NULL, &limits, &server) < 0)
        abort();
}

static int connect_peer(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path + strlen("unix:"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    return fd;
}

static void read_answers(int fd)
{
    char bytes[64 * 1024];
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (!server)
        open_server();
    int fd = connect_peer();
    bool is_sent = send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL) > 0;
    size_t half = size / 2;
    for (int part = 0; is_sent && part < 2; part++) { /* in two pieces, so that frames are cut */
        struct bytes piece = {data + (part ? half : 0), part ? size - half : half};
        while (piece.len) {
            ssize_t n = send(fd, piece.ptr, piece.len, MSG_NOSIGNAL | MSG_DONTWAIT);
            uv_run(&loop, UV_RUN_NOWAIT);
            read_answers(fd);
            if (n < 0 && errno != EAGAIN)
                break;
            piece = bytes_skip(piece, n > 0 ? (size_t)n : 0);
        }
    }
    shutdown(fd, SHUT_WR);
    for (int turn = 0; server->connections || turn < 2; turn++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        read_answers(fd);
        if (turn > MOST_TURNS)
            abort();
    }
    if (server->in_flight_bytes)
        abort();
    close(fd);
    return 0;
}
