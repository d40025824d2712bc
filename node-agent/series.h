/* series.h - encodes samples as Prometheus remote write 1.0 TimeSeries, and the queue of those that wait for
 * the gateway.
 *
 * Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ (prometheus.WriteRequest: timeseries = 1;
 * TimeSeries: labels = 1, samples = 2; Label: name = 1, value = 2; Sample: value = 1 double, timestamp = 2
 * int64 ms). Labels are written sorted by name; empty values are left out. A series without a name, with a
 * name twice or with invalid UTF-8 is dropped and counted here, because Prometheus would drop it silently.
 * Loop thread only.
 */
#ifndef NODE_AGENT_SERIES_H
#define NODE_AGENT_SERIES_H

#include "base/stats.h"
#include "node-agent/config.h"
#include "node-agent/ship.h"

struct series_label {
    struct bytes name, value; /* borrowed */
};

/* The labels that every series of one target carries besides its own (job, instance, static labels): sorted
 * by name, copied, encoded once. */
struct series_context;
int series_context_new(const struct series_label *labels, size_t count, struct series_context **ret_context);
void series_context_free(struct series_context *context);

/* One scrape's samples, encoded; becomes a chunk of the queue. */
struct series_chunk;

/* series_chunk_new: an empty chunk of at most max_bytes. NULL when memory is out. */
struct series_chunk *series_chunk_new(size_t max_bytes);
void series_chunk_free(struct series_chunk *chunk);

enum series_clash {                  /* a label of the sample that the context has too */
                    SERIES_EXPORTED, /* the sample's becomes exported_<name> (honor_labels: false) */
                    SERIES_HONOR,    /* the sample's wins */
};

/* series_add: appends one sample. labels (without __name__) in any order, at most 128. 0, -EMSGSIZE (chunk
 * full), -EINVAL (counted: no name, label twice, invalid UTF-8), -E2BIG. */
int series_add(struct series_chunk *chunk, const struct series_context *context, enum series_clash clash,
               struct bytes name, const struct series_label *labels, size_t label_count, double value,
               int64_t time_ms);

uint64_t series_chunk_samples(const struct series_chunk *chunk);

/* The queue: bounded by config->queue.metrics_bytes; past it the oldest chunks are dropped and counted
 * (tributary_agent_dropped_records_total{signal="metrics",cause="queue_full"}). It is ship's source of
 * metrics: sealing joins chunks in time order into one batch of at most 4 MiB raw; samples that go back in
 * time are sealed in a batch of their own. */
struct series_queue;
int series_queue_new(const struct agent_config *config, struct stats *stats, struct series_queue **ret_queue);
void series_queue_free(struct series_queue *queue);

/* series_queue_take: the queue becomes the owner (an empty chunk is freed); call ship_wake afterwards. */
void series_queue_take(struct series_queue *queue, struct series_chunk **chunk);

/* series_queue_source: the record for ship_new. */
struct ship_source series_queue_source(struct series_queue *queue);

#endif
