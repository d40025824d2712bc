#include "node-agent/config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/logs/log_rules.h"
#include "node-agent/logs/tail_start.h"

#define AT(field) offsetof(struct agent_config, field)
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
enum { SPOOL_BATCH_PART = 10 }; /* an eighth is its WAL's, and snappy may make a batch a sixth longer */
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const struct conf_option tls_options[] = {
    {"ca_file", CONF_STRING, offsetof(struct agent_tls, ca_file), "",
     .help = "Certificates that the gateway's must chain to."},
    {"cert_file", CONF_STRING, offsetof(struct agent_tls, cert_file), "", .help = "The agent's certificate."},
    {"key_file", CONF_STRING, offsetof(struct agent_tls, key_file), "", .help = "The agent's key."},
    {"server_name", CONF_STRING, offsetof(struct agent_tls, server_name), "",
     .help = "Name that the gateway's certificate must carry; the address's host when empty."},
    {0},
};

static const struct conf_option gateway_options_of_agent[] = {
    {"addresses", CONF_STRINGS, AT(gateway.addresses) - AT(gateway),
     .form = "^(tls[+])?tcp://[^/ ]+:[0-9]{1,5}$", .example = "tcp://tributary-gateway:9610",
     .help = "Gateways: tcp://host:port or tls+tcp://host:port. A name that resolves to several addresses is "
             "as many gateways."},
    {"tls", CONF_SECTION, AT(gateway.tls) - AT(gateway), .options = tls_options,
     .help = "Mutual TLS to the gateway."},
    {"ack_deadline", CONF_DURATION, AT(gateway.ack_deadline_ms) - AT(gateway), "3s", 100, 5 * MINUTE,
     .help = "A gateway that has not answered by then is left for the next one."},
    {"balance_interval", CONF_DURATION, AT(gateway.balance_interval_ms) - AT(gateway), "30s", 100, 24 * HOUR,
     .help =
         "Time between two tries to go back to the gateway of first choice; it happens only when the one in "
         "use holds nothing undelivered of this node."},
    {0},
};

static const struct conf_option web_options[] = {
    {"listen", CONF_STRING, AT(web.listen) - AT(web), "127.0.0.1:9600", .form = "^([^ ]*):[0-9]{1,5}$",
     .example = "127.0.0.1:9600", .help = "host:port of /metrics, /-/healthy and /-/ready."},
    {0},
};

static const struct conf_option host_metrics_options[] = {
    {"enabled", CONF_BOOL, AT(host_metrics.enabled) - AT(host_metrics), "true",
     .help = "Collect host metrics."},
    {"interval", CONF_DURATION, AT(host_metrics.interval_ms) - AT(host_metrics), "60s", SECOND, HOUR,
     .help = "Time between two runs."},
    {"job", CONF_STRING, AT(host_metrics.job) - AT(host_metrics), "integrations/unix",
     .help = "The job label."},
    {"instance", CONF_STRING, AT(host_metrics.instance) - AT(host_metrics), "",
     .help = "The instance label; the node's name when empty."},
    {"collectors", CONF_STRINGS, AT(host_metrics.collectors) - AT(host_metrics),
     .help = "Names of the collectors to run; those that are on by default when empty."},
    {"flags", CONF_STRINGS, AT(host_metrics.flags) - AT(host_metrics),
     .help = "node_exporter's own collector flags: --collector.NAME, --no-collector.NAME, "
             "--collector.NAME.x=VALUE, --collector.disable-defaults."},
    {"path_procfs", CONF_STRING, AT(host_metrics.path_procfs) - AT(host_metrics), "/proc",
     .help = "Where the host's /proc is mounted."},
    {"path_sysfs", CONF_STRING, AT(host_metrics.path_sysfs) - AT(host_metrics), "/sys",
     .help = "Where the host's /sys is mounted."},
    {"path_rootfs", CONF_STRING, AT(host_metrics.path_rootfs) - AT(host_metrics), "/",
     .help = "Where the host's root is mounted."},
    {"path_udev_data", CONF_STRING, AT(host_metrics.path_udev_data) - AT(host_metrics), "",
     .help = "Where udev keeps its data; run/udev/data below path_rootfs when empty."},
    {"mount_timeout", CONF_DURATION, AT(host_metrics.mount_timeout_ms) - AT(host_metrics), "5s", 100, MINUTE,
     .help = "A mount that does not answer statfs by then is reported as stuck."},
    {0},
};

#define RULE(field) offsetof(struct agent_log_rule, field)
static const char *const log_actions[] = {"apply", "keep", "drop", NULL};
static const struct conf_option log_rule_options[] = {
    {"name", CONF_STRING, RULE(name), NULL, .form = "^[A-Za-z0-9_.-]{1,64}$", .example = "quiet-probes",
     .help = "Stands in metrics and in what `logs` shows."},
    {"namespaces", CONF_STRINGS, RULE(namespaces),
     .help = "Globs of namespaces that the rule is for; any when empty. A rule with namespaces, pods, "
             "containers, pod_labels or pod_annotations is not for host files."},
    {"pods", CONF_STRINGS, RULE(pods), .help = "Globs of pod names."},
    {"containers", CONF_STRINGS, RULE(containers), .help = "Globs of container names."},
    {"paths", CONF_STRINGS, RULE(paths), .help = "Globs of the log file's path."},
    {"pod_labels", CONF_MAP, RULE(pod_labels),
     .help = "Pod labels and a glob for each one's value; all must match. They come with the gateway's "
             "assignment; until then the rule is for no pod."},
    {"pod_annotations", CONF_MAP, RULE(pod_annotations), .help = "The same of annotations."},
    {"action", CONF_ENUM, RULE(action), "apply", .names = log_actions,
     .help = "drop: the whole log is not read; keep: it is, whatever later rules or the annotation "
             "tributary.io/exclude say; apply: only what else the rule says. The first rule with keep or "
             "drop decides."},
    {"drop_lines", CONF_STRINGS, RULE(drop_lines), .help = "Lines that match one of these are dropped."},
    {"keep_lines", CONF_STRINGS, RULE(keep_lines),
     .help = "Lines that match none of these are dropped; all are kept when empty."},
    {"redact", CONF_STRINGS, RULE(redact),
     .help = "What matches one of these is replaced; \\K keeps what was matched before it."},
    {"redact_presets", CONF_STRINGS, RULE(redact_presets), .form = "^(card|email|token)$", .example = "card",
     .help = "card (card numbers with a right check digit), email, token (credentials)."},
    {"redact_with", CONF_STRING, RULE(redact_with), "",
     .help = "What stands there instead; [redacted] or [redacted:PRESET] when empty."},
    {"multiline", CONF_STRINGS, RULE(multiline), .form = "^(java|python|go|javascript)$", .example = "java",
     .help = "Traces of these languages are joined into one line each."},
    {"multiline_start", CONF_STRING, RULE(multiline_start), "",
     .help = "A line that matches begins a record; others belong to the one before. Instead of multiline."},
    {"multiline_max_lines", CONF_INT, RULE(multiline_max_lines), "500", 2, 100000,
     .help = "A record ends after so many lines, and before it would pass max_line_bytes."},
    {"multiline_wait", CONF_DURATION, RULE(multiline_wait_ms), "1s", 10, MINUTE,
     .help = "A record ends when its next line was written later than that; it is sent one second later."},
    {"rate_lines", CONF_INT, RULE(rate_lines), "0", 0, 10000000,
     .help = "Lines a second of one container at most, by the lines' own times; more are dropped. 0: no "
             "limit."},
    {"burst_lines", CONF_INT, RULE(burst_lines), "0", 0, 100000000,
     .help = "Lines that may come at once; a second's worth when 0."},
    {"detect_level", CONF_BOOL, RULE(detect_level), "false",
     .help = "Send the line's level, where it can be told, as structured metadata `level`."},
    {0},
};

static const struct conf_option log_files_options[] = {
    {"paths", CONF_STRINGS, offsetof(struct agent_log_files, paths), .form = "^/.*",
     .example = "/var/log/*.log", .help = "Globs of files; * and ? do not match a slash."},
    {"exclude", CONF_STRINGS, offsetof(struct agent_log_files, exclude), .form = "^/.*",
     .example = "/var/log/wtmp.log", .help = "Globs of files that are left out."},
    {"labels", CONF_MAP, offsetof(struct agent_log_files, labels),
     .help = "Labels of their streams; job is `files` unless it is given here."},
    {0},
};

static const struct conf_option logs_options[] = {
    {"enabled", CONF_BOOL, AT(logs.enabled) - AT(logs), "true", .help = "Tail pod logs."},
    {"root", CONF_STRING, AT(logs.root) - AT(logs), "/var/log/pods",
     .help = "The kubelet's folder of pod logs."},
    {"max_line_bytes", CONF_SIZE, AT(logs.max_line_bytes) - AT(logs), "256KiB", KIB, MIB,
     .help = "Longer lines are cut, marked and counted."},
    {"batch_raw_bytes", CONF_SIZE, AT(logs.batch_raw_bytes) - AT(logs), "2MiB", 64 * KIB, 3 * MIB,
     .help = "Raw log bytes of one batch at most."},
    {"bulk_bytes", CONF_SIZE, AT(logs.bulk_bytes) - AT(logs), "384KiB", 0, GIB,
     .help = "A log of which this much is unread at its turn goes apart from the others, so that their lines "
             "need not "
             "wait in the gateway behind its own; 0: all go together."},
    {"rescan", CONF_DURATION, AT(logs.rescan_ms) - AT(logs), "10s", SECOND, 10 * MINUTE,
     .help = "Time between two walks of the root, besides inotify."},
    {"stream_rate", CONF_SIZE, AT(logs.stream_rate_bytes) - AT(logs), "0", 0, GIB,
     .help = "Bytes a second of one stream at most; 0: no limit here (the gateway paces)."},
    {"max_age", CONF_DURATION, AT(logs.max_age_ms) - AT(logs), "168h", 0, INT64_C(3650) * 24 * HOUR,
     .help = "Older lines are skipped and counted: Loki's reject_old_samples_max_age. 0: none are."},
    {"read_from", CONF_STRING, AT(logs.read_from) - AT(logs), "beginning",
     .form = "^(beginning|end|[0-9][0-9a-z]*)$", .example = "1h",
     .help =
         "Where a log begins that was there before the agent and of which nothing is known: beginning, "
         "end, or a duration: its lines of that time up to now. A later file is read from its beginning."},
    {"max_streams", CONF_INT, AT(logs.max_streams) - AT(logs), "5000", 0, 1000000,
     .help = "Streams of this agent at most; further logs wait until others end. 0: no limit."},
    {"node_label", CONF_BOOL, AT(logs.node_label) - AT(logs), "false",
     .help = "Put the label node on streams."},
    {"pod_labels", CONF_STRINGS, AT(logs.pod_labels) - AT(logs),
     .help = "Pod labels to put on streams (characters that Loki does not take in names become _). They come "
             "with the gateway's assignment; lines before it are in a stream without them."},
    {"metadata_wait", CONF_DURATION, AT(logs.metadata_wait_ms) - AT(logs), "5s", 0, MINUTE,
     .help = "At its start the agent reads no logs before it knows its pods' labels and annotations, but for "
             "no longer than that."},
    {"metadata", CONF_STRINGS, AT(logs.metadata) - AT(logs), .form = "^(filename|pod_uid|restart_count)$",
     .example = "filename",
     .help = "What to send with every line as structured metadata: filename, pod_uid, "
             "restart_count."},
    {"rules", CONF_LIST, AT(logs.rules) - AT(logs), .options = log_rule_options,
     .size = sizeof(struct agent_log_rule), .help = "What is done to lines; docs/log-rules.md."},
    {"files", CONF_LIST, AT(logs.files) - AT(logs), .options = log_files_options,
     .size = sizeof(struct agent_log_files), .help = "Plain files of the host, a line each."},
    {0},
};

static const char *const acks[] = {"committed", "queued", NULL};

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
    {"enabled", CONF_BOOL, AT(otlp.enabled) - AT(otlp), "true", .help = "Receive OTLP."},
    {"listen_http", CONF_STRING, AT(otlp.listen_http) - AT(otlp), "0.0.0.0:4318",
     .form = "^([^ ]*):[0-9]{1,5}$", .example = "127.0.0.1:9600",
     .help = "host:port of OTLP/HTTP; HTTP/2 and OTLP/gRPC are recognised there as well."},
    {"listen_grpc", CONF_STRING, AT(otlp.listen_grpc) - AT(otlp), "0.0.0.0:4317",
     .form = "^([^ ]*:[0-9]{1,5})?$", .example = "127.0.0.1:4317",
     .help = "host:port of OTLP/gRPC, where OTLP/HTTP is recognised as well; \"\": no second listener."},
    {"tls", CONF_SECTION, AT(otlp.tls) - AT(otlp), .options = otlp_tls_options,
     .help = "TLS of both listeners, 1.2 or newer; ALPN h2 and http/1.1."},
    {"max_request_bytes", CONF_SIZE, AT(otlp.max_request_bytes) - AT(otlp), "4MiB", KIB, 64 * MIB,
     .help = "Larger requests are answered 413."},
    {"ack", CONF_ENUM, AT(otlp.ack) - AT(otlp), "committed", .names = acks,
     .help = "When a request is answered: when a gateway has committed it, or when it is queued in memory, "
             "so that "
             "an application never waits; what is queued is lost when the agent ends abruptly."},
    {"kubernetes_attributes", CONF_BOOL, AT(otlp.kubernetes_attributes) - AT(otlp), "true",
     .help = "Put the sending pod's k8s.* attributes on each resource that does not have them."},
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

static const struct conf_option queue_options[] = {
    {"metrics_bytes", CONF_SIZE, AT(queue.metrics_bytes) - AT(queue), "16MiB", 64 * KIB, GIB,
     .help = "Samples waiting for the gateway; past it the oldest are dropped and counted."},
    {"traces_bytes", CONF_SIZE, AT(queue.traces_bytes) - AT(queue), "8MiB", 64 * KIB, GIB,
     .help = "OTLP requests of all signals waiting for the gateway; past it, or when one signal has half of "
             "it, senders are answered 503."},
    {0},
};

static const struct conf_option spool_options[] = {
    {"path", CONF_STRING, AT(spool.path) - AT(spool), "", .form = "^(/.*)?$",
     .example = "/var/lib/tributary-agent/spool",
     .help =
         "Folder for samples and OTLP that no gateway takes at the moment; \"\": they wait in memory only. "
         "OTLP is answered when it is on the disk. Logs of files wait in their files."},
    {"size", CONF_SIZE, AT(spool.size_bytes) - AT(spool), "1GiB", 16 * MIB, 1024 * GIB,
     .help =
         "Bytes on the disk at most: half for metrics, a quarter each for logs and traces of OTLP. Past it "
         "the oldest samples are dropped and counted, and senders of OTLP are answered 503. One OTLP request "
         "may take a thirtieth of it, compressed."},
    {0},
};

static const struct conf_option static_config_options[] = {
    {"targets", CONF_STRINGS, offsetof(struct agent_static_config, targets), .form = "^[^/ ]+(:[0-9]{1,5})?$",
     .example = "127.0.0.1:8080", .help = "host:port of each target."},
    {"labels", CONF_MAP, offsetof(struct agent_static_config, labels),
     .help = "Labels of all series of these targets."},
    {0},
};

#define SCRAPE(field) offsetof(struct agent_scrape_config, field)
static const struct conf_option scrape_options[] = {
    {"job_name", CONF_STRING, SCRAPE(job_name), NULL, .help = "The job label."},
    {"metrics_path", CONF_STRING, SCRAPE(metrics_path), "/metrics", .help = "Path of the page."},
    {"scrape_interval", CONF_DURATION, SCRAPE(interval_ms), "0s", 0, 24 * HOUR,
     .help = "Time between two scrapes; 0: the global scrape_interval."},
    {"scrape_timeout", CONF_DURATION, SCRAPE(timeout_ms), "0s", 0, HOUR,
     .help = "Deadline of a scrape; 0: the global scrape_timeout."},
    {"honor_labels", CONF_BOOL, SCRAPE(honor_labels), "false",
     .help = "A clash of labels is won by the scraped one instead of renaming it exported_*."},
    {"honor_timestamps", CONF_BOOL, SCRAPE(honor_timestamps), "true",
     .help = "Use the timestamps that the page gives."},
    {"sample_limit", CONF_INT, SCRAPE(sample_limit), "0", 0, INT64_MAX,
     .help = "A scrape with more samples fails; 0: no limit."},
    {"body_size_limit", CONF_SIZE, SCRAPE(body_size_limit), "0", 0, GIB,
     .help = "A page with more bytes fails; 0: 32MiB."},
    {"static_configs", CONF_LIST, SCRAPE(static_configs), .options = static_config_options,
     .size = sizeof(struct agent_static_config), .help = "The targets."},
    {0},
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

const struct conf_option agent_options[] = {
    {"node_name", CONF_STRING, AT(node), "${NODE_NAME:-}",
     .help = "The node's name, the origin of every batch; the host name when empty."},
    {"labels", CONF_MAP, AT(labels),
     .help = "Labels put on every series, stream and resource, for example cluster."},
    {"state_folder", CONF_STRING, AT(state_folder), "/var/lib/tributary-agent",
     .help = "Where offsets are kept, and the lock that one agent of a node holds at a time."},
    {"control_socket", CONF_STRING, AT(control_socket), "",
     .help = "Socket for the command logs; when empty control.sock in the state folder, or a socket in "
             "/dev/shm where that cannot be written."},
    {"log_level", CONF_ENUM, AT(log_level), "info", .names = log_levels,
     .help = "Lines below it are not written."},
    {"gateway", CONF_SECTION, AT(gateway), .options = gateway_options_of_agent, .help = "Where batches go."},
    {"web", CONF_SECTION, AT(web), .options = web_options, .help = "The agent's own pages."},
    {"host_metrics", CONF_SECTION, AT(host_metrics), .options = host_metrics_options,
     .help = "Metrics of the host, under node_exporter's names."},
    {"logs", CONF_SECTION, AT(logs), .options = logs_options, .help = "Pod logs."},
    {"otlp", CONF_SECTION, AT(otlp), .options = otlp_options, .help = "OpenTelemetry from applications."},
    {"queue", CONF_SECTION, AT(queue), .options = queue_options, .help = "What may wait in memory."},
    {"spool", CONF_SECTION, AT(spool), .options = spool_options, .help = "What may wait on the disk."},
    {"scrape_interval", CONF_DURATION, AT(scrape_interval_ms), "60s", SECOND, 24 * HOUR,
     .help = "Time between two scrapes of a target."},
    {"scrape_timeout", CONF_DURATION, AT(scrape_timeout_ms), "10s", 100, HOUR,
     .help = "Deadline of a scrape."},
    {"scrape_configs", CONF_LIST, AT(scrape_configs), .options = scrape_options,
     .size = sizeof(struct agent_scrape_config), .help = "Pages to scrape, as in Prometheus."},
    {0},
};

static const char *host_name(void)
{
    static char name[HOST_NAME_MAX + 1];
    if (gethostname(name, sizeof name) < 0 || !name[0])
        strcpy(name, "unknown");
    name[sizeof name - 1] = '\0';
    return name;
}

/* What the table cannot check of logs. */
static int check_logs(const char *path, const struct agent_config *config, struct buf *errors)
{
    struct log_rules *rules;
    int64_t from_ns;
    int err = log_rules_new(path, config, NULL, errors, &rules);
    if (err == 0)
        log_rules_free(rules);
    if (err == 0 && (err = tail_start_parse(config->logs.read_from, INT64_MAX, &from_ns)) < 0)
        buf_printf(errors, "%s: logs.read_from: not beginning, end or a duration: %s\n", path,
                   config->logs.read_from);
    return err;
}

static int check_tls(const char *path, const struct http_tls_files *tls, struct buf *errors)
{
    if (!tls->cert_file[0] == !tls->key_file[0] && (tls->cert_file[0] || !tls->client_ca_file[0]))
        return 0;
    buf_printf(errors, "%s: otlp.tls: cert_file and key_file are needed both\n", path);
    return -EINVAL;
}

int agent_config_load(const char *path, struct agent_config *config, struct conf_memory **ret_memory,
                      struct buf *errors)
{
    struct conf_memory *memory;
    int err = conf_load(path, agent_options, config, &memory, errors);
    if (err < 0)
        return err;
    if (config->gateway.addresses.count == 0) {
        buf_printf(errors,
                   "%s: gateway.addresses: required; for example [\"tcp://tributary-gateway:9610\"]\n", path);
        conf_free(memory);
        return -EINVAL;
    }
    err = check_tls(path, &config->otlp.tls, errors);
    if (err == 0)
        err = collector_flags_check(&config->host_metrics.collectors, &config->host_metrics.flags, errors);
    if (err == 0)
        err = check_logs(path, config, errors);
    if (err < 0) {
        conf_free(memory);
        return err;
    }
    if (!config->node[0])
        config->node = host_name();
    if (!config->host_metrics.instance[0])
        config->host_metrics.instance = config->node;
    *ret_memory = memory;
    return 0;
}

int64_t agent_config_spool_quota(const struct agent_config *config, enum telemetry signal)
{
    return config->spool.size_bytes / (signal == TELEMETRY_METRICS ? 2 : 4);
}

size_t agent_config_batch_bytes(const struct agent_config *config, enum telemetry signal, size_t most)
{
    size_t room = (size_t)agent_config_spool_quota(config, signal) / SPOOL_BATCH_PART;
    return config->spool.path && config->spool.path[0] && room < most ? room : most;
}
