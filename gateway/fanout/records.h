/* records.h - what a raw payload says, record by record, for people: samples, lines and spans.
 *
 * Reads remote write 1.0, Loki push and OTLP; remote write 2.0 gives -EPROTONOSUPPORT. Only the levels
 * down to the record and the scalars of attributes are read, each by its own loop; past RECORD_MAX_PAIRS
 * labels, and past the scratch for numbers and unescaped values, the rest of a record's labels is left out.
 * Pure, any thread.
 *
 * Sources: prometheus/prompb/{remote,types}.proto, grafana/loki pkg/push/push.proto, opentelemetry-proto v1
 * (the collector services, trace, metrics, logs and common, v1).
 */
#ifndef GATEWAY_RECORDS_H
#define GATEWAY_RECORDS_H

#include "base/batch.h"

enum { RECORD_MAX_PAIRS = 128, RECORD_SCRATCH = 16 * 1024 };

enum record_kind { RECORD_SAMPLE, RECORD_HISTOGRAM, RECORD_LINE, RECORD_SPAN };

struct record_pair {
    struct bytes name, value; /* borrowed from the payload or the record's scratch */
};

struct record {
    enum record_kind kind;
    int64_t time_ns;                            /* of a span: its start */
    struct record_pair pairs[RECORD_MAX_PAIRS]; /* labels; of a span: resource attributes, then its own */
    size_t pair_count;
    size_t resource_count;                     /* of a span: how many of the pairs are the resource's */
    double value;                              /* of a sample; of a histogram: its sum */
    double count;                              /* of a histogram: observations */
    struct bytes text;                         /* of a line: the line; of a span: its name */
    struct bytes trace_id, span_id, parent_id; /* of a span: bytes, not hex */
    int64_t end_ns;                            /* of a span */
    uint64_t status;                           /* of a span: 0 unset, 1 ok, 2 error */
    char scratch[RECORD_SCRATCH];
    size_t scratch_len;
};

/* records_each: calls each(ctx, record) for every record of raw, in the order of the bytes, until it returns
 * other than 0, which is then returned. 0 at the end, -EBADMSG (records before the damage were shown),
 * -EPROTONOSUPPORT, -ENOMEM. */
int records_each(enum batch_format format, struct bytes raw,
                 int (*each)(void *ctx, const struct record *record), void *ctx);

/* records_show: the same for people, who see OTLP's metrics (a record each point: its attributes after the
 * resource's, and aggregation_temporality="delta" where that is so) and log records as well, in which
 * records_each does not count as the ledger does and gives -EPROTONOSUPPORT. */
int records_show(enum batch_format format, struct bytes raw,
                 int (*each)(void *ctx, const struct record *record), void *ctx);

/* record_find: the value of a label or attribute; ptr is NULL when it has none of that name. */
struct bytes record_find(const struct record *record, struct bytes name);

/* records_read_timestamp: a google.protobuf.Timestamp, in ns since 1970. 0 or -EBADMSG. */
int records_read_timestamp(struct bytes message, int64_t *ret_ns);

#endif
