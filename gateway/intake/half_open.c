#include "gateway/intake/half_open.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)

void half_open_fini(struct half_open *h)
{
    free(h->pipes);
    free(h->waits);
    *h = (struct half_open){0};
}

void half_open_listen(struct half_open *h, int port)
{
    if (port > 0 && h->port_count < HALF_OPEN_MAX_PORTS)
        h->ports[h->port_count++] = htons((uint16_t)port);
}

bool half_open_peer_of(const struct sockaddr_storage *address, struct half_open_peer *ret_peer)
{
    struct half_open_peer peer = {{[10] = 0xff, [11] = 0xff}, 0};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        memcpy(peer.ip + 12, &in->sin_addr, 4);
        peer.port = in->sin_port;
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        memcpy(peer.ip, &in6->sin6_addr, 16);
        peer.port = in6->sin6_port;
    } else
        return false;
    *ret_peer = peer;
    return true;
}

static bool is_same(const struct half_open_peer *a, const struct half_open_peer *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* Room for one more element at the end of *array. */
static bool make_room(void *array, size_t count, size_t *room, size_t size)
{
    void **at = array;
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    void *bigger = realloc(*at, more * size);
    if (!bigger)
        return false;
    *at = bigger;
    *room = more;
    return true;
}

static struct half_open_peer *find_pipe(const struct half_open *h, const struct half_open_peer *peer)
{
    for (size_t i = 0; i < h->pipe_count; i++)
        if (is_same(&h->pipes[i], peer))
            return &h->pipes[i];
    return NULL;
}

void half_open_add(struct half_open *h, const struct half_open_peer *peer)
{
    if (make_room(&h->pipes, h->pipe_count, &h->pipe_room, sizeof *h->pipes))
        h->pipes[h->pipe_count++] = *peer;
}

void half_open_remove(struct half_open *h, const struct half_open_peer *peer)
{
    struct half_open_peer *found = find_pipe(h, peer);
    if (found)
        *found = h->pipes[--h->pipe_count];
}

/* The wait of a connection that is not announced, new ones noted as of now. NULL when memory is out. */
static struct half_open_wait *wait_of(struct half_open *h, const struct half_open_peer *peer, int64_t now_ns)
{
    for (size_t i = 0; i < h->wait_count; i++)
        if (is_same(&h->waits[i].peer, peer))
            return &h->waits[i];
    if (!make_room(&h->waits, h->wait_count, &h->wait_room, sizeof *h->waits))
        return NULL;
    h->waits[h->wait_count] = (struct half_open_wait){*peer, now_ns, true};
    return &h->waits[h->wait_count++];
}

static bool is_ours(const struct half_open *h, int fd, struct half_open_peer *ret_peer)
{
    struct sockaddr_storage address;
    struct half_open_peer own;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || !half_open_peer_of(&address, &own))
        return false;
    bool found = false;
    for (size_t i = 0; i < h->port_count; i++)
        found |= h->ports[i] == own.port;
    size = sizeof address;
    return found && getpeername(fd, (struct sockaddr *)&address, &size) == 0 &&
           half_open_peer_of(&address, ret_peer);
}

/* Shuts the connection down if fd is still the one to peer: a duplicate of the descriptor cannot become
 * another socket between the look and the shutdown, as fd itself could. */
static void end(struct half_open *h, int fd, const struct half_open_peer *peer)
{
    struct half_open_peer found;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    if (is_ours(h, copy, &found) && is_same(&found, peer) && shutdown(copy, SHUT_RDWR) == 0)
        h->ended++;
    close(copy);
}

static size_t look_at(struct half_open *h, int fd, int64_t now_ns, size_t seen)
{
    struct half_open_peer peer;
    if (!is_ours(h, fd, &peer) || find_pipe(h, &peer))
        return 0;
    struct half_open_wait *wait = seen < HALF_OPEN_MOST ? wait_of(h, &peer, now_ns) : NULL;
    if (wait)
        wait->is_there = true;
    if (seen >= HALF_OPEN_MOST || (wait && now_ns - wait->since_ns >= HALF_OPEN_MS * MS))
        end(h, fd, &peer);
    return 1;
}

static void forget_gone(struct half_open *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->wait_count; i++)
        if (h->waits[i].is_there)
            h->waits[kept++] = h->waits[i];
    h->wait_count = kept;
}

size_t half_open_sweep(struct half_open *h, int64_t now_ns)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t seen = 0;
    if (!dir)
        return 0;
    for (size_t i = 0; i < h->wait_count; i++)
        h->waits[i].is_there = false;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(dir))
            seen += look_at(h, fd, now_ns, seen);
    }
    closedir(dir);
    forget_gone(h);
    return seen;
}
