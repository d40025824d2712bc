#include "base/http/http_pressure.h"

#include "base/http/http2.h"
#include "base/http/http2_session.h"

enum { LOOK_MS = 2, SHARE = 4 }; /* short: less than that part of the room is left */

static int64_t now_ms(const struct http_server *s)
{
    return (int64_t)uv_now(s->loop);
}

/* Connections */

enum rank { RANK_ANSWERED, RANK_NEVER_SERVED, RANK_SERVED, RANK_BUSY };

static bool has_work(const struct http_request *c)
{
    for (const struct http_request *s = c->http2->streams; s; s = s->next)
        if (s->state == CONNECTION_SERVING || s->state == CONNECTION_STREAMING)
            return true;
    return false;
}

static enum rank rank_of(const struct http_request *c)
{
    switch (c->state) {
    case CONNECTION_LINGERING:
        return RANK_ANSWERED;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_IDLE:
        return c->has_served ? RANK_SERVED : RANK_NEVER_SERVED;
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
        return c->has_served ? RANK_BUSY : RANK_NEVER_SERVED;
    case CONNECTION_HTTP2:
        if (c->http2->stream_count == 0)
            return c->has_served ? RANK_SERVED : RANK_NEVER_SERVED;
        return c->has_served || has_work(c) ? RANK_BUSY : RANK_NEVER_SERVED;
    case CONNECTION_SERVING:
    case CONNECTION_STREAMING:
    case CONNECTION_WRITING:
    case CONNECTION_CLOSED:
        break;
    }
    return RANK_BUSY;
}

static int64_t since_ms(const struct http_request *c)
{
    return c->state == CONNECTION_HTTP2 ? c->http2->active_ms : c->since_ms;
}

bool pressure_on_connections(struct http_server *server)
{
    struct http_request *least = NULL;
    enum rank least_rank = RANK_BUSY;
    for (struct http_request *c = server->connections; c; c = c->next) {
        enum rank rank = rank_of(c);
        if (rank < least_rank || (rank == least_rank && least && since_ms(c) <= since_ms(least))) {
            least = c;
            least_rank = rank;
        }
    }
    if (!least)
        return false;
    server_tell(server, least_rank == RANK_SERVED ? HTTP_EVENT_IDLE_ENDED : HTTP_EVENT_UNFINISHED_ENDED, "");
    connection_close(least);
    return true;
}

/* Requests */

/* Whether the request waits for its peer, since pause_ms at least, or is slow. */
static bool is_stalled(const struct http_request *r, int64_t now, int64_t pause_ms)
{
    bool is_reading = r->state == CONNECTION_HEAD || r->state == CONNECTION_BODY;
    bool is_blocked = r->stream && r->state == CONNECTION_WRITING; /* no window for its answer */
    if (!is_reading && !is_blocked)
        return false;
    return now - r->moved_ms >= pause_ms || now - r->since_ms >= HTTP_SLOW_MS;
}

static struct http_request *first_request(struct http_request *c)
{
    return c->http2 ? c->http2->streams : c;
}

static struct http_request *next_request(struct http_request *c, struct http_request *r)
{
    return c->http2 ? r->next : NULL;
}

enum weight { WEIGHT_BODIES, WEIGHT_HEADS };

/* What the connection's stalled requests but that one hold. */
static size_t weigh(struct http_request *c, const struct http_request *but, enum weight by, int64_t pause_ms)
{
    int64_t now = now_ms(c->server);
    size_t sum = 0;
    for (struct http_request *r = first_request(c); r; r = next_request(c, r))
        if (r != but && is_stalled(r, now, pause_ms))
            sum += by == WEIGHT_BODIES ? r->charged_bytes : r->charged_head;
    return sum;
}

/* The connection that holds most for stalled requests; NULL: none does. */
static struct http_request *find_heaviest(struct http_server *server, const struct http_request *but,
                                          enum weight by, int64_t pause_ms)
{
    struct http_request *heaviest = NULL;
    size_t most = 0;
    for (struct http_request *c = server->connections; c; c = c->next) {
        if (c->state == CONNECTION_CLOSED || (by == WEIGHT_BODIES ? c->all_bytes : c->all_heads) <= most)
            continue;
        size_t sum = weigh(c, but, by, pause_ms);
        if (sum > most) {
            most = sum;
            heaviest = c;
        }
    }
    return heaviest;
}

/* Stalled no longer, whatever comes of it. */
static void end_request(struct http_request *r, int64_t now)
{
    r->moved_ms = r->since_ms = now;
    server_tell(r->server, HTTP_EVENT_STALLED_ENDED, "");
    if (r->state == CONNECTION_WRITING) { /* a stream */
        nghttp2_submit_rst_stream(r->carrier->http2->frames, NGHTTP2_FLAG_NONE, r->stream->id,
                                  NGHTTP2_CANCEL);
    } else if (r->stream && r->state == CONNECTION_HEAD) {
        connection_close(r->carrier); /* in the middle of a head nothing else can be said */
    } else {
        r->keeps_alive = false;
        r->is_unread = true;
        answer_refusal(r, 503, answer_refusal_headers(503), "no room for a request that takes so long\n");
    }
}

/* Those of a connection. What is framed meanwhile goes out at the end, so that no stream is freed under way.
 */
static void end_stalled(struct http_request *c, const struct http_request *but, int64_t pause_ms)
{
    int64_t now = now_ms(c->server);
    bool was_receiving = c->http2 && c->http2->is_receiving;
    if (c->http2)
        c->http2->is_receiving = true;
    for (struct http_request *r = first_request(c); r && c->state != CONNECTION_CLOSED;
         r = next_request(c, r))
        if (r != but && is_stalled(r, now, pause_ms))
            end_request(r, now);
    if (!c->http2)
        return;
    c->http2->is_receiving = was_receiving;
    http2_flush(c);
}

/* Whether looking can be worth it: the last look found something, or is a while ago. */
static bool may_look(const struct http_server *server)
{
    return now_ms(server) - server->pressed_ms >= LOOK_MS;
}

static size_t room_of(const struct http_request *c)
{
    size_t others = c->server->in_flight_bytes - c->charged_bytes, all = c->server->limits.in_flight_bytes;
    return others < all ? all - others : 0;
}

static bool is_small(const struct http_request *c)
{
    const struct http_body *body = &c->http.body;
    return http_body_held(body) < HTTP_SMALL_BYTES &&
           (body->expected == SIZE_MAX || body->expected <= HTTP_SMALL_BYTES);
}

size_t pressure_on_bodies(struct http_request *c)
{
    struct http_server *server = c->server;
    size_t enough = server->limits.in_flight_bytes / SHARE;
    int64_t pause_ms = is_small(c) ? HTTP_PAUSED_MS : HTTP_STALLED_MS;
    while (room_of(c) < enough && may_look(server)) {
        struct http_request *heaviest = find_heaviest(server, c, WEIGHT_BODIES, pause_ms);
        if (heaviest)
            end_stalled(heaviest, c, pause_ms);
        else
            server->pressed_ms = now_ms(server);
    }
    return room_of(c);
}

bool pressure_on_heads(struct http_server *server)
{
    while (server->heads_bytes > HTTP_HEADS_BYTES - HTTP_HEADS_BYTES / SHARE && may_look(server)) {
        struct http_request *heaviest = find_heaviest(server, NULL, WEIGHT_HEADS, HTTP_PAUSED_MS);
        struct http_request *greedy = heaviest ? NULL : find_heaviest(server, NULL, WEIGHT_HEADS, 1);
        if (heaviest)
            end_stalled(heaviest, NULL, HTTP_PAUSED_MS);
        else if (greedy && weigh(greedy, NULL, WEIGHT_HEADS, 1) >= HTTP_SMALL_BYTES)
            end_stalled(greedy, NULL, 1); /* one connection with so many requests under way */
        else
            server->pressed_ms = now_ms(server);
    }
    return server->heads_bytes < HTTP_HEADS_BYTES;
}
