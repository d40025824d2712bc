#include "gateway/fanout/fanout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/fanout/backend.h"
#include "gateway/fanout/backend_kind.h"

struct fanout {
    struct backend *backends[TELEMETRY_COUNT * BUFFER_MAX_BACKENDS]; /* owned */
    size_t count;
    struct homes homes;
};

/* What the backends but one take. */
static uint32_t formats_elsewhere(const struct conf_list *list, size_t but, enum telemetry signal)
{
    const struct gateway_backend_config *backends = list->items;
    uint32_t formats = 0;
    for (size_t i = 0; i < list->count; i++)
        formats |= i == but ? 0 : backend_kind_formats(&backends[i], signal);
    return formats;
}

static int start_signal(struct fanout *fanout, const struct gateway_config *config, enum telemetry signal,
                        struct buffer *buffer, struct stats *stats)
{
    const struct conf_list *list = &gateway_config_signal(config, (int)signal)->backends;
    const struct gateway_backend_config *backends = list->items;
    for (size_t i = 0; i < list->count; i++) {
        int err = backend_new(&backends[i], signal, formats_elsewhere(list, i, signal), buffer, stats,
                              &fanout->homes, &fanout->backends[fanout->count]);
        if (err < 0)
            return err;
        fanout->count++;
    }
    return 0;
}

int fanout_new(const struct gateway_config *config, struct buffer *const buffers[TELEMETRY_COUNT],
               struct stats *stats, struct fanout **ret_fanout)
{
    struct fanout *fanout = calloc(1, sizeof *fanout);
    if (!fanout)
        return -ENOMEM;
    homes_init(&fanout->homes);
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        int err = start_signal(fanout, config, (enum telemetry)s, buffers[s], stats);
        if (err < 0) {
            fanout_stop(fanout, 0);
            return err;
        }
    }
    *ret_fanout = fanout;
    return 0;
}

void fanout_stop(struct fanout *fanout, int64_t timeout_ms)
{
    if (!fanout)
        return;
    int64_t deadline_ns = clock_mono_ns() + timeout_ms * 1000000;
    for (size_t i = 0; i < fanout->count; i++)
        backend_ask_to_stop(fanout->backends[i], deadline_ns);
    for (size_t i = 0; i < fanout->count; i++)
        backend_free(fanout->backends[i]);
    homes_fini(&fanout->homes);
    free(fanout);
}

size_t fanout_views(struct fanout *fanout, struct fanout_view *views, size_t most)
{
    for (size_t i = 0; i < fanout->count && i < most; i++)
        (void)backend_view(fanout->backends[i], &views[i]);
    return fanout->count < most ? fanout->count : most;
}

static struct backend *find(const struct fanout *fanout, enum telemetry signal, const char *backend)
{
    for (size_t i = 0; i < fanout->count; i++)
        if (backend_is(fanout->backends[i], signal, backend))
            return fanout->backends[i];
    return NULL;
}

bool fanout_is_behind(const struct fanout *fanout, enum telemetry signal, const char *backend)
{
    struct backend *found = find(fanout, signal, backend);
    return found && backend_is_behind(found);
}

uint64_t fanout_returns(const struct fanout *fanout, enum telemetry signal, const char *backend)
{
    const struct backend *found = find(fanout, signal, backend);
    return found ? backend_returns(found) : 0;
}

void fanout_tell_homes(struct fanout *fanout, struct home *homes, size_t count)
{
    homes_set(&fanout->homes, homes, count);
}
