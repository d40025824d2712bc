#include "base/otlp/otlp_schema.h"

#define SCALAR(name, number, type)                                                                           \
    {                                                                                                        \
        name, sizeof name - 1, number, OTLP_##type, OTLP_NO_MESSAGE, false                                   \
    }
#define SCALARS(name, number, type)                                                                          \
    {                                                                                                        \
        name, sizeof name - 1, number, OTLP_##type, OTLP_NO_MESSAGE, true                                    \
    }
#define ONE(name, number, message)                                                                           \
    {                                                                                                        \
        name, sizeof name - 1, number, OTLP_MESSAGE, OTLP_##message, false                                   \
    }
#define MANY(name, number, message)                                                                          \
    {                                                                                                        \
        name, sizeof name - 1, number, OTLP_MESSAGE, OTLP_##message, true                                    \
    }

enum { MOST_FIELDS = 16 };

/* A name ends each list. */
static const struct otlp_field fields[OTLP_MESSAGES][MOST_FIELDS + 1] = {
    [OTLP_NO_MESSAGE] = {{0}},
    [OTLP_METRICS_REQUEST] = {MANY("resourceMetrics", 1, RESOURCE_METRICS), {0}},
    [OTLP_LOGS_REQUEST] = {MANY("resourceLogs", 1, RESOURCE_LOGS), {0}},
    [OTLP_TRACES_REQUEST] = {MANY("resourceSpans", 1, RESOURCE_SPANS), {0}},
    [OTLP_RESOURCE_SPANS] = {ONE("resource", 1, RESOURCE),
                             MANY("scopeSpans", 2, SCOPE_SPANS),
                             SCALAR("schemaUrl", 3, STRING),
                             {0}},
    [OTLP_SCOPE_SPANS] = {ONE("scope", 1, SCOPE),
                          MANY("spans", 2, SPAN),
                          SCALAR("schemaUrl", 3, STRING),
                          {0}},
    [OTLP_SPAN] = {SCALAR("traceId", 1, TRACE_ID),
                   SCALAR("spanId", 2, SPAN_ID),
                   SCALAR("traceState", 3, STRING),
                   SCALAR("parentSpanId", 4, SPAN_ID),
                   SCALAR("flags", 16, FIXED32),
                   SCALAR("name", 5, STRING),
                   SCALAR("kind", 6, ENUM),
                   SCALAR("startTimeUnixNano", 7, FIXED64),
                   SCALAR("endTimeUnixNano", 8, FIXED64),
                   MANY("attributes", 9, KEY_VALUE),
                   SCALAR("droppedAttributesCount", 10, UINT32),
                   MANY("events", 11, EVENT),
                   SCALAR("droppedEventsCount", 12, UINT32),
                   MANY("links", 13, LINK),
                   SCALAR("droppedLinksCount", 14, UINT32),
                   ONE("status", 15, STATUS),
                   {0}},
    [OTLP_EVENT] = {SCALAR("timeUnixNano", 1, FIXED64),
                    SCALAR("name", 2, STRING),
                    MANY("attributes", 3, KEY_VALUE),
                    SCALAR("droppedAttributesCount", 4, UINT32),
                    {0}},
    [OTLP_LINK] = {SCALAR("traceId", 1, TRACE_ID),
                   SCALAR("spanId", 2, SPAN_ID),
                   SCALAR("traceState", 3, STRING),
                   MANY("attributes", 4, KEY_VALUE),
                   SCALAR("droppedAttributesCount", 5, UINT32),
                   SCALAR("flags", 6, FIXED32),
                   {0}},
    [OTLP_STATUS] = {SCALAR("message", 2, STRING), SCALAR("code", 3, ENUM), {0}},
    [OTLP_RESOURCE_METRICS] = {ONE("resource", 1, RESOURCE),
                               MANY("scopeMetrics", 2, SCOPE_METRICS),
                               SCALAR("schemaUrl", 3, STRING),
                               {0}},
    [OTLP_SCOPE_METRICS] = {ONE("scope", 1, SCOPE),
                            MANY("metrics", 2, METRIC),
                            SCALAR("schemaUrl", 3, STRING),
                            {0}},
    [OTLP_METRIC] = {SCALAR("name", 1, STRING),
                     SCALAR("description", 2, STRING),
                     SCALAR("unit", 3, STRING),
                     ONE("gauge", 5, GAUGE),
                     ONE("sum", 7, SUM),
                     ONE("histogram", 9, HISTOGRAM),
                     ONE("exponentialHistogram", 10, EXPONENTIAL),
                     ONE("summary", 11, SUMMARY),
                     MANY("metadata", 12, KEY_VALUE),
                     {0}},
    [OTLP_GAUGE] = {MANY("dataPoints", 1, NUMBER_POINT), {0}},
    [OTLP_SUM] = {MANY("dataPoints", 1, NUMBER_POINT),
                  SCALAR("aggregationTemporality", 2, ENUM),
                  SCALAR("isMonotonic", 3, BOOL),
                  {0}},
    [OTLP_HISTOGRAM] = {MANY("dataPoints", 1, HISTOGRAM_POINT),
                        SCALAR("aggregationTemporality", 2, ENUM),
                        {0}},
    [OTLP_EXPONENTIAL] = {MANY("dataPoints", 1, EXPONENTIAL_POINT),
                          SCALAR("aggregationTemporality", 2, ENUM),
                          {0}},
    [OTLP_SUMMARY] = {MANY("dataPoints", 1, SUMMARY_POINT), {0}},
    [OTLP_NUMBER_POINT] = {SCALAR("startTimeUnixNano", 2, FIXED64),
                           SCALAR("timeUnixNano", 3, FIXED64),
                           SCALAR("asDouble", 4, DOUBLE),
                           MANY("exemplars", 5, EXEMPLAR),
                           SCALAR("asInt", 6, SFIXED64),
                           MANY("attributes", 7, KEY_VALUE),
                           SCALAR("flags", 8, UINT32),
                           {0}},
    [OTLP_HISTOGRAM_POINT] = {SCALAR("startTimeUnixNano", 2, FIXED64),
                              SCALAR("timeUnixNano", 3, FIXED64),
                              SCALAR("count", 4, FIXED64),
                              SCALAR("sum", 5, DOUBLE),
                              SCALARS("bucketCounts", 6, FIXED64),
                              SCALARS("explicitBounds", 7, DOUBLE),
                              MANY("exemplars", 8, EXEMPLAR),
                              MANY("attributes", 9, KEY_VALUE),
                              SCALAR("flags", 10, UINT32),
                              SCALAR("min", 11, DOUBLE),
                              SCALAR("max", 12, DOUBLE),
                              {0}},
    [OTLP_EXPONENTIAL_POINT] = {MANY("attributes", 1, KEY_VALUE),
                                SCALAR("startTimeUnixNano", 2, FIXED64),
                                SCALAR("timeUnixNano", 3, FIXED64),
                                SCALAR("count", 4, FIXED64),
                                SCALAR("sum", 5, DOUBLE),
                                SCALAR("scale", 6, SINT32),
                                SCALAR("zeroCount", 7, FIXED64),
                                ONE("positive", 8, BUCKETS),
                                ONE("negative", 9, BUCKETS),
                                SCALAR("flags", 10, UINT32),
                                MANY("exemplars", 11, EXEMPLAR),
                                SCALAR("min", 12, DOUBLE),
                                SCALAR("max", 13, DOUBLE),
                                SCALAR("zeroThreshold", 14, DOUBLE),
                                {0}},
    [OTLP_BUCKETS] = {SCALAR("offset", 1, SINT32), SCALARS("bucketCounts", 2, UINT64), {0}},
    [OTLP_SUMMARY_POINT] = {SCALAR("startTimeUnixNano", 2, FIXED64),
                            SCALAR("timeUnixNano", 3, FIXED64),
                            SCALAR("count", 4, FIXED64),
                            SCALAR("sum", 5, DOUBLE),
                            MANY("quantileValues", 6, QUANTILE),
                            MANY("attributes", 7, KEY_VALUE),
                            SCALAR("flags", 8, UINT32),
                            {0}},
    [OTLP_QUANTILE] = {SCALAR("quantile", 1, DOUBLE), SCALAR("value", 2, DOUBLE), {0}},
    [OTLP_EXEMPLAR] = {SCALAR("timeUnixNano", 2, FIXED64),
                       SCALAR("asDouble", 3, DOUBLE),
                       SCALAR("spanId", 4, SPAN_ID),
                       SCALAR("traceId", 5, TRACE_ID),
                       SCALAR("asInt", 6, SFIXED64),
                       MANY("filteredAttributes", 7, KEY_VALUE),
                       {0}},
    [OTLP_RESOURCE_LOGS] = {ONE("resource", 1, RESOURCE),
                            MANY("scopeLogs", 2, SCOPE_LOGS),
                            SCALAR("schemaUrl", 3, STRING),
                            {0}},
    [OTLP_SCOPE_LOGS] = {ONE("scope", 1, SCOPE),
                         MANY("logRecords", 2, LOG_RECORD),
                         SCALAR("schemaUrl", 3, STRING),
                         {0}},
    [OTLP_LOG_RECORD] = {SCALAR("timeUnixNano", 1, FIXED64),
                         SCALAR("severityNumber", 2, ENUM),
                         SCALAR("severityText", 3, STRING),
                         ONE("body", 5, ANY),
                         MANY("attributes", 6, KEY_VALUE),
                         SCALAR("droppedAttributesCount", 7, UINT32),
                         SCALAR("flags", 8, FIXED32),
                         SCALAR("traceId", 9, TRACE_ID),
                         SCALAR("spanId", 10, SPAN_ID),
                         SCALAR("observedTimeUnixNano", 11, FIXED64),
                         SCALAR("eventName", 12, STRING),
                         {0}},
    [OTLP_RESOURCE] = {MANY("attributes", 1, KEY_VALUE),
                       SCALAR("droppedAttributesCount", 2, UINT32),
                       MANY("entityRefs", 3, ENTITY),
                       {0}},
    [OTLP_ENTITY] = {SCALAR("schemaUrl", 1, STRING),
                     SCALAR("type", 2, STRING),
                     SCALARS("idKeys", 3, STRING),
                     SCALARS("descriptionKeys", 4, STRING),
                     {0}},
    [OTLP_SCOPE] = {SCALAR("name", 1, STRING),
                    SCALAR("version", 2, STRING),
                    MANY("attributes", 3, KEY_VALUE),
                    SCALAR("droppedAttributesCount", 4, UINT32),
                    {0}},
    [OTLP_KEY_VALUE] = {SCALAR("key", 1, STRING), ONE("value", 2, ANY), {0}},
    [OTLP_ANY] = {SCALAR("stringValue", 1, STRING),
                  SCALAR("boolValue", 2, BOOL),
                  SCALAR("intValue", 3, INT64),
                  SCALAR("doubleValue", 4, DOUBLE),
                  ONE("arrayValue", 5, ARRAY),
                  ONE("kvlistValue", 6, KEY_VALUES),
                  SCALAR("bytesValue", 7, BYTES),
                  {0}},
    [OTLP_ARRAY] = {MANY("values", 1, ANY), {0}},
    [OTLP_KEY_VALUES] = {MANY("values", 1, KEY_VALUE), {0}},
};

enum otlp_message otlp_schema_request(enum telemetry signal)
{
    static const enum otlp_message requests[TELEMETRY_COUNT] = {
        [TELEMETRY_METRICS] = OTLP_METRICS_REQUEST,
        [TELEMETRY_LOGS] = OTLP_LOGS_REQUEST,
        [TELEMETRY_TRACES] = OTLP_TRACES_REQUEST,
    };
    return requests[signal];
}

const struct otlp_field *otlp_schema_named(enum otlp_message message, struct bytes name)
{
    for (const struct otlp_field *f = fields[message]; f->name; f++)
        if (f->name_len == name.len && memcmp(f->name, name.ptr, name.len) == 0)
            return f;
    return NULL;
}

const struct otlp_field *otlp_schema_numbered(enum otlp_message message, uint32_t number)
{
    for (const struct otlp_field *f = fields[message]; f->name; f++)
        if (f->number == number)
            return f;
    return NULL;
}
