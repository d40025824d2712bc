/* config.h - the gateway's configuration: one struct, one table of options (config.c). */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include "base/conf/conf.h"
#include "base/http/http_tls_files.h"

struct gateway_backend_tls {
    const char *ca_file, *cert_file, *key_file, *server_name;
    bool insecure_skip_verify;
};

struct gateway_backend_otlp { /* how OTLP metrics and logs become what the backend takes */
    bool native_histograms, delta_to_cumulative, scope_labels, target_info;
    int64_t delta_memory_bytes;
    struct conf_strings promote; /* resource attributes that become labels of every series */
};

struct gateway_backend_config {
    const char *name; /* unique within its signal; the buffer's cursors are kept under it */
    const char *url;  /* whole: http://prometheus:9090/api/v1/write, http://loki:3100/loki/api/v1/push,
                         http://jaeger:4318/v1/traces */
    struct conf_map headers;
    const char *tenant; /* X-Scope-OrgID */
    struct {
        const char *username, *password;
    } basic_auth;
    const char *bearer_token_file; /* re-read when it changes */
    struct gateway_backend_tls tls;
    struct gateway_backend_otlp otlp;
    struct conf_strings takes; /* "native", "otlp"; none: all that its kind can take */
    int64_t timeout_ms;
    int64_t
        max_request_bytes; /* decoded; 0: the signal's default (metrics 8 MiB, logs 3 MiB, traces 8 MiB) */
    int64_t lanes;         /* requests in flight */
    int64_t stream_rate_bytes, stream_burst_bytes; /* logs: pacing per stream */
    int64_t replay_rate_bytes; /* decoded bytes a second of what waited long; 0: no limit */
    int64_t resend_window_ms;  /* logs: resend.h; 0: never */
    bool drop_on_client_error; /* as the remote-write text has it: 401, 403, 404, 405, 407 and redirects drop
                                  the data */
};

struct gateway_signal_config {
    int64_t quota_bytes, quota_age_ms, retention_ms;
    int when_full;             /* enum buffer_when_full */
    struct conf_list backends; /* of struct gateway_backend_config */
};

struct gateway_config {
    const char *name; /* the host name when "" in the file */
    int log_level;    /* enum log_level */
    struct {
        struct conf_strings listen; /* tcp://0.0.0.0:9610 or tls+tcp://... */
        struct {
            const char *ca_file, *cert_file, *key_file;
        } tls;
        int64_t max_message_bytes;
    } agents;
    struct {
        const char *listen;
    } web;
    struct {
        bool enabled;
        const char *listen_http, *listen_grpc; /* listen_grpc: "" none */
        struct http_tls_files tls;
        bool kubernetes_attributes;
        int64_t max_request_bytes, queue_bytes, ack_timeout_ms, max_connection_age_ms, max_connections;
    } otlp;                     /* for senders outside the cluster */
    const char *control_socket; /* for tap and status; "" : buffer.folder/control.sock */
    struct {
        const char *folder;
    } buffer;
    struct gateway_signal_config metrics, logs, traces;
    const char *pod_metadata_file; /* a PodList as JSON; "" none */
    struct conf_strings peers;     /* other gateways' agent addresses, for hand-over */
    int64_t drain_timeout_ms;
};

/* The table; also the source of docs/gateway-config.md. */
extern const struct conf_option gateway_options[];

/* gateway_config_load: reads and checks across keys (unique backend names, URLs). Errors as conf_load. */
int gateway_config_load(const char *path, struct gateway_config *config, struct conf_memory **ret_memory,
                        struct buf *errors);

/* gateway_config_signal: the section of a signal. */
const struct gateway_signal_config *gateway_config_signal(const struct gateway_config *config, int signal);

#endif
