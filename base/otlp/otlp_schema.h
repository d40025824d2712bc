/* otlp_schema.h - the messages of OTLP: their fields' names in JSON, numbers and types.
 *
 * Source: opentelemetry-proto v1 (collector, common, resource, trace, metrics, logs) and its JSON mapping,
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Constant tables, any thread.
 */
#ifndef BASE_OTLP_SCHEMA_H
#define BASE_OTLP_SCHEMA_H

#include "base/batch.h"

enum otlp_message {
    OTLP_NO_MESSAGE,
    OTLP_METRICS_REQUEST,
    OTLP_LOGS_REQUEST,
    OTLP_TRACES_REQUEST,
    OTLP_RESOURCE_SPANS,
    OTLP_SCOPE_SPANS,
    OTLP_SPAN,
    OTLP_EVENT,
    OTLP_LINK,
    OTLP_STATUS,
    OTLP_RESOURCE_METRICS,
    OTLP_SCOPE_METRICS,
    OTLP_METRIC,
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXPONENTIAL,
    OTLP_SUMMARY,
    OTLP_NUMBER_POINT,
    OTLP_HISTOGRAM_POINT,
    OTLP_EXPONENTIAL_POINT,
    OTLP_BUCKETS,
    OTLP_SUMMARY_POINT,
    OTLP_QUANTILE,
    OTLP_EXEMPLAR,
    OTLP_RESOURCE_LOGS,
    OTLP_SCOPE_LOGS,
    OTLP_LOG_RECORD,
    OTLP_RESOURCE,
    OTLP_ENTITY,
    OTLP_SCOPE,
    OTLP_KEY_VALUE,
    OTLP_ANY,
    OTLP_ARRAY,
    OTLP_KEY_VALUES,
    OTLP_MESSAGES
};

enum otlp_type {
    OTLP_STRING,
    OTLP_BYTES,    /* base64 in JSON */
    OTLP_TRACE_ID, /* hex in JSON: 16 bytes */
    OTLP_SPAN_ID,  /* hex in JSON: 8 bytes */
    OTLP_BOOL,
    OTLP_ENUM, /* an integer in JSON, never a name */
    OTLP_UINT32,
    OTLP_SINT32, /* zigzag */
    OTLP_INT64,
    OTLP_UINT64,
    OTLP_FIXED32,
    OTLP_FIXED64,
    OTLP_SFIXED64,
    OTLP_DOUBLE,
    OTLP_MESSAGE
};

struct otlp_field {
    const char *name;
    uint8_t name_len, number, type, message; /* message: of OTLP_MESSAGE, which one */
    bool is_repeated;                        /* numbers of a repeated field are packed */
};

/* otlp_schema_request: the request of a signal. */
enum otlp_message otlp_schema_request(enum telemetry signal);

/* otlp_schema_named, otlp_schema_numbered: a message's field; NULL: not known. */
const struct otlp_field *otlp_schema_named(enum otlp_message message, struct bytes name);
const struct otlp_field *otlp_schema_numbered(enum otlp_message message, uint32_t number);

#endif
