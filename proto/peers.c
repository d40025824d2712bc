#include "proto/peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rendezvous.h"

enum { FIRST_RETRY_MS = 1000 };

/* One configured address. */
struct name {
    struct peers *peers; /* borrowed */
    uv_getaddrinfo_t request;
    bool is_pending, is_literal;
    char scheme[8], host[PEERS_MAX_HOST + 1], port[6];
    struct peer *found; /* owned */
    size_t count;
};

struct peers {
    uv_timer_t timer;
    void (*changed)(void *ctx);
    void *ctx;
    struct name *names; /* owned */
    size_t count;
    uint64_t resolved_ms; /* of uv_now; when the names were asked for last */
    bool is_closed, is_timer_closed;
};

/* ---- the addresses as written */

static const char *schemes[] = {"tcp", "tls+tcp"};

static bool is_port(const char *s)
{
    char *end;
    unsigned long port = strtoul(s, &end, 10);
    return *s >= '0' && *s <= '9' && !*end && port > 0 && port <= 65535;
}

static int parse(const char *address, struct name *name)
{
    const char *host = strstr(address, "://");
    const char *colon = strrchr(address, ':');
    if (!host || colon <= host || strlen(colon + 1) >= sizeof name->port || !is_port(colon + 1))
        return -EINVAL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i]) == (size_t)(host - address) &&
            !strncmp(schemes[i], address, (size_t)(host - address)))
            snprintf(name->scheme, sizeof name->scheme, "%s", schemes[i]);
    host += 3;
    size_t len = (size_t)(colon - host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (!name->scheme[0] || len == 0 || len > PEERS_MAX_HOST)
        return -EINVAL;
    snprintf(name->host, sizeof name->host, "%.*s", (int)len, host);
    snprintf(name->port, sizeof name->port, "%s", colon + 1);
    return 0;
}

/* ---- resolving */

static bool make_peer(const struct name *name, const struct sockaddr *address, struct peer *ret)
{
    char ip[64];
    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        uv_ip_name(address, ip, sizeof ip) < 0)
        return false;
    memcpy(ret->host, name->host, sizeof ret->host);
    snprintf(ret->url, sizeof ret->url, address->sa_family == AF_INET ? "%s://%s:%s" : "%s://[%s]:%s",
             name->scheme, ip, name->port);
    return true;
}

static void take_literal(struct name *name)
{
    struct sockaddr_storage address;
    name->is_literal = uv_ip4_addr(name->host, 0, (struct sockaddr_in *)&address) == 0 ||
                       uv_ip6_addr(name->host, 0, (struct sockaddr_in6 *)&address) == 0;
    name->found = name->is_literal ? calloc(1, sizeof *name->found) : NULL;
    if (name->found)
        name->count = make_peer(name, (struct sockaddr *)&address, name->found);
}

static int by_url(const void *a, const void *b)
{
    return strcmp(((const struct peer *)a)->url, ((const struct peer *)b)->url);
}

/* Replaces what was found; whether it is something else now. */
static bool take_found(struct name *name, const struct addrinfo *list)
{
    struct peer *found = calloc(PEERS_MAX, sizeof *found);
    size_t count = 0;
    for (; found && list && count < PEERS_MAX; list = list->ai_next)
        count += make_peer(name, list->ai_addr, &found[count]);
    if (count == 0) {
        free(found);
        return false;
    }
    qsort(found, count, sizeof *found, by_url);
    bool is_same = count == name->count && !memcmp(found, name->found, count * sizeof *found);
    free(name->found);
    struct peer *smaller = realloc(found, count * sizeof *found);
    name->found = smaller ? smaller : found;
    name->count = count;
    return !is_same;
}

static void free_when_done(struct peers *peers)
{
    bool is_pending = !peers->is_timer_closed;
    for (size_t i = 0; i < peers->count; i++)
        is_pending |= peers->names[i].is_pending;
    if (is_pending)
        return;
    for (size_t i = 0; i < peers->count; i++)
        free(peers->names[i].found);
    free(peers->names);
    free(peers);
}

static void on_timer(uv_timer_t *timer);

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct name *name = request->data;
    struct peers *peers = name->peers;
    name->is_pending = false;
    bool is_new = status == 0 && !peers->is_closed && take_found(name, list);
    uv_freeaddrinfo(list);
    if (peers->is_closed) {
        free_when_done(peers);
        return;
    }
    if (name->count == 0) /* never seen yet: do not wait the whole period */
        uv_timer_start(&peers->timer, on_timer, FIRST_RETRY_MS, PEERS_RESOLVE_MS);
    if (is_new)
        peers->changed(peers->ctx);
}

static void resolve(struct name *name)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (name->is_literal || name->is_pending)
        return;
    name->request.data = name;
    name->is_pending =
        uv_getaddrinfo(name->peers->timer.loop, &name->request, on_resolved, name->host, NULL, &hints) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct peers *peers = timer->data;
    peers->resolved_ms = uv_now(timer->loop);
    for (size_t i = 0; i < peers->count; i++)
        resolve(&peers->names[i]);
}

void peers_refresh(struct peers *peers)
{
    uint64_t now = uv_now(peers->timer.loop);
    if (now - peers->resolved_ms < PEERS_REFRESH_MS)
        return;
    uv_timer_start(&peers->timer, on_timer, 0, PEERS_RESOLVE_MS);
}

/* ---- public */

int peers_new(uv_loop_t *loop, const struct conf_strings *addresses, void (*changed)(void *ctx), void *ctx,
              struct peers **ret_peers, struct buf *errors)
{
    struct peers *peers = calloc(1, sizeof *peers);
    struct name *names = calloc(addresses->count + 1, sizeof *names);
    int err = peers && names ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < addresses->count; i++) {
        names[i].peers = peers;
        err = parse(addresses->items[i], &names[i]);
        if (err < 0)
            buf_printf(errors, "%s: not an address; tcp://host:port or tls+tcp://host:port is\n",
                       addresses->items[i]);
    }
    if (err < 0) {
        free(names);
        free(peers);
        return err;
    }
    *peers = (struct peers){.changed = changed, .ctx = ctx, .names = names, .count = addresses->count};
    uv_timer_init(loop, &peers->timer);
    peers->timer.data = peers;
    for (size_t i = 0; i < peers->count; i++)
        take_literal(&names[i]);
    uv_timer_start(&peers->timer, on_timer, 0, PEERS_RESOLVE_MS);
    *ret_peers = peers;
    return 0;
}

/* The scheme is left out, so that a program that is known to others by another scheme has the same place. */
static const char *candidate_of(const struct peer *peer)
{
    return strstr(peer->url, "://") + 3;
}

static bool goes_before(const char *node, const struct peer *a, const struct peer *b)
{
    uint64_t left = rendezvous_weight(node, candidate_of(a)),
             right = rendezvous_weight(node, candidate_of(b));
    return left != right ? left > right : strcmp(a->url, b->url) < 0;
}

/* Puts peer where it belongs among count sorted ones; the last one falls out when it is full. */
static size_t insert(const char *node, const struct peer *peer, struct peer *sorted, size_t count,
                     size_t most)
{
    size_t at = 0;
    for (; at < count && goes_before(node, &sorted[at], peer); at++)
        ;
    if (at == most || (at < count && !strcmp(sorted[at].url, peer->url)))
        return count;
    size_t kept = count < most ? count : most - 1;
    memmove(&sorted[at + 1], &sorted[at], (kept - at) * sizeof *sorted);
    sorted[at] = *peer;
    return kept + 1;
}

size_t peers_get(const struct peers *peers, const char *node, struct peer *ret, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < peers->count; i++)
        for (size_t j = 0; j < peers->names[i].count; j++)
            count = insert(node, &peers->names[i].found[j], ret, count, most);
    return count;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peers *peers = handle->data;
    peers->is_timer_closed = true;
    free_when_done(peers);
}

void peers_close(struct peers *peers)
{
    if (!peers)
        return;
    peers->is_closed = true;
    for (size_t i = 0; i < peers->count; i++)
        if (peers->names[i].is_pending)
            uv_cancel((uv_req_t *)&peers->names[i].request);
    uv_close((uv_handle_t *)&peers->timer, on_timer_closed);
}
