/* series_sink.h - what collectors say, as samples in a chunk: of one target, run after run, all samples of a
 * run with one time.
 *
 * Remembers the series of the last run: one that is not said again gets a staleness marker, one that is said
 * twice is dropped and counted. One thread at a time.
 */
#ifndef NODE_AGENT_SERIES_SINK_H
#define NODE_AGENT_SERIES_SINK_H

#include "node-agent/host/collector.h"
#include "node-agent/scrape/scrape_cache.h"
#include "node-agent/scrape/series.h"

struct series_sink {
    struct metric_sink sink;        /* first: what collectors are given */
    struct series_context *context; /* owned */
    struct scrape_cache *cache;     /* owned */
    struct series_chunk *chunk;     /* owned until it is taken; NULL before a run and when memory is out */
    struct buf labels;              /* owned; of the sample being added */
    int64_t time_ms;
    struct refusals *refusals; /* set by the owner, borrowed: who is told of samples that cannot be sent;
                                  NULL: nobody, as on another thread than the loop's */
    const char *source;        /* likewise: "target JOB INSTANCE" */
};

/* series_sink_init: labels of the target and external ones as in series_context_new, whose errors it has; on
 * failure series_sink_fini is not owed. */
int series_sink_init(struct series_sink *sink, const struct series_label *target, size_t target_count,
                     const struct conf_map *external);
void series_sink_fini(struct series_sink *sink);

/* series_sink_begin, series_sink_end: around a run. A chunk that was not taken is freed. */
void series_sink_begin(struct series_sink *sink, int64_t time_ms);
void series_sink_end(struct series_sink *sink);

#endif
