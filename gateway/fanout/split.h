/* split.h - the records of a raw payload: counted, and cut out as a message of their own.
 *
 * A record is a sample (or histogram), a line, a span, a metric or a log record. Records are numbered from 0
 * in the order of the bytes. What stands around them (series labels, stream labels, resource, scope) is
 * copied with them; an element that holds no record goes with the record that follows it, or with the last
 * one. Only the levels down to the record are walked, each by its own loop, so a sender cannot choose the
 * depth. Pure functions, any thread.
 *
 * Sources: prometheus/prompb (WriteRequest), grafana/loki pkg/push (PushRequest), opentelemetry-proto
 * (Export* ServiceRequest). FORMAT_REMOTE_WRITE_2 is not taken: its records refer to a table of symbols.
 */
#ifndef GATEWAY_SPLIT_H
#define GATEWAY_SPLIT_H

#include "base/batch.h"
#include "base/buf.h"

/* split_count: how many records raw holds. 0, -EBADMSG, -EPROTONOSUPPORT (a format that cannot be split). */
int split_count(enum batch_format format, struct bytes raw, uint32_t *ret_count);

/* split_write: appends to out a message that holds only the records [from, to) of raw, which has count of
 * them. 0, -EBADMSG, -EPROTONOSUPPORT, -EINVAL (not from <= to <= count), errors of buf_append; on failure
 * out is as it was. */
int split_write(enum batch_format format, struct bytes raw, uint32_t count, uint32_t from, uint32_t to,
                struct buf *out);

/* A record of remote write. */
struct split_sample {
    uint64_t series; /* hash of the names and values of its labels, in their order */
    int64_t time_ms;
};

/* split_samples: fills samples[0..count) of a remote write 1.0 message that has count records. 0, -EBADMSG
 * (also when the message has another number of records). */
int split_samples(struct bytes raw, struct split_sample *samples, uint32_t count);

#endif
