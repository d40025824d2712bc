/* metrics.h - the agent's own metrics: one line each, here and nowhere else. Names: tributary_agent_*. */
#ifndef NODE_AGENT_METRICS_H
#define NODE_AGENT_METRICS_H

#include "base/stats.h"

/*  id, name, type, scale, help, labels... */
#define AGENT_METRICS(X)                                                                                     \
    /* all signals */                                                                                        \
    X(SEALED_BATCHES, "tributary_agent_sealed_batches_total", STATS_COUNTER, 1, "Batches sealed.", "signal") \
    X(SEALED_RECORDS, "tributary_agent_sealed_records_total", STATS_COUNTER, 1,                              \
      "Samples, lines and spans in sealed batches.", "signal")                                               \
    X(COMMITTED_BATCHES, "tributary_agent_committed_batches_total", STATS_COUNTER, 1,                        \
      "Batches that a gateway acknowledged as durable.", "signal")                                           \
    X(COMMITTED_RECORDS, "tributary_agent_committed_records_total", STATS_COUNTER, 1,                        \
      "Records in acknowledged batches.", "signal")                                                          \
    X(COMMITTED_BYTES, "tributary_agent_committed_bytes_total", STATS_COUNTER, 1,                            \
      "Compressed bytes of acknowledged batches.", "signal")                                                 \
    X(DROPPED_RECORDS, "tributary_agent_dropped_records_total", STATS_COUNTER, 1,                            \
      "Records given up, by cause.", "signal", "cause")                                                      \
    X(REFUSED_RECORDS, "tributary_agent_refused_records_total", STATS_COUNTER, 1,                            \
      "Records that the agent or the gateway refused, by cause.", "signal", "cause")                         \
    X(REFUSALS_IN_SUM, "tributary_agent_refusals_told_in_sum_total", STATS_COUNTER, 1,                       \
      "Records refused by the agent that the gateway hears of as a number only.", "signal")                  \
    X(QUEUE_BYTES, "tributary_agent_queue_bytes", STATS_GAUGE, 1, "Bytes waiting in memory.", "signal")      \
    /* ship */                                                                                               \
    X(GATEWAY_UP, "tributary_agent_gateway_up", STATS_GAUGE, 1, "1 for the gateway in use.", "gateway")      \
    X(FAILOVERS, "tributary_agent_failovers_total", STATS_COUNTER, 1, "Changes of gateway, by cause.",       \
      "cause")                                                                                               \
    X(RESUMES, "tributary_agent_resumes_total", STATS_COUNTER, 1, "Resume requests answered.", "signal")     \
    X(REPEATS, "tributary_agent_repeated_batches_total", STATS_COUNTER, 1,                                   \
      "Batches that the gateway had committed before.", "signal")                                            \
    X(ACK_SECONDS, "tributary_agent_acknowledgement_seconds", STATS_HISTOGRAM, 1e-9,                         \
      "Time from sealing to the gateway's acknowledgement.", "signal")                                       \
    X(MISSING_SEQS, "tributary_agent_missing_batches_total", STATS_COUNTER, 1,                               \
      "Acknowledged batches that the gateway no longer has (a damaged buffer).", "signal")                   \
    X(UNDELIVERED_LOST, "tributary_agent_undelivered_at_loss_records_total", STATS_COUNTER, 1,               \
      "Acknowledged records not known delivered when their buffer was lost (upper bound).", "signal")        \
    /* logs */                                                                                               \
    X(LOG_FILES, "tributary_agent_log_files", STATS_GAUGE, 1, "Log files known.")                            \
    X(LOG_READ_BYTES, "tributary_agent_log_read_bytes_total", STATS_COUNTER, 1,                              \
      "Bytes read from log files.")                                                                          \
    X(OFFSETS_WRITTEN, "tributary_agent_offsets_written_bytes_total", STATS_COUNTER, 1,                      \
      "Bytes written for the offsets of log files.")                                                         \
    X(LOG_REWINDS, "tributary_agent_log_rewinds_total", STATS_COUNTER, 1,                                    \
      "Times the logs were read again from the last line delivered.")                                        \
    X(LOG_TRUNCATED, "tributary_agent_log_truncated_lines_total", STATS_COUNTER, 1,                          \
      "Lines cut at the limit.")                                                                             \
    X(LOG_TRUNCATIONS, "tributary_agent_log_file_truncations_total", STATS_COUNTER, 1,                       \
      "Times a log file was cut or written anew in place (copytruncate).")                                   \
    X(LOG_UNPARSED, "tributary_agent_log_unparsed_lines_total", STATS_COUNTER, 1,                            \
      "Lines in no known format, sent as they are.")                                                         \
    X(LOG_ERRORS, "tributary_agent_log_errors_total", STATS_COUNTER, 1,                                      \
      "Times a log file or folder could not be read.")                                                       \
    X(LOG_PACED, "tributary_agent_log_paced_seconds_total", STATS_COUNTER, 1e-9,                             \
      "Time streams waited because of their rate limit.")                                                    \
    X(LOG_RULE_LINES, "tributary_agent_log_rule_lines_total", STATS_COUNTER, 1,                              \
      "Lines that a rule dropped, limited or redacted.", "rule", "effect")                                   \
    X(LOG_EXCLUDED_BYTES, "tributary_agent_log_excluded_bytes_total", STATS_COUNTER, 1,                      \
      "Bytes of logs that a rule or an annotation excludes.")                                                \
    X(LOG_JOINED, "tributary_agent_log_joined_lines_total", STATS_COUNTER, 1,                                \
      "Lines that became part of the line before them.")                                                     \
    X(LOG_STREAMS, "tributary_agent_log_streams", STATS_GAUGE, 1, "Streams that lines were sent in.")        \
    X(LOG_HELD, "tributary_agent_log_held_logs", STATS_GAUGE, 1,                                             \
      "Logs that wait because the agent has as many streams as it may.")                                     \
    /* scrapes and host metrics */                                                                           \
    X(SCRAPES, "tributary_agent_scrapes_total", STATS_COUNTER, 1, "Scrapes, by result.", "job", "result")    \
    X(COLLECT_SECONDS, "tributary_agent_host_metrics_seconds", STATS_HISTOGRAM, 1e-9,                        \
      "Duration of a host metrics run.")                                                                     \
    /* otlp */                                                                                               \
    X(OTLP_REQUESTS, "tributary_agent_otlp_requests_total", STATS_COUNTER, 1, "OTLP requests by answer.",    \
      "signal", "code")                                                                                      \
    X(OTLP_RECORDS, "tributary_agent_otlp_records_total", STATS_COUNTER, 1,                                  \
      "Spans, metrics and log records received.", "signal")                                                  \
    X(OTLP_QUEUE_BYTES, "tributary_agent_otlp_queue_bytes", STATS_GAUGE, 1,                                  \
      "Bytes of OTLP requests that wait for their commit.", "signal")                                        \
    X(OTLP_POSSIBLE_REPEATS, "tributary_agent_otlp_possible_repeats_total", STATS_COUNTER, 1,                \
      "Records in flight whose client was told to retry: the backend may get them twice.", "signal")         \
    X(OTLP_ENDED, "tributary_agent_otlp_connections_ended_total", STATS_COUNTER, 1,                          \
      "OTLP connections (cause stalled: requests) ended by the listener, by cause.", "cause")                \
    X(OTLP_CERTIFICATES, "tributary_agent_otlp_certificates_total", STATS_COUNTER, 1,                        \
      "Looks at changed certificate files of the OTLP listeners, by result.", "result")                      \
    /* spool */                                                                                              \
    X(SPOOL_BATCHES, "tributary_agent_spool_batches", STATS_GAUGE, 1, "Batches in the spool.", "signal")     \
    X(SPOOL_BYTES, "tributary_agent_spool_bytes", STATS_GAUGE, 1, "Bytes of the batches in the spool.",      \
      "signal")                                                                                              \
    X(SPOOL_FILE_BYTES, "tributary_agent_spool_file_bytes", STATS_GAUGE, 1,                                  \
      "Bytes of the spool's file and its write-ahead log.", "signal")                                        \
    X(SPOOL_WRITABLE, "tributary_agent_spool_writable", STATS_GAUGE, 1, "1 while the spool takes batches.",  \
      "signal")                                                                                              \
    X(SPOOLED_RECORDS, "tributary_agent_spooled_records_total", STATS_COUNTER, 1,                            \
      "Records written to the spool.", "signal")                                                             \
    X(SPOOL_DAMAGED, "tributary_agent_spool_damaged_batches_total", STATS_COUNTER, 1,                        \
      "Batches of the spool that could not be read any more.", "signal")                                     \
    /* the program */                                                                                        \
    X(WAITING, "tributary_agent_waiting", STATS_GAUGE, 1,                                                    \
      "1 while another agent of this node holds the lock of the state folder.")                              \
    X(CONFIG_WRONG, "tributary_agent_config_wrong", STATS_GAUGE, 1,                                          \
      "1 while the configuration file is wrong and the former one is in force.", "file")                     \
    X(RELOADS_FAILED, "tributary_agent_config_reloads_failed_total", STATS_COUNTER, 1,                       \
      "Reloads that changed nothing, because the configuration is wrong or cannot be started with.")         \
    X(CONFIG_LOADED, "tributary_agent_config_loaded_timestamp_seconds", STATS_GAUGE, 1e-9,                   \
      "When the configuration in force was loaded.")                                                         \
    /* loop */                                                                                               \
    X(LOOP_LAG, "tributary_agent_loop_lag_seconds", STATS_GAUGE, 1e-9,                                       \
      "How late the event loop's last tick was.")

#define X(id, ...) AGENT_##id,
enum agent_metric { AGENT_METRICS(X) AGENT_METRIC_COUNT };
#undef X

/* agent_metrics_new: the agent's registry. */
struct stats *agent_metrics_new(void);

#endif
