#include "base/http/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#include "base/http/http1.h"

enum { MAX_ADDRESSES = 8, READ_BYTES = 16 * 1024, HEAD_BYTES = 64 * 1024, REQUEST_BYTES = 64 * 1024 };

/* A TCP connection; outlives its client while its handle closes. */
struct peer {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct http_client *client; /* NULL once dropped */
    bool is_written;            /* write is free for the next request */
    char spare[64];             /* what comes unasked is read into */
};

struct http_client {
    uv_loop_t *loop;
    uv_timer_t timer; /* of the get under way: its deadline, or at once for an error found inside get */
    uv_getaddrinfo_t resolve;
    char *host; /* owned */
    int port;
    struct buf request; /* sent as it is at every get */
    struct http1_limits limits;
    struct http1 http;
    struct sockaddr_storage addresses[MAX_ADDRESSES];
    int address_count, next_address;
    struct peer *peer; /* owned; NULL when there is no connection */
    char *read_bytes;  /* owned; while a get is under way */
    void (*done)(void *ctx, const struct http_reply *reply);
    void *ctx;
    int pending_error;  /* to be told from the loop */
    bool is_busy;       /* a get is under way */
    bool is_starting;   /* inside http_client_get */
    bool is_reused;     /* the connection served an earlier get */
    bool has_bytes;     /* of the reply */
    bool is_resolving;  /* the resolver still has our request */
    bool is_timer_open; /* its handle is not closed yet */
    bool is_closing;
};

static void open_connection(struct http_client *client);

static void free_when_closed(struct http_client *client)
{
    if (!client->is_closing || client->is_timer_open || client->is_resolving)
        return;
    http1_fini(&client->http);
    buf_fini(&client->request);
    free(client->read_bytes);
    free(client->host);
    free(client);
}

static void on_peer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop_peer(struct http_client *client)
{
    if (!client->peer)
        return;
    client->peer->client = NULL;
    uv_close((uv_handle_t *)&client->peer->tcp, on_peer_closed);
    client->peer = NULL;
}

/* The end of a get. done may start the next one or close the client, so what it reads is set apart first. */
static void finish(struct http_client *client, int error)
{
    struct http1 http = client->http;
    struct http_reply reply = {.error = error};
    uv_timer_stop(&client->timer);
    http1_init(&client->http, HTTP1_RESPONSES, &client->limits);
    free(client->read_bytes);
    client->read_bytes = NULL;
    client->is_busy = false;
    if (error)
        drop_peer(client);
    if (!error) {
        reply.status = http.parser.status_code;
        reply.content_type = http1_header(&http, "content-type");
        reply.body = buf_bytes(&http.body.bytes);
    }
    client->done(client->ctx, &reply);
    http1_fini(&http);
}

static void on_pending_error(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    finish(client, client->pending_error);
}

static void fail(struct http_client *client, int error)
{
    if (!client->is_starting) {
        finish(client, error);
        return;
    }
    client->pending_error = error;
    uv_timer_start(&client->timer, on_pending_error, 0, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    finish(timer->data, -ETIMEDOUT);
}

/* A kept connection that the server had closed before it saw this request: once more on a fresh one. */
static void fail_or_retry(struct http_client *client, int error)
{
    if (!client->is_reused || client->has_bytes) {
        fail(client, error);
        return;
    }
    drop_peer(client);
    open_connection(client);
}

/* The reply */

static void on_reply(struct http_client *client, bool is_clean)
{
    if (!is_clean || !client->peer->is_written || !http1_keeps_alive(&client->http))
        drop_peer(client);
    finish(client, 0);
}

static void take_bytes(struct http_client *client, struct bytes rest)
{
    client->has_bytes = true;
    while (rest.len) {
        enum http1_event event = http1_feed(&client->http, &rest);
        int status = client->http.parser.status_code;
        if (event == HTTP1_REFUSED || (event == HTTP1_HEAD && status == 101)) {
            fail(client, client->http.error ? client->http.error : -EBADMSG);
            return;
        }
        if (event != HTTP1_DONE)
            continue;
        if (status / 100 != 1) {
            on_reply(client, rest.len == 0);
            return;
        }
        http1_next(&client->http); /* the final response follows */
    }
}

static void on_end(struct http_client *client)
{
    switch (http1_end(&client->http)) {
    case HTTP1_DONE:
        on_reply(client, false);
        return;
    case HTTP1_REFUSED:
        fail(client, client->http.error);
        return;
    case HTTP1_MORE:
    case HTTP1_HEAD:
        fail_or_retry(client, -ECONNRESET);
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)suggested;
    struct peer *peer = handle->data;
    struct http_client *client = peer->client;
    if (client && client->read_bytes)
        *ret_buf = uv_buf_init(client->read_bytes, READ_BYTES);
    else
        *ret_buf = uv_buf_init(peer->spare, sizeof peer->spare);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_client *client = ((struct peer *)stream->data)->client;
    if (!client || n == 0)
        return;
    if (!client->is_busy)
        drop_peer(client); /* closed by the server, or bytes that nobody asked for */
    else if (n > 0)
        take_bytes(client, (struct bytes){(const uint8_t *)buf->base, (size_t)n});
    else if (n == UV_EOF)
        on_end(client);
    else
        fail_or_retry(client, (int)n);
}

/* The request */

static void on_written(uv_write_t *request, int status)
{
    struct peer *peer = request->data;
    struct http_client *client = peer->client;
    peer->is_written = true;
    if (client && client->is_busy && status < 0)
        fail_or_retry(client, status);
}

static void send_request(struct http_client *client)
{
    struct peer *peer = client->peer;
    uv_buf_t buf = uv_buf_init((char *)client->request.ptr, (unsigned)client->request.len);
    client->has_bytes = false;
    peer->is_written = false;
    peer->write.data = peer;
    int err = uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buf, 1, on_written);
    if (err < 0)
        fail_or_retry(client, err);
}

/* Connecting */

static void try_next_address(struct http_client *client, int error);

static void on_connected(uv_connect_t *request, int status)
{
    struct peer *peer = request->data;
    struct http_client *client = peer->client;
    if (!client)
        return;
    int err = status < 0 ? status : uv_read_start((uv_stream_t *)&peer->tcp, give_buffer, on_read);
    if (err < 0)
        try_next_address(client, err);
    else
        send_request(client);
}

static int start_connecting(struct http_client *client, const struct sockaddr *address)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer || uv_tcp_init(client->loop, &peer->tcp) < 0) {
        free(peer);
        return -ENOMEM;
    }
    peer->tcp.data = peer;
    peer->connect.data = peer;
    peer->client = client;
    client->peer = peer;
    uv_tcp_nodelay(&peer->tcp, 1);
    return uv_tcp_connect(&peer->connect, &peer->tcp, address, on_connected);
}

/* error: of the address before it. */
static void try_next_address(struct http_client *client, int error)
{
    while (client->next_address < client->address_count) {
        drop_peer(client);
        error = start_connecting(client, (const struct sockaddr *)&client->addresses[client->next_address++]);
        if (error == 0)
            return;
    }
    fail(client, error);
}

static int errno_of_resolver(int status)
{
    return status == UV_ENOMEM ? -ENOMEM : status == UV_EAI_AGAIN ? -EAGAIN : -EHOSTUNREACH;
}

static void keep_addresses(struct http_client *client, const struct addrinfo *found)
{
    client->address_count = client->next_address = 0;
    for (; found && client->address_count < MAX_ADDRESSES; found = found->ai_next)
        memcpy(&client->addresses[client->address_count++], found->ai_addr, found->ai_addrlen);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct http_client *client = request->data;
    client->is_resolving = false;
    if (status == 0)
        keep_addresses(client, found);
    uv_freeaddrinfo(found);
    if (client->is_closing) {
        free_when_closed(client);
        return;
    }
    if (!client->is_busy)
        return;
    if (status < 0)
        fail(client, errno_of_resolver(status));
    else
        try_next_address(client, -EHOSTUNREACH);
}

static bool is_numeric(struct http_client *client)
{
    struct sockaddr_storage *address = &client->addresses[0];
    client->next_address = 0;
    client->address_count = 1;
    return uv_ip4_addr(client->host, client->port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(client->host, client->port, (struct sockaddr_in6 *)address) == 0;
}

static void open_connection(struct http_client *client)
{
    char service[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    client->is_reused = false;
    if (is_numeric(client)) {
        try_next_address(client, -EHOSTUNREACH);
        return;
    }
    if (client->is_resolving) /* for an earlier get that ran out of time; its answer serves this one */
        return;
    snprintf(service, sizeof service, "%d", client->port);
    client->resolve.data = client;
    int err = uv_getaddrinfo(client->loop, &client->resolve, on_resolved, client->host, service, &hints);
    client->is_resolving = err == 0;
    if (err < 0)
        fail(client, err);
}

/* Life */

static int write_request(struct buf *b, const struct http_client_options *o)
{
    bool is_v6 = strchr(o->host, ':') != NULL;
    buf_init(b, REQUEST_BYTES);
    return buf_printf(b,
                      "GET %s HTTP/1.1\r\n"
                      "Host: %s%s%s:%d\r\n"
                      "User-Agent: tributary/" TRIBUTARY_VERSION "\r\n"
                      "Accept-Encoding: gzip\r\n"
                      "%s\r\n",
                      o->target, is_v6 ? "[" : "", o->host, is_v6 ? "]" : "", o->port,
                      o->headers ? o->headers : "");
}

int http_client_new(uv_loop_t *loop, const struct http_client_options *options,
                    struct http_client **ret_client)
{
    struct http_client *client = calloc(1, sizeof *client);
    size_t limit = options->body_bytes ? options->body_bytes : 32 * 1024 * 1024;
    int err = client ? write_request(&client->request, options) : -ENOMEM;
    if (err == 0 && !(client->host = strdup(options->host)))
        err = -ENOMEM;
    if (err < 0) {
        if (client)
            buf_fini(&client->request);
        free(client);
        return err;
    }
    client->loop = loop;
    client->port = options->port;
    client->limits = (struct http1_limits){HEAD_BYTES, limit, limit};
    http1_init(&client->http, HTTP1_RESPONSES, &client->limits);
    uv_timer_init(loop, &client->timer);
    client->timer.data = client;
    client->is_timer_open = true;
    *ret_client = client;
    return 0;
}

int http_client_get(struct http_client *client, int64_t timeout_ms,
                    void (*done)(void *ctx, const struct http_reply *reply), void *ctx)
{
    if (client->is_busy)
        return -EBUSY;
    client->read_bytes = malloc(READ_BYTES);
    if (!client->read_bytes)
        return -ENOMEM;
    client->done = done;
    client->ctx = ctx;
    client->is_busy = client->is_starting = true;
    uv_update_time(client->loop);
    uv_timer_start(&client->timer, on_deadline, (uint64_t)timeout_ms, 0);
    if (client->peer) {
        client->is_reused = true;
        send_request(client);
    } else {
        open_connection(client);
    }
    client->is_starting = false;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_client *client = handle->data;
    client->is_timer_open = false;
    free_when_closed(client);
}

void http_client_close(struct http_client *client)
{
    if (!client || client->is_closing)
        return;
    client->is_closing = true;
    client->is_busy = false;
    drop_peer(client);
    if (client->is_resolving)
        uv_cancel((uv_req_t *)&client->resolve);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}
