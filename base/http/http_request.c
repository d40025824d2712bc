#include <stdio.h>
#include <stdlib.h>

#include "base/http/http_connection.h"

const char *http_request_method(const struct http_request *request)
{
    return http_method_str((enum http_method)request->http.parser.method);
}

const char *http_request_path(const struct http_request *request)
{
    return http1_target(&request->http);
}

const char *http_request_query(const struct http_request *request)
{
    return request->query ? request->query : "";
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http1_header(&request->http, name);
}

static void format_address(const struct sockaddr_storage *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        uv_ip6_name(in6, host, sizeof host);
        snprintf(out, size, "[%s]:%d", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        uv_ip4_name(in, host, sizeof host);
        snprintf(out, size, "%s:%d", host, ntohs(in->sin_port));
    }
}

const char *http_request_peer(const struct http_request *request)
{
    struct http_request *c = (struct http_request *)(uintptr_t)request; /* remembers what it was asked */
    struct sockaddr_storage address;
    char text[INET6_ADDRSTRLEN + 16] = "";
    int len = sizeof address;
    if (c->stream)
        return c->carrier ? http_request_peer(c->carrier) : "";
    if (c->peer)
        return c->peer;
    if (!c->server)
        return "";
    if (c->server->path)
        snprintf(text, sizeof text, "unix");
    else if (uv_tcp_getpeername(&c->socket.tcp, (struct sockaddr *)&address, &len) == 0)
        format_address(&address, text, sizeof text);
    c->peer = strdup(text);
    return c->peer ? c->peer : "";
}

struct bytes http_request_body(const struct http_request *request)
{
    return buf_bytes(&request->http.body.bytes);
}

uint8_t *http_request_take_body(struct http_request *request, size_t *ret_len)
{
    uint8_t *body = buf_detach(&request->http.body.bytes, ret_len);
    connection_charge(request);
    return body;
}

bool http_request_is_http2(const struct http_request *request)
{
    return request->stream;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text from at to end without its escapes; false when it does not fit or an escape is wrong. */
static bool unescape(const char *at, const char *end, char *out, size_t size)
{
    size_t len = 0;
    for (; at < end; at++) {
        char c = *at == '+' ? ' ' : *at;
        if (*at == '%') {
            int high = end - at > 2 ? hex_digit(at[1]) : -1;
            int low = end - at > 2 ? hex_digit(at[2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high << 4 | low);
            at += 2;
        }
        if (len + 1 >= size)
            return false;
        out[len++] = c;
    }
    if (size == 0)
        return false;
    out[len] = '\0';
    return true;
}

bool http_query_next(const char **query, char *name, size_t name_size, char *value, size_t value_size)
{
    while (**query) {
        const char *at = *query, *end = at + strcspn(at, "&"), *equals = at;
        while (equals < end && *equals != '=')
            equals++;
        *query = *end ? end + 1 : end;
        if (unescape(at, equals, name, name_size) &&
            unescape(equals < end ? equals + 1 : end, end, value, value_size))
            return true;
    }
    return false;
}

const char *http_request_param(const struct http_request *request, const char *name, char *storage,
                               size_t size)
{
    const char *at = http_request_query(request);
    size_t name_len = strlen(name);
    while (*at) {
        const char *end = at + strcspn(at, "&");
        if ((size_t)(end - at) >= name_len && strncmp(at, name, name_len) == 0) {
            if (at[name_len] == '=')
                return unescape(at + name_len + 1, end, storage, size) ? storage : NULL;
            if (at + name_len == end)
                return unescape(end, end, storage, size) ? storage : NULL;
        }
        at = *end ? end + 1 : end;
    }
    return NULL;
}

void http_request_on_gone(struct http_request *request, void (*fn)(void *ctx), void *ctx)
{
    request->on_gone = fn;
    request->gone_ctx = ctx;
}
