/* stats.h - a program's own metrics: one table of definitions, cells counted by any thread, text exposition
 * 0.0.4.
 *
 * A definition has a name, type, help and label names; a cell is one series of it. Cells live as long as the
 * registry; whoever counts keeps the pointer. Source of the text: Prometheus exposition format 0.0.4.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

enum stats_type { STATS_COUNTER, STATS_GAUGE, STATS_HISTOGRAM };
enum { STATS_MAX_LABELS = 6 };

struct stats_def {
    const char *name; /* with its unit and _total, as Prometheus has it */
    enum stats_type type;
    double
        scale; /* what one counted unit is in the exposed unit: 1, or 1e-9 for nanoseconds shown in seconds */
    const char *help;
    const char *labels[STATS_MAX_LABELS]; /* NULL ends */
};

struct stats_cell; /* one series */
struct stats;      /* the registry */

/* stats_new: a registry over a table of count definitions, borrowed for ever. NULL when memory is out. */
struct stats *stats_new(const struct stats_def *defs, size_t count);
void stats_free(struct stats *stats);

/* stats_cell: the series of defs[def] with these label values (as many strings as the definition has labels),
 * made at 0 at first sight. Never NULL: past 10,000 series a definition answers with one overflow cell whose
 * label values are "other". Any thread; takes a lock, so keep the pointer. */
struct stats_cell *stats_cell(struct stats *stats, int def, ...);

/* stats_add, stats_set, stats_get: any thread, relaxed atomics. */
void stats_add(struct stats_cell *cell, int64_t n);
void stats_set(struct stats_cell *cell, int64_t value);
int64_t stats_get(const struct stats_cell *cell);

/* stats_observe: of a histogram: counts value (in counted units) into fixed buckets 1-2.5-5 from 100 us to 60
 * s of the exposed unit. */
void stats_observe(struct stats_cell *cell, int64_t value);

/* stats_on_collect: fn is called before every stats_write, on the writer's thread, to set gauges that are
 * computed. At most 32. */
void stats_on_collect(struct stats *stats, void (*fn)(void *ctx), void *ctx);

/* stats_write: appends the exposition of every cell, with process_resident_memory_bytes,
 * process_cpu_seconds_total and process_start_time_seconds. 0, or -EMSGSIZE past out's limit. */
int stats_write(struct stats *stats, struct buf *out);

#endif
