#include "gateway/fanout/backend_kind.h"

#include <string.h>

static uint64_t default_limit(enum backend_kind kind, enum telemetry signal)
{
    if (kind == BACKEND_OTLP_GRPC)
        return 3 << 20;
    switch (signal) {
    case TELEMETRY_METRICS:
    case TELEMETRY_TRACES:
        return 8 << 20;
    case TELEMETRY_LOGS:
        return 3 << 20;
    }
    return 3 << 20;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strcspn(text, "?"), end_len = strlen(end);
    while (len && text[len - 1] == '/')
        len--;
    return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

enum backend_kind backend_kind_of(const struct gateway_backend_config *config, enum telemetry signal)
{
    if (strncmp(config->url, "grpc", 4) == 0)
        return BACKEND_OTLP_GRPC;
    switch (signal) {
    case TELEMETRY_METRICS:
        return ends_with(config->url, "/v1/metrics") ? BACKEND_OTLP_PLAIN : BACKEND_REMOTE_WRITE;
    case TELEMETRY_LOGS:
        return ends_with(config->url, "/v1/logs") ? BACKEND_OTLP_PLAIN : BACKEND_LOKI;
    case TELEMETRY_TRACES:
        return BACKEND_OTLP_HTTP;
    }
    return BACKEND_REMOTE_WRITE;
}

static enum batch_format otlp_format_of(enum telemetry signal)
{
    switch (signal) {
    case TELEMETRY_METRICS:
        return FORMAT_OTLP_METRICS;
    case TELEMETRY_LOGS:
        return FORMAT_OTLP_LOGS;
    case TELEMETRY_TRACES:
        return FORMAT_OTLP_TRACES;
    }
    return FORMAT_OTLP_TRACES;
}

uint32_t backend_kind_formats(const struct gateway_backend_config *config, enum telemetry signal)
{
    enum backend_kind kind = backend_kind_of(config, signal);
    uint32_t otlp = UINT32_C(1) << otlp_format_of(signal), native = 0, named = 0;
    if (kind == BACKEND_REMOTE_WRITE)
        native = UINT32_C(1) << FORMAT_REMOTE_WRITE_1;
    if (kind == BACKEND_LOKI)
        native = UINT32_C(1) << FORMAT_LOKI_PUSH;
    for (size_t i = 0; i < config->takes.count; i++)
        named |= strcmp(config->takes.items[i], "otlp") == 0 ? otlp : native;
    return config->takes.count ? named : native | otlp;
}

uint64_t backend_kind_limit(const struct gateway_backend_config *config, enum telemetry signal)
{
    if (config->max_request_bytes)
        return (uint64_t)config->max_request_bytes;
    return default_limit(backend_kind_of(config, signal), signal);
}
