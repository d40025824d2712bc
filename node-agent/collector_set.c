#include "node-agent/collector_set.h"

#include <errno.h>

enum { WARN_PERIOD_S = 600 };

int collector_set_add(struct collector_set *set, const struct collector *collector,
                      const struct agent_config *config)
{
    if (set->count == COLLECTOR_SET_MAX)
        return -E2BIG;
    void *state = NULL;
    int err = collector->start(config, &state);
    if (err < 0)
        return err;
    memset(&set->items[set->count], 0, sizeof set->items[set->count]);
    set->items[set->count].collector = collector;
    set->items[set->count].state = state;
    set->count++;
    return 0;
}

void collector_set_run(struct collector_set *set, struct metric_sink *sink)
{
    for (size_t i = 0; i < set->count; i++) {
        unsigned held_back;
        int err = collector_run(set->items[i].collector, set->items[i].state, sink);
        if (err < 0 && err != -ENODATA && log_limit_pass(&set->items[i].limit, WARN_PERIOD_S, &held_back))
            log_warn("collector failed", "collector=%s error=\"%s\" held_back=%u",
                     set->items[i].collector->name, strerror(-err), held_back);
    }
}

void collector_set_stop(struct collector_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->items[i].collector->stop(set->items[i].state);
    set->count = 0;
}
