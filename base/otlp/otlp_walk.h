/* otlp_walk.h - the outer levels of an OTLP request: checked, counted, given further resource attributes.
 *
 * Source: opentelemetry-proto v1, collector/{trace,metrics,logs}/v1. The three requests have the same outer
 * levels: request { 1: resource_x { 1: resource, 2: scope_x { 1: scope, 2: record } } }; a metric holds its
 * points as { 5, 7, 9, 10 or 11: { 1: point } }. Nothing deeper is decoded and nothing recurses, so what a
 * pod nests costs it alone. Pure functions, any thread.
 */
#ifndef BASE_OTLP_WALK_H
#define BASE_OTLP_WALK_H

#include "base/batch.h"
#include "base/buf.h"

struct otlp_count {
    uint64_t records;    /* spans, metrics (not their points) or log records */
    int64_t earliest_ns; /* start of the first span, time of the first log record or point; 0: none has one */
    int64_t latest_ns;   /* end of the last span, time of the last log record or point; 0: none has one */
};

/* otlp_walk: checks the request down to its records and counts them. Of a record only the fields up to its
 * times are read; of a metric its points, one level deeper. 0, or -EBADMSG: not such a request. */
int otlp_walk(struct bytes request, enum telemetry signal, struct otlp_count *ret_count);

/* otlp_put_attribute: appends name and a string value as one more attribute (Resource.attributes) for
 * otlp_add_resource_attributes. 0, or the error of buf_reserve. */
int otlp_put_attribute(struct buf *attributes, const char *name, const char *value);

/* otlp_add_resource_attributes: appends to out the request with attributes at the end of each resource, but
 * for those whose name the resource has already; where there is no resource, one is added. Lengths that
 * enclose them are rewritten; all else is copied byte for byte. 0, -EBADMSG (then out is unchanged),
 * -EMSGSIZE past out's limit, -ENOMEM. */
int otlp_add_resource_attributes(struct bytes request, struct bytes attributes, struct buf *out);

#endif
