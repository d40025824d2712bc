#include "node-agent/host/collector_set.h"

#include <errno.h>

#include "base/clock.h"

enum { WARN_PERIOD_S = 600 };
static const int64_t answer_ns = INT64_C(2) * 1000000000;

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
    struct collector_thread *thread = NULL;
    if (err == 0 && collector->asks)
        err = collector_thread_new(collector, state, &thread);
    if (err < 0)
        return err;
    memset(&set->items[set->count], 0, sizeof set->items[set->count]);
    set->items[set->count].collector = collector;
    set->items[set->count].state = thread ? NULL : state;
    set->items[set->count].thread = thread;
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

static void report(struct collector_set *set, size_t at, int err, int64_t ns, struct metric_sink *sink)
{
    const char *name = set->items[at].collector->name;
    const char *const labels[] = {"collector", name, NULL};
    unsigned held_back;
    sink->sample(sink, "node_scrape_collector_duration_seconds", METRIC_GAUGE,
                 "node_exporter: Duration of a collector scrape.", labels, (double)ns / 1e9);
    sink->sample(sink, "node_scrape_collector_success", METRIC_GAUGE,
                 "node_exporter: Whether a collector succeeded.", labels, err < 0 ? 0 : 1);
    if (err < 0 && err != -ENODATA && log_limit_pass(&set->items[at].limit, WARN_PERIOD_S, &held_back))
        log_warn("collector failed", "collector=%s error=\"%s\" held_back=%u", name, strerror(-err),
                 held_back);
}

static void run_here(struct collector_set *set, size_t at, uint64_t epoch, struct metric_sink *sink)
{
    const struct collector *collector = set->items[at].collector;
    int64_t begin_ns = clock_mono_ns();
    int err = collector->announced ? update_announced(set, at, epoch, sink)
                                   : collector->update(set->items[at].state, sink);
    report(set, at, err, clock_mono_ns() - begin_ns, sink);
}

static void end_thread(struct collector_set *set, size_t at, int64_t until_ns, struct metric_sink *sink)
{
    int64_t begin_ns = clock_mono_ns(), took_ns;
    int err = collector_thread_end(set->items[at].thread, until_ns, sink, &took_ns);
    report(set, at, err, took_ns ? took_ns : clock_mono_ns() - begin_ns, sink);
}

void collector_set_run(struct collector_set *set, struct metric_sink *sink)
{
    uint64_t epoch = set->announcements ? announcements_epoch(set->announcements) : 0;
    int64_t until_ns = clock_mono_ns() + answer_ns;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].thread && !set->items[i].left_out)
            collector_thread_begin(set->items[i].thread);
    for (size_t i = 0; i < set->count; i++)
        if (!set->items[i].thread && !set->items[i].left_out)
            run_here(set, i, epoch, sink);
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].thread && !set->items[i].left_out)
            end_thread(set, i, until_ns, sink);
}

void collector_set_stop(struct collector_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].thread)
            collector_thread_free(set->items[i].thread);
        else
            set->items[i].collector->stop(set->items[i].state);
    set->count = 0;
    announcements_free(set->announcements);
    set->announcements = NULL;
}
