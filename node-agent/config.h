/* config.h - the agent's configuration: one struct, one table of options (config.c). */
#ifndef NODE_AGENT_CONFIG_H
#define NODE_AGENT_CONFIG_H

#include "base/batch.h"
#include "base/conf/conf.h"
#include "base/http/http_tls_files.h"

struct agent_tls {
    const char *ca_file, *cert_file, *key_file, *server_name; /* "" unset */
};

struct agent_static_config {
    struct conf_strings targets; /* host:port */
    struct conf_map labels;
};

struct agent_scrape_config { /* Prometheus' scrape_config */
    const char *job_name, *metrics_path;
    int64_t interval_ms, timeout_ms; /* 0: the global ones */
    bool honor_labels, honor_timestamps;
    int64_t sample_limit, body_size_limit; /* 0: none but the program's own */
    struct conf_list static_configs;       /* of struct agent_static_config */
};

enum agent_log_action { AGENT_LOG_APPLY, AGENT_LOG_KEEP, AGENT_LOG_DROP };

struct agent_log_rule { /* log_rules.h */
    const char *name;
    struct conf_strings namespaces, pods, containers, paths; /* globs; empty: any */
    struct conf_map pod_labels, pod_annotations;             /* name: glob; all must match */
    int action;                                              /* enum agent_log_action */
    struct conf_strings drop_lines, keep_lines, redact, redact_presets;
    const char *redact_with; /* "": what the preset says, [redacted] for expressions */
    struct conf_strings multiline;
    const char *multiline_start; /* "": none */
    int64_t multiline_max_lines, multiline_wait_ms;
    int64_t rate_lines, burst_lines; /* 0: no limit; as many as rate_lines */
    bool detect_level;
};

struct agent_log_files { /* host files */
    struct conf_strings paths;
    struct conf_strings exclude;
    struct conf_map labels;
};

/* When an OTLP request is answered. */
enum agent_ack { AGENT_ACK_COMMITTED, AGENT_ACK_QUEUED };

struct agent_config {
    const char *node;       /* node_name; the host name when "" in the file */
    struct conf_map labels; /* put on every series, stream and resource */
    const char *state_folder;
    const char *control_socket; /* "": control_places.h says where */
    int log_level;              /* enum log_level */
    struct {
        struct conf_strings addresses; /* tcp://host:port or tls+tcp://host:port */
        struct agent_tls tls;
        int64_t ack_deadline_ms, balance_interval_ms;
    } gateway;
    struct {
        const char *listen; /* own metrics and health */
    } web;
    struct {
        bool enabled;
        int64_t interval_ms, mount_timeout_ms;
        const char *job, *instance;     /* instance: the node when "" */
        struct conf_strings collectors; /* empty: those that are on by default */
        struct conf_strings flags;      /* node_exporter's --collector.* flags; collector_flags.h */
        const char *path_procfs, *path_sysfs, *path_rootfs;
        const char *path_udev_data; /* "": below path_rootfs */
    } host_metrics;
    struct {
        bool enabled;
        const char *root;
        int64_t max_line_bytes, batch_raw_bytes, bulk_bytes, rescan_ms, stream_rate_bytes;
        int64_t max_age_ms;       /* 0: any age */
        const char *read_from;    /* tail_start.h */
        int64_t max_streams;      /* 0: any number */
        int64_t metadata_wait_ms; /* for the first assignment; 0: none */
        bool node_label;
        struct conf_strings pod_labels; /* put on streams */
        struct conf_strings metadata;   /* put on lines: loglabels.h */
        struct conf_list rules;         /* of struct agent_log_rule */
        struct conf_list files;         /* of struct agent_log_files */
    } logs;
    struct {
        bool enabled;
        const char *listen_http, *listen_grpc; /* listen_grpc: "" none */
        struct http_tls_files tls;
        int64_t max_request_bytes, ack_timeout_ms, max_connection_age_ms, max_connections;
        int ack; /* enum agent_ack */
        bool kubernetes_attributes;
    } otlp;
    struct {
        int64_t metrics_bytes, traces_bytes; /* what may wait in memory for the gateway */
    } queue;
    struct {
        const char *path; /* "": no spool */
        int64_t size_bytes;
    } spool;
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct conf_list scrape_configs; /* of struct agent_scrape_config */
};

/* The table; also the source of docs/agent-config.md. */
extern const struct conf_option agent_options[];

/* agent_config_load: reads, checks across keys and fills what depends on the host (node, instance). Errors as
 * conf_load. */
int agent_config_load(const char *path, struct agent_config *config, struct conf_memory **ret_memory,
                      struct buf *errors);

/* agent_config_spool_quota: bytes on the disk that the signal's file of the spool may take. */
int64_t agent_config_spool_quota(const struct agent_config *config, enum telemetry signal);

/* agent_config_batch_bytes: raw bytes that a batch of the signal may have so that its file of the spool,
 * where one is configured, has room for it however badly it compresses; at most `most`. */
size_t agent_config_batch_bytes(const struct agent_config *config, enum telemetry signal, size_t most);

#endif
