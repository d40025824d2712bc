#include "gateway/web.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/http/pages.h"
#include "gateway/metrics.h"

enum { VIEWS_MAX = TELEMETRY_COUNT * BUFFER_MAX_BACKENDS };

struct web {
    struct web_parts *parts; /* borrowed */
    struct pages *pages;     /* owned */
};

static void collect_ledger(struct stats *stats, const struct fanout_view *view)
{
    const char *signal = telemetry_name(view->signal);
    const struct buffer_ledger *ledger = &view->ledger;
    int64_t settled = 0;
    for (int cause = 0; cause < BUFFER_CAUSES; cause++) {
        const char *name = buffer_cause_name((enum buffer_cause)cause);
        stats_set(stats_cell(stats, GATEWAY_SETTLED, signal, view->name, name),
                  (int64_t)ledger->by_cause[cause]);
        settled += (int64_t)ledger->by_cause[cause];
    }
    int64_t lag_ns = ledger->oldest_committed_ns ? clock_wall_ns() - ledger->oldest_committed_ns : 0;
    stats_set(stats_cell(stats, GATEWAY_ACCEPTED, signal, view->name), (int64_t)ledger->accepted);
    stats_set(stats_cell(stats, GATEWAY_BUFFERED, signal, view->name), (int64_t)ledger->buffered);
    stats_set(stats_cell(stats, GATEWAY_REPLAYED, signal, view->name), (int64_t)ledger->replayed);
    stats_set(stats_cell(stats, GATEWAY_IMBALANCE, signal, view->name),
              (int64_t)ledger->accepted - settled - (int64_t)ledger->buffered);
    stats_set(stats_cell(stats, GATEWAY_LAG_SECONDS, signal, view->name), lag_ns);
    stats_set(stats_cell(stats, GATEWAY_LAG_BYTES, signal, view->name), ledger->lag_bytes);
    stats_set(stats_cell(stats, GATEWAY_LAG_BATCHES, signal, view->name), ledger->lag_rows);
    stats_set(stats_cell(stats, GATEWAY_BACKEND_AWAY, signal, view->name), view->away);
}

static void collect_buffer(struct stats *stats, struct buffer *buffer, enum telemetry which)
{
    const char *signal = telemetry_name(which);
    struct buffer_state state;
    buffer_get_state(buffer, &state);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_BYTES, signal, "file"), state.file_bytes);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_BYTES, signal, "wal"), state.wal_bytes);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_QUOTA, signal), state.quota_bytes);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_ROWS, signal), state.rows);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_COMMITS, signal), state.commits);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_FULL, signal), (int64_t)state.full_answers);
    stats_set(stats_cell(stats, GATEWAY_BUFFER_DAMAGED, signal), (int64_t)state.damaged_rows);
}

static size_t get_views(struct web_parts *parts, struct fanout_view *views)
{
    return parts->fanout ? fanout_views(parts->fanout, views, VIEWS_MAX) : 0;
}

static void collect(void *ctx)
{
    struct web *web = ctx;
    struct web_parts *parts = web->parts;
    static struct fanout_view views[VIEWS_MAX]; /* loop thread only */
    size_t count = get_views(parts, views);
    for (size_t i = 0; i < count; i++)
        collect_ledger(parts->stats, &views[i]);
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        collect_buffer(parts->stats, parts->buffers[s], (enum telemetry)s);
    stats_set(stats_cell(parts->stats, GATEWAY_LOOP_LAG), parts->loop->lag_ns);
}

/* Whether it is ready; else why it is not goes into body. */
static bool tell_reason(const struct web_parts *parts, struct buf *body)
{
    const char *reason = parts->draining                                       ? "draining"
                         : !parts->receive || !receive_is_open(parts->receive) ? "listeners are not open"
                                                                               : NULL;
    bool is_ready = !reason;
    if (reason)
        buf_printf(body, "not ready: %s\n", reason);
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        struct buffer_state state;
        buffer_get_state(parts->buffers[s], &state);
        if (state.can_commit)
            continue;
        is_ready = false;
        buf_printf(body, "not ready: the buffer of %s cannot commit: %s\n", telemetry_name((enum telemetry)s),
                   strerror(-state.last_error));
    }
    return is_ready;
}

static bool tell_ready(void *ctx, struct buf *body)
{
    struct web *web = ctx;
    static struct fanout_view views[VIEWS_MAX]; /* loop thread only */
    bool is_ready = tell_reason(web->parts, body);
    if (is_ready)
        buf_append_string(body, "ready\n");
    size_t count = get_views(web->parts, views);
    for (size_t i = 0; i < count; i++) {
        const struct fanout_view *v = &views[i];
        buf_printf(body, "%s %s: %s, %llu records buffered%s%s\n", telemetry_name(v->signal), v->name,
                   v->away ? "away" : "ok", (unsigned long long)v->ledger.buffered,
                   v->last_error[0] ? ", last error: " : "", v->last_error);
    }
    return is_ready;
}

int web_new(const char *address, struct web_parts *parts, struct web **ret_web)
{
    struct web *web = calloc(1, sizeof *web);
    if (!web)
        return -ENOMEM;
    web->parts = parts;
    struct pages_options options = {
        .address = address, .stats = parts->stats, .ready = tell_ready, .ctx = web};
    int err = pages_new(&parts->loop->uv, &options, &web->pages);
    if (err < 0) {
        free(web);
        return err;
    }
    stats_on_collect(parts->stats, collect, web);
    *ret_web = web;
    return 0;
}

void web_close(struct web *web)
{
    if (!web)
        return;
    pages_close(web->pages);
    free(web);
}
