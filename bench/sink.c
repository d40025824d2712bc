/* sink.c - a backend that takes everything: reads HTTP/1.1 requests with a Content-Length, answers 204,
 * counts.
 *
 * usage: sink PORT      prints "requests N bytes N" when it is told to stop (SIGTERM)
 *
 * Cheap on purpose, so that a benchmark of the gateway on the same cores measures the gateway.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 64, HEAD = 16384, CHUNK = 256 * 1024 };

struct peer {
    int fd;
    char head[HEAD];
    size_t head_len;
    size_t body_left;
    bool in_body;
};

static volatile sig_atomic_t stopping;
static unsigned long long requests, bytes;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 64) < 0) {
        perror("sink: listen");
        exit(1);
    }
    return fd;
}

static bool answer(struct peer *peer)
{
    static const char reply[] = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
    requests++;
    peer->in_body = false;
    peer->head_len = 0;
    return write(peer->fd, reply, sizeof reply - 1) == (ssize_t)sizeof reply - 1;
}

/* What of the body came with the head is counted at once. */
static bool take_head(struct peer *peer)
{
    char *end = memmem(peer->head, peer->head_len, "\r\n\r\n", 4);
    if (!end)
        return peer->head_len < HEAD;
    *end = '\0';
    const char *field = strcasestr(peer->head, "content-length:");
    size_t length = field ? strtoul(field + 15, NULL, 10) : 0;
    size_t came = peer->head_len - (size_t)(end + 4 - peer->head);
    bytes += came;
    peer->body_left = length > came ? length - came : 0;
    peer->in_body = true;
    return peer->body_left > 0 || answer(peer);
}

static bool read_peer(struct peer *peer)
{
    static char chunk[CHUNK];
    if (!peer->in_body) {
        ssize_t n = read(peer->fd, peer->head + peer->head_len, HEAD - peer->head_len);
        if (n <= 0)
            return false;
        peer->head_len += (size_t)n;
        return take_head(peer);
    }
    ssize_t n = read(peer->fd, chunk, peer->body_left < CHUNK ? peer->body_left : CHUNK);
    if (n <= 0)
        return false;
    bytes += (unsigned long long)n;
    peer->body_left -= (size_t)n;
    return peer->body_left > 0 || answer(peer);
}

static void serve(int listener)
{
    static struct peer peers[PEERS];
    struct pollfd fds[PEERS + 1];
    int count = 0;
    while (!stopping) {
        fds[0] = (struct pollfd){.fd = count < PEERS ? listener : -1, .events = POLLIN};
        for (int i = 0; i < count; i++)
            fds[i + 1] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        if (poll(fds, (nfds_t)count + 1, 1000) < 0)
            continue;
        for (int i = count - 1; i >= 0; i--) {
            if (fds[i + 1].revents && !read_peer(&peers[i])) {
                close(peers[i].fd);
                peers[i] = peers[--count];
            }
        }
        if (fds[0].revents & POLLIN)
            peers[count++] = (struct peer){.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: sink PORT\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    serve(listen_on(atoi(argv[1])));
    printf("requests %llu bytes %llu\n", requests, bytes);
    return 0;
}
