#include "node-agent/ship/ship_routes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum { RECONNECT_MIN_MS = 500, RECONNECT_MAX_MS = 15000, ERROR_BYTES = 1024 };

void routes_init(struct routes *routes, struct mailbox *mailbox, const struct agent_config *config,
                 const char *origin, struct link_events events)
{
    *routes = (struct routes){.mailbox = mailbox, .config = config, .origin = origin, .events = events};
}

static void free_route(struct route *route)
{
    link_close(route->link);
    free(route);
}

void routes_fini(struct routes *routes)
{
    for (size_t i = 0; i < routes->count; i++)
        free_route(routes->items[i]);
    routes->count = 0;
}

static struct route *find(const struct routes *routes, const char *url)
{
    for (size_t i = 0; i < routes->count; i++)
        if (!strcmp(routes->items[i]->peer.url, url))
            return routes->items[i];
    return NULL;
}

void routes_update(struct routes *routes, const struct peers *peers)
{
    struct peer *list = calloc(PEERS_MAX, sizeof *list);
    struct route *items[ROUTES_MAX];
    size_t count = list ? peers_get(peers, routes->origin, list, PEERS_MAX) : 0, kept = 0;
    for (size_t i = 0; i < routes->count; i++)
        routes->items[i]->is_listed = false;
    for (size_t i = 0; i < count; i++) {
        struct route *route = find(routes, list[i].url);
        if (!route && !(route = calloc(1, sizeof *route)))
            continue;
        route->peer = list[i];
        route->is_listed = true;
        items[kept++] = route;
    }
    for (size_t i = 0; count && i < routes->count && kept < ROUTES_MAX; i++)
        if (!routes->items[i]->is_listed)
            items[kept++] = routes->items[i];
    if (count) {
        memcpy(routes->items, items, kept * sizeof *items);
        routes->count = kept;
        routes->has_known_others |= kept > 1;
    }
    free(list);
}

bool routes_open(struct routes *routes, struct route *route)
{
    const struct agent_tls *tls = &routes->config->gateway.tls;
    const struct tls_files files = {tls->ca_file, tls->cert_file, tls->key_file};
    const struct link_options options = {
        .url = route->peer.url,
        .tls = &files,
        .server_name = tls->server_name[0] ? tls->server_name : route->peer.host,
        .reconnect_min_ms = RECONNECT_MIN_MS,
        .reconnect_max_ms = RECONNECT_MAX_MS,
    };
    static struct log_limit limit;
    char words[ERROR_BYTES];
    struct buf errors;
    unsigned held;
    if (route->link)
        return true;
    buf_init(&errors, ERROR_BYTES);
    int err = link_open(routes->mailbox, &options, routes->events, &route->link, &errors);
    buf_append(&errors, "", 1);
    if (err < 0 && log_limit_pass(&limit, 30, &held))
        log_error("ship: no connection to a gateway is possible", "gateway=%s error=%s held_back=%u",
                  route->peer.url,
                  log_quote(errors.len ? (char *)errors.ptr : strerror(-err), words, sizeof words), held);
    buf_fini(&errors);
    return err == 0;
}

void routes_open_all(struct routes *routes)
{
    for (size_t i = 0; i < routes->count; i++)
        if (routes->items[i]->is_listed)
            routes_open(routes, routes->items[i]);
}

struct route *routes_of(const struct routes *routes, const struct link *link)
{
    for (size_t i = 0; i < routes->count; i++)
        if (routes->items[i]->link == link)
            return routes->items[i];
    return NULL;
}

/* How well a gateway that is up fits; the order of choice decides between equals. */
static int rank(const struct route *route, const struct route *from,
                const char *const next_buffer_ids[TELEMETRY_COUNT])
{
    for (int i = 0; i < TELEMETRY_COUNT; i++)
        if (next_buffer_ids[i] && next_buffer_ids[i][0] && !strcmp(next_buffer_ids[i], route->buffer_ids[i]))
            return 4;
    if (!route->is_listed)
        return 0;
    if (route->avoid_until_ns > clock_mono_ns())
        return 1;
    return route == from ? 2 : 3;
}

struct route *routes_next(const struct routes *routes, const struct route *from,
                          const char *const next_buffer_ids[TELEMETRY_COUNT])
{
    struct route *best = NULL;
    size_t start = 0;
    for (size_t i = 0; i < routes->count; i++)
        if (routes->items[i] == from)
            start = i + 1;
    for (size_t i = 0; i < routes->count; i++) {
        struct route *route = routes->items[(start + i) % routes->count];
        if (route->link && link_is_up(route->link) &&
            (!best || rank(route, from, next_buffer_ids) > rank(best, from, next_buffer_ids)))
            best = route;
    }
    return best;
}

void routes_sweep(struct routes *routes, const struct route *in_use)
{
    size_t kept = 0;
    for (size_t i = 0; i < routes->count; i++) {
        struct route *route = routes->items[i];
        if (route->is_listed || route == in_use || (route->link && !link_is_quiet(route->link)))
            routes->items[kept++] = route;
        else
            free_route(route);
    }
    routes->count = kept;
}
