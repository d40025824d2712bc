/* series.h - encodes samples as Prometheus remote write 1.0 TimeSeries, and the queue of those that wait for
 * the gateway.
 *
 * Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ (prometheus.WriteRequest: timeseries = 1;
 * TimeSeries: labels = 1, samples = 2; Label: name = 1, value = 2; Sample: value = 1 double, timestamp = 2
 * int64 ms). Labels are written sorted by name; empty values are left out. A series without a name, with a
 * name twice or with invalid UTF-8 is dropped and counted here, because Prometheus would drop it silently.
 *
 * series_encode.c: labels and samples, any thread (one at a time per chunk). series_queue.c: loop thread
 * only.
 */
#ifndef NODE_AGENT_SERIES_H
#define NODE_AGENT_SERIES_H

#include "base/stats.h"
#include "node-agent/config.h"
#include "node-agent/ship/refusals.h"
#include "node-agent/ship/ship.h"

struct series_label {
    struct bytes name, value; /* borrowed */
};

/* The labels that every series of one target carries besides its own: sorted by name, copied, encoded once.
 *
 * target: job, instance and the target's static labels; they clash with a sample's labels as enum
 * series_clash says. external: the configuration's labels, as Prometheus' external_labels: put on a series
 * only where neither the sample nor the target has a label of that name. At most SERIES_MAX_LABELS together.
 */
enum { SERIES_MAX_LABELS = 128 };
struct series_context;

/* series_context_new: 0, -EINVAL (a name twice in target, an empty name, invalid UTF-8), -E2BIG, -ENOMEM. */
int series_context_new(const struct series_label *target, size_t target_count,
                       const struct conf_map *external, struct series_context **ret_context);
void series_context_free(struct series_context *context);

enum series_clash {                  /* a label of the sample that the target has too */
                    SERIES_EXPORTED, /* the sample's becomes exported_<name> (honor_labels: false) */
                    SERIES_HONOR,    /* the sample's wins, an empty one takes the label away */
};

enum series_fault { /* why a series cannot be sent: Prometheus would drop it silently */
                    SERIES_NO_NAME,
                    SERIES_DUPLICATE_LABEL,
                    SERIES_INVALID_UTF8,
                    SERIES_TOO_MANY_LABELS,
                    SERIES_REPEATED_SAMPLE, /* a second sample of one series and time in one scrape */
                    SERIES_OUT_OF_BOUNDS,   /* a time of its own that lies too far ahead */
                    SERIES_TOO_LARGE,       /* the scrape is larger than its chunks, or memory was out */
};
enum { SERIES_FAULTS = 7 };

/* series_encode_labels: appends the label fields of a TimeSeries to out: the sample's labels (without
 * __name__, in any order) and the context's, sorted by name. Equal bytes are equal series. 0, -EINVAL with
 * *ret_fault, or an error of buf_reserve. */
int series_encode_labels(const struct series_context *context, enum series_clash clash, struct bytes name,
                         const struct series_label *labels, size_t label_count, struct buf *out,
                         enum series_fault *ret_fault);

/* The bits of the NaN that marks a series as gone (Prometheus' staleness marker). */
#define SERIES_STALE_BITS UINT64_C(0x7ff0000000000002)
double series_stale_value(void);

/* One scrape's samples, encoded; becomes a chunk of the queue. At most SERIES_CHUNK_BYTES, so that a chunk
 * always fits into a batch. One thread at a time. */
enum { SERIES_CHUNK_BYTES = 4 * 1024 * 1024 };
struct series_chunk;

/* series_chunk_new: an empty chunk of at most max_bytes (cut to SERIES_CHUNK_BYTES). NULL when memory is out.
 */
struct series_chunk *series_chunk_new(size_t max_bytes);
void series_chunk_free(struct series_chunk *chunk);

/* series_add: appends one sample. 0, -EMSGSIZE (chunk full), -ENOMEM, -EINVAL (counted in the chunk, which
 * the queue counts in dropped_records_total). */
int series_add(struct series_chunk *chunk, const struct series_context *context, enum series_clash clash,
               struct bytes name, const struct series_label *labels, size_t label_count, double value,
               int64_t time_ms);

/* series_add_encoded: the same with labels as series_encode_labels wrote them. 0, -EMSGSIZE, -ENOMEM. */
int series_add_encoded(struct series_chunk *chunk, struct bytes labels, double value, int64_t time_ms);

/* series_chunk_fault: counts samples that were not added. */
void series_chunk_fault(struct series_chunk *chunk, enum series_fault fault, uint64_t samples);

uint64_t series_chunk_samples(const struct series_chunk *chunk);
struct bytes series_chunk_bytes(const struct series_chunk *chunk); /* a prometheus.WriteRequest; borrowed */

/* The queue: bounded by config->queue.metrics_bytes; past it the oldest chunks are dropped and counted
 * (tributary_agent_dropped_records_total{signal="metrics",cause="queue_full"}). It is ship's source of
 * metrics: sealing joins the oldest chunks, sorted by time, into one batch of at most 4 MiB raw; samples
 * older than what was sealed before are sealed apart, in a batch of their own that goes first. */
struct series_queue;
int series_queue_new(const struct agent_config *config, struct stats *stats, struct series_queue **ret_queue);
void series_queue_free(struct series_queue *queue);

/* series_queue_take: the queue becomes the owner (an empty chunk is freed), counts the chunk's faults and
 * gives back what it reserved too much; call ship_wake afterwards. */
void series_queue_take(struct series_queue *queue, struct series_chunk **chunk);

/* series_queue_is_filling: more than half of what may wait does. */
bool series_queue_is_filling(const struct series_queue *queue);

/* series_queue_set_refusals: whom its producers tell what was refused; borrowed, NULL: nobody.
 * series_queue_refusals: that. */
void series_queue_set_refusals(struct series_queue *queue, struct refusals *refusals);
struct refusals *series_queue_refusals(const struct series_queue *queue);

/* series_queue_source: the record for ship_new. */
struct ship_source series_queue_source(struct series_queue *queue);

#endif
