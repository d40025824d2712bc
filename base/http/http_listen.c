#include "base/http/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/http/http_connection.h"
#include "base/passed_sockets.h"

enum { LISTEN_BACKLOG = 511 };

/* What a former image of the program listened with, with the connections that wait there; else a new one. */
static int bind_to(struct http_server *s, const struct sockaddr *address)
{
    int fd = passed_sockets_take(PASSED_LISTENER, s->address);
    if (fd < 0)
        return uv_tcp_bind(&s->listener.tcp, address, 0);
    int err = uv_tcp_open(&s->listener.tcp, fd);
    if (err < 0)
        close(fd);
    return err;
}

static int listen_on(struct http_server *s, const struct sockaddr *address, uv_connection_cb on_connection)
{
    struct sockaddr_storage bound;
    int len = sizeof bound;
    int err = bind_to(s, address);
    if (err == 0)
        err = uv_listen(&s->listener.stream, LISTEN_BACKLOG, on_connection);
    if (err == 0)
        err = uv_tcp_getsockname(&s->listener.tcp, (struct sockaddr *)&bound, &len);
    if (err == 0)
        s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                    : ((struct sockaddr_in *)&bound)->sin_port);
    return err;
}

/* "host:port", "[v6]:port" or ":port" into its two parts. */
static int split_address(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    if (!colon || !colon[1] || strlen(colon + 1) >= port_size)
        return -EINVAL;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= host_size || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -EINVAL;
    memcpy(host, address, len);
    host[len] = '\0';
    strcpy(port, colon + 1);
    return 0;
}

static int listen_tcp(struct http_server *s, const char *address, uv_connection_cb on_connection)
{
    char host[256], port[8];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int err = split_address(address, host, sizeof host, port, sizeof port);
    if (err < 0)
        return err;
    if (getaddrinfo(*host ? host : NULL, port, &hints, &found) != 0)
        return -EADDRNOTAVAIL;
    err = (s->address = strdup(address)) ? uv_tcp_init(s->loop, &s->listener.tcp) : -ENOMEM;
    s->is_listening = err == 0;
    s->open_handles += s->is_listening;
    s->listener.handle.data = s;
    if (err == 0)
        err = listen_on(s, found->ai_addr, on_connection);
    freeaddrinfo(found);
    return err;
}

/* Whether the path is free to bind: nothing there, or a socket that nobody listens on, which is removed. */
static int clear_path(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    bool is_stale =
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_stale)
        return -EADDRINUSE;
    return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* The mode is set before the name exists: Linux gives the name the mode of the unbound socket. */
static int bind_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int err = clear_path(&address);
    if (err < 0)
        return err;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static int listen_unix(struct http_server *s, const char *path, uv_connection_cb on_connection)
{
    int fd = -1, err = bind_unix(path, &fd);
    if (err < 0)
        return err;
    s->path = strdup(path);
    err = s->path ? uv_pipe_init(s->loop, &s->listener.pipe, 0) : -ENOMEM;
    s->is_listening = err == 0;
    s->open_handles += s->is_listening;
    s->listener.handle.data = s;
    if (err == 0)
        err = uv_pipe_open(&s->listener.pipe, fd);
    if (err < 0) {
        close(fd);
        unlink(path);
        return err;
    }
    return uv_listen(&s->listener.stream, LISTEN_BACKLOG, on_connection);
}

int http_listen_at(struct http_server *server, const char *address, uv_connection_cb on_connection)
{
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    return is_unix ? listen_unix(server, address + 5, on_connection)
                   : listen_tcp(server, address, on_connection);
}
