#include "gateway/homes_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

struct homes_watch {
    const struct receive *receive; /* borrowed, as the next */
    struct fanout *fanout;
    uv_timer_t timer;
};

struct listing {
    struct home *items;
    size_t count;
    int64_t heard_since_ns;
};

static void add(void *ctx, const struct receive_origin *origin)
{
    struct listing *listing = ctx;
    if (origin->last_seen_ns < listing->heard_since_ns)
        return;
    struct home *home = &listing->items[listing->count++];
    snprintf(home->origin, sizeof home->origin, "%s", origin->name);
    home->since_ns = origin->came_ns;
}

/* When memory is out it stays as it was told. */
static void on_timer(uv_timer_t *timer)
{
    const struct homes_watch *watch = timer->data;
    struct listing listing = {.heard_since_ns = clock_wall_ns() - (int64_t)HOMES_WATCH_GONE_MS * 1000000};
    listing.items = calloc(receive_count_origins(watch->receive) + 1, sizeof *listing.items);
    if (!listing.items)
        return;
    receive_each_origin(watch->receive, add, &listing);
    fanout_tell_homes(watch->fanout, listing.items, listing.count);
}

int homes_watch_new(struct loop *loop, const struct receive *receive, struct fanout *fanout,
                    struct homes_watch **ret_watch)
{
    struct homes_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->receive = receive;
    watch->fanout = fanout;
    uv_timer_init(&loop->uv, &watch->timer);
    watch->timer.data = watch;
    uv_timer_start(&watch->timer, on_timer, HOMES_WATCH_MS, HOMES_WATCH_MS);
    *ret_watch = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void homes_watch_close(struct homes_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->timer, on_closed);
}
