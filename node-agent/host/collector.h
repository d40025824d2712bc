/* collector.h - one collector of host metrics: a const record; collectors/NAME.c holds one each,
 * collectors/table.c lists them.
 *
 * Names, labels, types and HELP texts are node_exporter's; they are interface.
 */
#ifndef NODE_AGENT_COLLECTOR_H
#define NODE_AGENT_COLLECTOR_H

#include "base/bytes.h"
#include "node-agent/config.h"

/* Samples of summaries and histograms carry the name of their part (NAME_sum, NAME_bucket ...). */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_UNTYPED, METRIC_SUMMARY, METRIC_HISTOGRAM };

/* Where a collector puts its samples: remote write as shipped, or the text exposition. Label pairs as name,
 * value, ..., NULL; labels may be NULL for none. All strings are borrowed during the call. */
struct metric_sink {
    void (*sample)(struct metric_sink *sink, const char *name, enum metric_type type, const char *help,
                   const char *const *labels, double value);
};

struct collector {
    const char *name;
    bool enabled_by_default;
    /* start: state for this host, NULL state is fine; 0 or a negative errno. */
    int (*start)(const struct agent_config *config, void **ret_state);
    /* update: reads now and emits. 0, -ENODATA (nothing of the kind here; not an error), or a negative errno.
     * May run on a thread of its own where blocks is set (a hung mount). */
    int (*update)(void *state, struct metric_sink *sink);
    void (*stop)(void *state);
    bool blocks;
    /* It asks other programs, which may not answer: it runs on a thread of its own, with a deadline
     * (collector_thread.h). Its state borrows nothing. */
    bool asks;
    /* What it reads comes and goes with a device or a module, which the kernel announces: having found
     * nothing it need not look again before that (announcements.h). */
    bool announced;
    /* The switches below --collector.NAME. (collector_flags.h): "NAME.x" is on or off, "NAME.x=" takes a
     * value, "NAME.x=~" an expression. NULL ends; NULL for none. */
    const char *const *flags;
};

extern const struct collector *const collectors[]; /* NULL ends */

/* collector_emit: a sample without labels. */
static inline void collector_emit(struct metric_sink *sink, const char *name, enum metric_type type,
                                  const char *help, double value)
{
    sink->sample(sink, name, type, help, NULL, value);
}

/* COLLECTOR_SAMPLE: a sample with labels, given as name, value, ... */
#define COLLECTOR_SAMPLE(sink, name, type, help, value, ...)                                                 \
    (sink)->sample((sink), (name), (type), (help), (const char *const[]){__VA_ARGS__, NULL}, (value))

/* collector_start_with_config, collector_stop_nothing: start and stop of a collector whose state is the
 * configuration itself, borrowed. */
int collector_start_with_config(const struct agent_config *config, void **ret_state);
void collector_stop_nothing(void *state);

#endif
