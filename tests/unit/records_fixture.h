/* records_fixture.h - small payloads of each format, written field by field. */
#ifndef TESTS_UNIT_RECORDS_FIXTURE_H
#define TESTS_UNIT_RECORDS_FIXTURE_H

#include "base/pb.h"
#include "base/snap.h"

static inline void put_pair(struct buf *b, uint32_t number, const char *name, const char *value)
{
    size_t mark;
    pb_begin(b, number, &mark);
    pb_put_string(b, 1, name);
    pb_put_string(b, 2, value);
    pb_end(b, mark);
}

/* A series of one name and one more label with samples 1, 2, ... at times_ms. */
static inline void put_series(struct buf *b, const char *name, const char *instance, const int64_t *times_ms,
                              size_t count)
{
    size_t series, sample;
    pb_begin(b, 1, &series);
    put_pair(b, 1, "__name__", name);
    put_pair(b, 1, "instance", instance);
    for (size_t i = 0; i < count; i++) {
        pb_begin(b, 2, &sample);
        pb_put_double(b, 1, (double)i + 1);
        pb_put_varint(b, 2, (uint64_t)times_ms[i]);
        pb_end(b, sample);
    }
    pb_end(b, series);
}

static inline void put_entry(struct buf *b, int64_t time_ns, struct bytes line)
{
    size_t entry, timestamp;
    pb_begin(b, 2, &entry);
    pb_begin(b, 1, &timestamp);
    pb_put_varint(b, 1, (uint64_t)(time_ns / 1000000000));
    pb_put_varint(b, 2, (uint64_t)(time_ns % 1000000000));
    pb_end(b, timestamp);
    pb_put_bytes(b, 2, line);
    pb_end(b, entry);
}

static inline void put_line(struct buf *b, const char *labels, int64_t time_ns, const char *line)
{
    size_t stream;
    pb_begin(b, 1, &stream);
    pb_put_string(b, 1, labels);
    put_entry(b, time_ns, bytes_of_string(line));
    pb_end(b, stream);
}

static inline void put_text_attribute(struct buf *b, uint32_t number, const char *name, const char *value)
{
    size_t attribute, any;
    pb_begin(b, number, &attribute);
    pb_put_string(b, 1, name);
    pb_begin(b, 2, &any);
    pb_put_string(b, 1, value);
    pb_end(b, any);
    pb_end(b, attribute);
}

static inline void put_number_attribute(struct buf *b, uint32_t number, const char *name, int64_t value)
{
    size_t attribute, any;
    pb_begin(b, number, &attribute);
    pb_put_string(b, 1, name);
    pb_begin(b, 2, &any);
    pb_put_varint(b, 3, (uint64_t)value);
    pb_end(b, any);
    pb_end(b, attribute);
}

/* A span of a service, of 1.5 ms, with one number and a status of error. */
static inline void put_trace(struct buf *b, const char *service, const char *name, int64_t time_ns)
{
    static const uint8_t id[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    size_t resource_spans, resource, scope, span, status;
    pb_begin(b, 1, &resource_spans);
    pb_begin(b, 1, &resource);
    put_text_attribute(b, 1, "service.name", service);
    pb_end(b, resource);
    pb_begin(b, 2, &scope);
    pb_begin(b, 2, &span);
    pb_put_bytes(b, 1, (struct bytes){id, 16});
    pb_put_bytes(b, 2, (struct bytes){id, 8});
    pb_put_string(b, 5, name);
    pb_put_fixed64(b, 7, (uint64_t)time_ns);
    pb_put_fixed64(b, 8, (uint64_t)time_ns + 1500000);
    put_number_attribute(b, 9, "http.status_code", -503);
    pb_begin(b, 15, &status);
    pb_put_varint(b, 3, 2);
    pb_end(b, status);
    pb_end(b, span);
    pb_end(b, scope);
    pb_end(b, resource_spans);
}

#endif
