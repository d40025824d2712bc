#include "node-agent/collector_set.h"

#include <errno.h>

#include "base/clock.h"

enum { WARN_PERIOD_S = 600 };

int collector_set_add(struct collector_set *set, const struct collector *collector,
                      const struct agent_config *config)
{
    if (set->count == COLLECTOR_SET_MAX)
        return -E2BIG;
    if (collector->announced && !set->announcements)
        set->announcements =
            announcements_new(config->host_metrics.path_procfs, config->host_metrics.path_sysfs);
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

/* ---- an update ---- */

struct counting_sink {
    struct metric_sink sink; /* first, so that a sink is this */
    struct metric_sink *to;
    size_t count;
};

static void count_sample(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                         const char *const *labels, double value)
{
    struct counting_sink *counting = (struct counting_sink *)sink;
    counting->count++;
    counting->to->sample(counting->to, name, type, help, labels, value);
}

/* The update of a collector that finds nothing on most hosts. */
static int update_announced(struct collector_set *set, size_t at, uint64_t epoch, struct metric_sink *sink)
{
    if (epoch && set->items[at].nothing_since == epoch)
        return set->items[at].nothing_err;
    struct counting_sink counting = {{count_sample}, sink, 0};
    int err = set->items[at].collector->update(set->items[at].state, &counting.sink);
    bool is_nothing = counting.count == 0 && (err == 0 || err == -ENODATA);
    set->items[at].nothing_since = is_nothing ? epoch : 0;
    set->items[at].nothing_err = err;
    return err;
}

static void report(const struct collector *collector, int err, int64_t ns, struct metric_sink *sink)
{
    const char *const labels[] = {"collector", collector->name, NULL};
    sink->sample(sink, "node_scrape_collector_duration_seconds", METRIC_GAUGE,
                 "node_exporter: Duration of a collector scrape.", labels, (double)ns / 1e9);
    sink->sample(sink, "node_scrape_collector_success", METRIC_GAUGE,
                 "node_exporter: Whether a collector succeeded.", labels, err < 0 ? 0 : 1);
}

void collector_set_run(struct collector_set *set, struct metric_sink *sink)
{
    uint64_t epoch = set->announcements ? announcements_epoch(set->announcements) : 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct collector *collector = set->items[i].collector;
        unsigned held_back;
        int64_t begin_ns = clock_mono_ns();
        int err = collector->announced ? update_announced(set, i, epoch, sink)
                                       : collector->update(set->items[i].state, sink);
        report(collector, err, clock_mono_ns() - begin_ns, sink);
        if (err < 0 && err != -ENODATA && log_limit_pass(&set->items[i].limit, WARN_PERIOD_S, &held_back))
            log_warn("collector failed", "collector=%s error=\"%s\" held_back=%u", collector->name,
                     strerror(-err), held_back);
    }
}

void collector_set_stop(struct collector_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->items[i].collector->stop(set->items[i].state);
    set->count = 0;
    announcements_free(set->announcements);
    set->announcements = NULL;
}
