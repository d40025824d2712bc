#include "gateway/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/batch.h"
#include "base/buffer/buffer.h"

#define AT(field) offsetof(struct gateway_config, field)
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (INT64_C(24) * HOUR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define TLS(field) offsetof(struct gateway_backend_tls, field)
static const struct conf_option backend_tls_options[] = {
    {"ca_file", CONF_STRING, TLS(ca_file), "",
     .help = "Certificates that the backend's must chain to; the system's when empty."},
    {"cert_file", CONF_STRING, TLS(cert_file), "", .help = "Client certificate."},
    {"key_file", CONF_STRING, TLS(key_file), "", .help = "Client key."},
    {"server_name", CONF_STRING, TLS(server_name), "",
     .help = "Name that the certificate must carry; the URL's host when empty."},
    {"insecure_skip_verify", CONF_BOOL, TLS(insecure_skip_verify), "false",
     .help = "Do not check the backend's certificate."},
    {0},
};

#define BACKEND(field) offsetof(struct gateway_backend_config, field)
static const struct conf_option basic_auth_options[] = {
    {"username", CONF_STRING, BACKEND(basic_auth.username) - BACKEND(basic_auth), "", .help = "User name."},
    {"password", CONF_SECRET, BACKEND(basic_auth.password) - BACKEND(basic_auth), "", .help = "Password."},
    {0},
};

#define OTLP(field) offsetof(struct gateway_backend_otlp, field)
static const struct conf_option backend_otlp_options[] = {
    {"native_histograms", CONF_BOOL, OTLP(native_histograms), "false",
     .help = "Exponential histograms become native histograms, for a Prometheus that takes them; else they "
             "are refused and counted."},
    {"delta_to_cumulative", CONF_BOOL, OTLP(delta_to_cumulative), "false",
     .help = "Sums and histograms of delta temporality are cumulated in memory; else they are refused and "
             "counted."},
    {"delta_memory", CONF_SIZE, OTLP(delta_memory_bytes), "32MiB", 64 * KIB, 4 * GIB,
     .help = "Memory of the cumulated series at most; past it new ones are refused."},
    {"scope_labels", CONF_BOOL, OTLP(scope_labels), "true",
     .help = "The instrumentation scope becomes otel_scope_* labels, as the specification has it."},
    {"target_info", CONF_BOOL, OTLP(target_info), "true",
     .help = "The resource's attributes become the series target_info."},
    {"promote_resource_attributes", CONF_STRINGS, OTLP(promote), .form = "^.+$", .example = "k8s.pod.name",
     .help = "Resource attributes that become labels of every series, for example k8s.pod.name where "
             "replicas do not set service.instance.id."},
    {0},
};

static const struct conf_option backend_options[] = {
    {"name", CONF_STRING, BACKEND(name), NULL,
     .help = "Unique within its signal; the buffer keeps the backend's place under it."},
    {"url", CONF_STRING, BACKEND(url), NULL,
     .form = "^(https?://[^/ ]+(/[^ ]*)?|grpcs?://[^/ ]+:[0-9]{1,5}/?)$",
     .example = "http://loki:3100/loki/api/v1/push",
     .help =
         "Whole URL, which also says what is spoken: http://prometheus:9090/api/v1/write, "
         "http://loki:3100/loki/api/v1/push, http://jaeger:4318/v1/traces; grpc://jaeger:4317 (grpcs: with "
         "TLS) is OTLP over gRPC, a path that ends in /v1/metrics or /v1/logs OTLP over HTTP "
         "(http://prometheus:9090/api/v1/otlp/v1/metrics, http://loki:3100/otlp/v1/logs)."},
    {"headers", CONF_MAP, BACKEND(headers), .secret = true, .help = "Further request headers."},
    {"tenant", CONF_STRING, BACKEND(tenant), "", .help = "Sent as X-Scope-OrgID."},
    {"basic_auth", CONF_SECTION, BACKEND(basic_auth), .options = basic_auth_options,
     .help = "HTTP basic authentication."},
    {"bearer_token_file", CONF_STRING, BACKEND(bearer_token_file), "",
     .help = "File with a bearer token; read again when it changes."},
    {"tls", CONF_SECTION, BACKEND(tls), .options = backend_tls_options, .help = "TLS to the backend."},
    {"takes", CONF_STRINGS, BACKEND(takes), .form = "^(native|otlp)$", .example = "native",
     .help = "native (what agents make themselves: remote write, Loki push), otlp (what applications send; "
             "translated unless the URL is an OTLP endpoint); both when none is named. What another backend "
             "of the signal takes is dropped here and counted."},
    {"otlp", CONF_SECTION, BACKEND(otlp), .options = backend_otlp_options,
     .help = "Metrics that came over OTLP, to a remote-write backend."},
    {"timeout", CONF_DURATION, BACKEND(timeout_ms), "30s", 100, 10 * MINUTE,
     .help = "Deadline of a request."},
    {"max_request_bytes", CONF_SIZE, BACKEND(max_request_bytes), "0", 0, GIB,
     .help = "Decoded bytes of a joined request at most; 0: 8MiB for metrics, 3MiB for logs, 8MiB for "
             "traces, 3MiB over gRPC."},
    {"lanes", CONF_INT, BACKEND(lanes), "4", 1, 64, .help = "Requests in flight."},
    {"stream_rate", CONF_SIZE, BACKEND(stream_rate_bytes), "2400KB", 0, GIB,
     .help = "Logs: bytes a second of one stream; 0: no pacing."},
    {"stream_burst", CONF_SIZE, BACKEND(stream_burst_bytes), "12MB", 0, GIB,
     .help = "Logs: bytes that a stream may send at once after a pause."},
    {"replay_rate", CONF_SIZE, BACKEND(replay_rate_bytes), "0", 0, GIB,
     .help =
         "Decoded bytes a second, of all origins together, of what waited more than 30 s (a backlog after an "
         "outage) and of `replay` without --rate; 0: as fast as the backend takes it."},
    {"resend_window", CONF_DURATION, BACKEND(resend_window_ms), "10m", 0, 50 * MINUTE,
     .help = "Logs: how much of what was delivered before a restart of Loki is posted again when Loki says "
             "that it left lines out of its WAL (repeats change nothing there): twice its "
             "ingester.wal.checkpoint_duration; 0: nothing."},
    {"drop_on_client_error", CONF_BOOL, BACKEND(drop_on_client_error), "false",
     .help = "401, 403, 404, 405, 407 and redirects drop the data, as the remote-write text has it, instead "
             "of holding it."},
    {0},
};

static const char *const when_full_names[] = {"push_back", "drop_oldest", NULL};
#define SIGNAL(field) offsetof(struct gateway_signal_config, field)
#define SIGNAL_OPTIONS(name, full)                                                                           \
    static const struct conf_option name[] = {                                                               \
        {"quota", CONF_SIZE, SIGNAL(quota_bytes), "2GiB", 16 * MIB, 1024 * GIB,                              \
         .help = "Size of the buffer's file and WAL at most; keep it below the volume's size."},             \
        {"retention", CONF_DURATION, SIGNAL(retention_ms), "24h", 0, 3650 * DAY,                             \
         .help = "How long delivered rows are kept for replay, as far as the quota has room."},              \
        {"quota_age", CONF_DURATION, SIGNAL(quota_age_ms), "0", 0, 3650 * DAY,                               \
         .help = "How long a batch may wait for its backends at most: the other quota; 0: as long as there " \
                 "is room."},                                                                                \
        {"when_full", CONF_ENUM, SIGNAL(when_full), full, .names = when_full_names,                          \
         .help = "At either quota: make the agents wait, or drop the oldest and count them."},               \
        {"backends", CONF_LIST, SIGNAL(backends), .options = backend_options,                                \
         .size = sizeof(struct gateway_backend_config),                                                      \
         .help = "Where it goes; none: it stays in the buffer."},                                            \
        {0},                                                                                                 \
    }
SIGNAL_OPTIONS(metrics_options, "drop_oldest");
SIGNAL_OPTIONS(logs_options, "push_back");
SIGNAL_OPTIONS(traces_options, "push_back");

static const struct conf_option agents_tls_options[] = {
    {"ca_file", CONF_STRING, AT(agents.tls.ca_file) - AT(agents.tls), "",
     .help = "Certificates that an agent's must chain to."},
    {"cert_file", CONF_STRING, AT(agents.tls.cert_file) - AT(agents.tls), "",
     .help = "The gateway's certificate."},
    {"key_file", CONF_STRING, AT(agents.tls.key_file) - AT(agents.tls), "", .help = "The gateway's key."},
    {0},
};

static const struct conf_option agents_options[] = {
    {"listen", CONF_STRINGS, AT(agents.listen) - AT(agents), .form = "^(tls[+])?tcp://[^/ ]+:[0-9]{1,5}$",
     .example = "tcp://0.0.0.0:9610",
     .help = "tcp://host:port or tls+tcp://host:port; tcp://0.0.0.0:9610 when none is given."},
    {"tls", CONF_SECTION, AT(agents.tls) - AT(agents), .options = agents_tls_options,
     .help = "Mutual TLS with the agents."},
    {"max_message", CONF_SIZE, AT(agents.max_message_bytes) - AT(agents), "8MiB", MIB, 256 * MIB,
     .help = "Larger messages close their connection."},
    {0},
};

static const struct conf_option web_options[] = {
    {"listen", CONF_STRING, AT(web.listen) - AT(web), "127.0.0.1:9601", .form = "^([^ ]*):[0-9]{1,5}$",
     .example = "127.0.0.1:9601", .help = "host:port of /metrics, /-/healthy and /-/ready."},
    {0},
};

static const struct conf_option buffer_options_of_gateway[] = {
    {"folder", CONF_STRING, AT(buffer.folder) - AT(buffer), "/var/lib/tributary-gateway",
     .help = "Where the SQLite files are."},
    {0},
};

static const struct conf_option otlp_tls_options[] = {
    {"cert_file", CONF_STRING, offsetof(struct http_tls_files, cert_file), "",
     .help = "The listeners' certificate with its chain, PEM; without it they speak plain text. Files that "
             "change are read again within a second, for new connections."},
    {"key_file", CONF_STRING, offsetof(struct http_tls_files, key_file), "", .help = "Its key."},
    {"client_ca_file", CONF_STRING, offsetof(struct http_tls_files, client_ca_file), "",
     .help = "Authority of the clients' certificates, which they must then have."},
    {0},
};

static const struct conf_option otlp_options[] = {
    {"enabled", CONF_BOOL, AT(otlp.enabled) - AT(otlp), "false",
     .help = "Receive OTLP from senders outside the cluster."},
    {"listen_http", CONF_STRING, AT(otlp.listen_http) - AT(otlp), "0.0.0.0:4318",
     .form = "^([^ ]*):[0-9]{1,5}$", .example = "127.0.0.1:4318",
     .help = "host:port of OTLP/HTTP; HTTP/2 and OTLP/gRPC are recognised there as well."},
    {"listen_grpc", CONF_STRING, AT(otlp.listen_grpc) - AT(otlp), "0.0.0.0:4317",
     .form = "^([^ ]*:[0-9]{1,5})?$", .example = "127.0.0.1:4317",
     .help = "host:port of OTLP/gRPC, where OTLP/HTTP is recognised as well; \"\": no second listener."},
    {"tls", CONF_SECTION, AT(otlp.tls) - AT(otlp), .options = otlp_tls_options,
     .help = "TLS of both listeners, 1.2 or newer; ALPN h2 and http/1.1."},
    {"kubernetes_attributes", CONF_BOOL, AT(otlp.kubernetes_attributes) - AT(otlp), "true",
     .help =
         "Put the sending pod's k8s.* attributes, where the pod metadata knows its address, on each resource "
         "that does not have them: of these listeners, and of senders that an agent does not know."},
    {"max_request_bytes", CONF_SIZE, AT(otlp.max_request_bytes) - AT(otlp), "4MiB", KIB, 64 * MIB,
     .help = "Larger requests are answered 413."},
    {"queue_bytes", CONF_SIZE, AT(otlp.queue_bytes) - AT(otlp), "32MiB", 64 * KIB, GIB,
     .help = "Requests waiting for their commit; past it, or when one signal has half of it, senders are "
             "answered 503."},
    {"ack_timeout", CONF_DURATION, AT(otlp.ack_timeout_ms) - AT(otlp), "9s", 100, 10 * MINUTE,
     .help = "A request not committed by then is answered 503 with Retry-After, or UNAVAILABLE with "
             "RetryInfo; a gRPC call whose own time is shorter (`grpc-timeout`) after nine tenths of it."},
    {"max_connection_age", CONF_DURATION, AT(otlp.max_connection_age_ms) - AT(otlp), "10m", 0, 24 * HOUR,
     .help = "A connection older than that (10 % more or less) ends after its answers, so that clients "
             "spread again; 0: never."},
    {"max_connections", CONF_INT, AT(otlp.max_connections) - AT(otlp), "1024", 16, 20000,
     .help =
         "Of each listener. Past it the one that was idle longest gives way to a new one, those that never "
         "had a request answered first."},
    {0},
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

const struct conf_option gateway_options[] = {
    {"name", CONF_STRING, AT(name), "${POD_NAME:-}",
     .help = "This gateway's name; the host name when empty."},
    {"log_level", CONF_ENUM, AT(log_level), "info", .names = log_levels,
     .help = "Lines below it are not written."},
    {"agents", CONF_SECTION, AT(agents), .options = agents_options, .help = "The listeners for agents."},
    {"web", CONF_SECTION, AT(web), .options = web_options, .help = "The gateway's own pages."},
    {"otlp", CONF_SECTION, AT(otlp), .options = otlp_options,
     .help = "OpenTelemetry from senders outside the cluster."},
    {"control_socket", CONF_STRING, AT(control_socket), "",
     .help = "Socket for tap and status; control.sock in the buffer's folder when empty."},
    {"buffer", CONF_SECTION, AT(buffer), .options = buffer_options_of_gateway, .help = "The durable buffer."},
    {"metrics", CONF_SECTION, AT(metrics), .options = metrics_options, .help = "Samples."},
    {"logs", CONF_SECTION, AT(logs), .options = logs_options, .help = "Log lines."},
    {"traces", CONF_SECTION, AT(traces), .options = traces_options, .help = "Spans."},
    {"pod_metadata_file", CONF_STRING, AT(pod_metadata_file), "",
     .help = "A Kubernetes PodList as JSON, read again when it changes."},
    {"peers", CONF_STRINGS, AT(peers), .form = "^(tls[+])?tcp://[^/ ]+:[0-9]{1,5}$",
     .example = "tcp://gateway-1:9610",
     .help = "Addresses of the other gateways, for hand-over when this one drains."},
    {"drain_timeout", CONF_DURATION, AT(drain_timeout_ms), "25s", 0, HOUR,
     .help = "At SIGTERM: what is not sent by then stays in the buffer."},
    {0},
};

const struct gateway_signal_config *gateway_config_signal(const struct gateway_config *config, int signal)
{
    switch ((enum telemetry)signal) {
    case TELEMETRY_METRICS:
        return &config->metrics;
    case TELEMETRY_LOGS:
        return &config->logs;
    case TELEMETRY_TRACES:
        return &config->traces;
    }
    return &config->metrics;
}

static int check_backend(const char *path, const char *signal, const struct gateway_backend_config *backends,
                         size_t i, struct buf *errors)
{
    const struct gateway_backend_config *backend = &backends[i];
    if (!backend->name[0] || strlen(backend->name) > 63)
        return buf_printf(errors, "%s: %s.backends[%zu].name: must have 1 to 63 characters\n", path, signal,
                          i),
               -EINVAL;
    for (size_t k = 0; k < i; k++) {
        if (strcmp(backends[k].name, backend->name) == 0)
            return buf_printf(errors, "%s: %s.backends[%zu].name: \"%s\" is taken by backends[%zu]\n", path,
                              signal, i, backend->name, k),
                   -EINVAL;
    }
    return 0;
}

static int check_signals(const char *path, const struct gateway_config *config, struct buf *errors)
{
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        const struct conf_list *list = &gateway_config_signal(config, s)->backends;
        if (list->count > BUFFER_MAX_BACKENDS)
            return buf_printf(errors, "%s: %s.backends: at most %d\n", path,
                              telemetry_name((enum telemetry)s), BUFFER_MAX_BACKENDS),
                   -EINVAL;
        for (size_t i = 0; i < list->count; i++) {
            int err = check_backend(path, telemetry_name((enum telemetry)s), list->items, i, errors);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int check_tls(const char *path, const struct http_tls_files *tls, struct buf *errors)
{
    if (!tls->cert_file[0] == !tls->key_file[0] && (tls->cert_file[0] || !tls->client_ca_file[0]))
        return 0;
    buf_printf(errors, "%s: otlp.tls: cert_file and key_file are needed both\n", path);
    return -EINVAL;
}

static void fill_host(struct gateway_config *config)
{
    static char name[HOST_NAME_MAX + 1];
    static char socket[PATH_MAX];
    static const char *listen[] = {"tcp://0.0.0.0:9610"};
    if (gethostname(name, sizeof name - 1) < 0 || !name[0])
        strcpy(name, "unknown");
    if (!config->name[0])
        config->name = name;
    if (!config->control_socket[0]) {
        snprintf(socket, sizeof socket, "%s/control.sock", config->buffer.folder);
        config->control_socket = socket;
    }
    if (config->agents.listen.count == 0)
        config->agents.listen = (struct conf_strings){listen, 1};
}

int gateway_config_load(const char *path, struct gateway_config *config, struct conf_memory **ret_memory,
                        struct buf *errors)
{
    struct conf_memory *memory;
    int err = conf_load(path, gateway_options, config, &memory, errors);
    if (err < 0)
        return err;
    err = check_signals(path, config, errors);
    if (err == 0)
        err = check_tls(path, &config->otlp.tls, errors);
    if (err < 0) {
        conf_free(memory);
        return err;
    }
    fill_host(config);
    *ret_memory = memory;
    return 0;
}
