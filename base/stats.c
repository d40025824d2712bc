#include "base/stats.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

enum { MAX_SERIES = 10000, MAX_HOOKS = 32, MAX_LABEL_BYTES = 256, BUCKETS = 18 };

/* Upper bounds of a histogram's buckets, in the exposed unit. */
static const double bounds[BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                       0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

struct stats_cell {
    struct stats_cell *next;        /* of the same definition */
    const struct stats_def *def;    /* borrowed from the table */
    _Atomic int64_t value;          /* of a histogram: the sum */
    _Atomic int64_t *buckets;       /* owned; BUCKETS + 1 of a histogram, the last is +Inf */
    char *labels[STATS_MAX_LABELS]; /* owned */
};

struct stats {
    const struct stats_def *defs; /* borrowed */
    size_t count;
    pthread_mutex_t lock;      /* of the lists of cells */
    struct stats_cell **first; /* owned; a list a definition, newest first */
    size_t *cells;             /* owned; how many */
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } hooks[MAX_HOOKS];
    int hook_count;
    double started; /* seconds since 1970 */
};

struct stats *stats_new(const struct stats_def *defs, size_t count)
{
    struct stats *stats = calloc(1, sizeof *stats);
    if (!stats)
        return NULL;
    stats->defs = defs;
    stats->count = count;
    stats->first = calloc(count, sizeof(struct stats_cell *));
    stats->cells = calloc(count, sizeof *stats->cells);
    stats->started = (double)clock_wall_ns() / 1e9;
    pthread_mutex_init(&stats->lock, NULL);
    if (stats->first && stats->cells)
        return stats;
    stats_free(stats);
    return NULL;
}

static void free_cell(struct stats_cell *cell)
{
    for (int i = 0; i < STATS_MAX_LABELS; i++)
        free(cell->labels[i]);
    free(cell->buckets);
    free(cell);
}

void stats_free(struct stats *stats)
{
    if (!stats)
        return;
    for (size_t i = 0; stats->first && i < stats->count; i++) {
        for (struct stats_cell *cell = stats->first[i], *next; cell; cell = next) {
            next = cell->next;
            free_cell(cell);
        }
    }
    pthread_mutex_destroy(&stats->lock);
    free(stats->first);
    free(stats->cells);
    free(stats);
}

static int label_count(const struct stats_def *def)
{
    int n = 0;
    while (n < STATS_MAX_LABELS && def->labels[n])
        n++;
    return n;
}

static struct stats_cell *find_cell(struct stats *stats, int def, const char *const *values, int count)
{
    for (struct stats_cell *cell = stats->first[def]; cell; cell = cell->next) {
        int i = 0;
        while (i < count && strcmp(cell->labels[i], values[i]) == 0)
            i++;
        if (i == count)
            return cell;
    }
    return NULL;
}

static struct stats_cell *make_cell(struct stats *stats, int def, const char *const *values, int count)
{
    struct stats_cell *cell = calloc(1, sizeof *cell);
    if (!cell)
        abort(); /* a few hundred bytes at start-up; there is no going on without them */
    cell->def = &stats->defs[def];
    if (cell->def->type == STATS_HISTOGRAM && !(cell->buckets = calloc(BUCKETS + 1, sizeof *cell->buckets)))
        abort();
    for (int i = 0; i < count; i++) {
        cell->labels[i] = strndup(values[i], MAX_LABEL_BYTES);
        if (!cell->labels[i])
            abort();
    }
    cell->next = stats->first[def];
    stats->first[def] = cell;
    stats->cells[def]++;
    return cell;
}

struct stats_cell *stats_cell(struct stats *stats, int def, ...)
{
    static const char *const others[STATS_MAX_LABELS] = {"other", "other", "other",
                                                         "other", "other", "other"};
    const char *values[STATS_MAX_LABELS];
    int count = label_count(&stats->defs[def]);
    va_list args;
    va_start(args, def);
    for (int i = 0; i < count; i++)
        values[i] = va_arg(args, const char *);
    va_end(args);
    pthread_mutex_lock(&stats->lock);
    struct stats_cell *cell = find_cell(stats, def, values, count);
    if (!cell && stats->cells[def] >= MAX_SERIES)
        cell = find_cell(stats, def, others, count);
    if (!cell)
        cell = make_cell(stats, def, stats->cells[def] >= MAX_SERIES ? others : values, count);
    pthread_mutex_unlock(&stats->lock);
    return cell;
}

void stats_add(struct stats_cell *cell, int64_t n)
{
    atomic_fetch_add_explicit(&cell->value, n, memory_order_relaxed);
}

void stats_set(struct stats_cell *cell, int64_t value)
{
    atomic_store_explicit(&cell->value, value, memory_order_relaxed);
}

int64_t stats_get(const struct stats_cell *cell)
{
    return atomic_load_explicit(&((struct stats_cell *)cell)->value, memory_order_relaxed);
}

void stats_observe(struct stats_cell *cell, int64_t value)
{
    double exposed = (double)value * cell->def->scale;
    int i = 0;
    while (i < BUCKETS && exposed > bounds[i])
        i++;
    atomic_fetch_add_explicit(&cell->buckets[i], 1, memory_order_relaxed);
    stats_add(cell, value);
}

void stats_on_collect(struct stats *stats, void (*fn)(void *ctx), void *ctx)
{
    if (stats->hook_count >= MAX_HOOKS)
        abort(); /* a bug of ours: hooks are a fixed few */
    stats->hooks[stats->hook_count].fn = fn;
    stats->hooks[stats->hook_count++].ctx = ctx;
}

static void write_label_value(struct buf *out, const char *value)
{
    for (const char *p = value; *p; p++) {
        if (*p == '\\' || *p == '"')
            buf_append(out, "\\", 1);
        buf_append(out, *p == '\n' ? "\\n" : p, *p == '\n' ? 2 : 1);
    }
}

static void write_labels(struct buf *out, const struct stats_cell *cell, const char *le)
{
    int count = label_count(cell->def);
    if (count == 0 && !le)
        return;
    buf_append(out, "{", 1);
    for (int i = 0; i < count; i++) {
        buf_printf(out, "%s%s=\"", i ? "," : "", cell->def->labels[i]);
        write_label_value(out, cell->labels[i]);
        buf_append(out, "\"", 1);
    }
    if (le)
        buf_printf(out, "%sle=\"%s\"", count ? "," : "", le);
    buf_append(out, "}", 1);
}

static void write_sample(struct buf *out, const struct stats_cell *cell, const char *suffix, const char *le,
                         double value)
{
    buf_printf(out, "%s%s", cell->def->name, suffix);
    write_labels(out, cell, le);
    buf_printf(out, " %.17g\n", value);
}

static void write_histogram(struct buf *out, const struct stats_cell *cell)
{
    int64_t total = 0;
    for (int i = 0; i <= BUCKETS; i++) {
        char le[32] = "+Inf";
        total += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
        if (i < BUCKETS)
            snprintf(le, sizeof le, "%g", bounds[i]);
        write_sample(out, cell, "_bucket", le, (double)total);
    }
    write_sample(out, cell, "_sum", NULL, (double)stats_get(cell) * cell->def->scale);
    write_sample(out, cell, "_count", NULL, (double)total);
}

static void write_def(struct stats *stats, size_t i, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct stats_def *def = &stats->defs[i];
    pthread_mutex_lock(&stats->lock);
    struct stats_cell *cell = stats->first[i]; /* what is newer is shown next time */
    pthread_mutex_unlock(&stats->lock);
    if (!cell)
        return;
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", def->name, def->help, def->name, types[def->type]);
    for (; cell; cell = cell->next) {
        if (def->type == STATS_HISTOGRAM)
            write_histogram(out, cell);
        else
            write_sample(out, cell, "", NULL, (double)stats_get(cell) * def->scale);
    }
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_gauge(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

static void write_process(struct stats *stats, struct buf *out)
{
    write_gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                resident_bytes());
    write_gauge(out, "process_cpu_seconds_total", "counter",
                "Total user and system CPU time spent in seconds.",
                (double)clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
    write_gauge(out, "process_start_time_seconds", "gauge",
                "Start time of the process since unix epoch in seconds.", stats->started);
}

int stats_write(struct stats *stats, struct buf *out)
{
    for (int i = 0; i < stats->hook_count; i++)
        stats->hooks[i].fn(stats->hooks[i].ctx);
    for (size_t i = 0; i < stats->count; i++)
        write_def(stats, i, out);
    write_process(stats, out);
    return out->len < out->max ? 0 : -EMSGSIZE;
}
