/* metrics.h - the gateway's own metrics: one line each, here and nowhere else. Names: tributary_gateway_*. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "base/stats.h"

/*  id, name, type, scale, help, labels... */
#define GATEWAY_METRICS(X)                                                                                   \
    /* receive */                                                                                            \
    X(RECEIVED_BATCHES, "tributary_gateway_received_batches_total", STATS_COUNTER, 1, "Batches by answer.",  \
      "signal", "answer")                                                                                    \
    X(COMMITTED_RECORDS, "tributary_gateway_committed_records_total", STATS_COUNTER, 1,                      \
      "Records committed.", "signal")                                                                        \
    X(COMMITTED_BYTES, "tributary_gateway_committed_bytes_total", STATS_COUNTER, 1,                          \
      "Compressed bytes committed.", "signal")                                                               \
    X(MALFORMED, "tributary_gateway_malformed_messages_total", STATS_COUNTER, 1,                             \
      "Messages that were not decoded, by cause.", "cause")                                                  \
    X(AGENT_REFUSED, "tributary_gateway_agent_refused_records_total", STATS_COUNTER, 1,                      \
      "Records that agents refused themselves and told of.", "signal")                                       \
    X(COMMIT_SECONDS, "tributary_gateway_commit_seconds", STATS_HISTOGRAM, 1e-9,                             \
      "Time from receipt to the commit.", "signal")                                                          \
    X(AGENTS, "tributary_gateway_agents", STATS_GAUGE, 1, "Origins heard of in the last 5 minutes.")         \
    X(CLOCK_SKEW, "tributary_gateway_agent_clock_skew_seconds", STATS_GAUGE, 1e-9,                           \
      "The agent's send time minus the gateway's clock at receipt.", "origin")                               \
    X(MISSING_SEQS, "tributary_gateway_missing_batches_total", STATS_COUNTER, 1,                             \
      "Acknowledged batches that the buffer no longer has.", "signal")                                       \
    X(LATE_BATCHES, "tributary_gateway_late_batches_total", STATS_COUNTER, 1,                                \
      "Batches that came after later ones of their agent: another gateway had them.", "signal")              \
    X(ENRICHED_BYTES, "tributary_gateway_otlp_enriched_bytes_total", STATS_COUNTER, 1,                       \
      "Raw bytes of OTLP that agents could not add their senders' attributes to, and this gateway could.",   \
      "signal")                                                                                              \
    /* the own OTLP listeners */                                                                             \
    X(OTLP_REQUESTS, "tributary_gateway_otlp_requests_total", STATS_COUNTER, 1, "OTLP requests by answer.",  \
      "signal", "code")                                                                                      \
    X(OTLP_RECORDS, "tributary_gateway_otlp_records_total", STATS_COUNTER, 1,                                \
      "Spans, metrics and log records received.", "signal")                                                  \
    X(OTLP_QUEUE_BYTES, "tributary_gateway_otlp_queue_bytes", STATS_GAUGE, 1,                                \
      "Bytes of OTLP requests that wait for their commit.", "signal")                                        \
    X(OTLP_POSSIBLE_REPEATS, "tributary_gateway_otlp_possible_repeats_total", STATS_COUNTER, 1,              \
      "Records on their way whose client was told to retry: the backend may get them twice.", "signal")      \
    X(OTLP_ENDED, "tributary_gateway_otlp_connections_ended_total", STATS_COUNTER, 1,                        \
      "OTLP connections (cause stalled: requests) ended by the listener, by cause.", "cause")                \
    X(OTLP_CERTIFICATES, "tributary_gateway_otlp_certificates_total", STATS_COUNTER, 1,                      \
      "Looks at changed certificate files of the OTLP listeners, by result.", "result")                      \
    /* ledger, by signal and backend */                                                                      \
    X(ACCEPTED, "tributary_gateway_accepted_records_total", STATS_COUNTER, 1,                                \
      "Records owed to the backend.", "signal", "backend")                                                   \
    X(SETTLED, "tributary_gateway_settled_records_total", STATS_COUNTER, 1,                                  \
      "Records settled at the backend, by cause (delivered, repeated, refused, overtaken, unresolved, "      \
      "dropped, handed_over).",                                                                              \
      "signal", "backend", "cause")                                                                          \
    X(BUFFERED, "tributary_gateway_buffered_records", STATS_GAUGE, 1, "Records still owed to the backend.",  \
      "signal", "backend")                                                                                   \
    X(IMBALANCE, "tributary_gateway_ledger_imbalance_records", STATS_GAUGE, 1,                               \
      "accepted - settled - buffered; anything but 0 is a defect.", "signal", "backend")                     \
    X(REPLAYED, "tributary_gateway_replayed_records_total", STATS_COUNTER, 1,                                \
      "Records that replays delivered again; part of no balance.", "signal", "backend")                      \
    X(DISCARDED, "tributary_gateway_backend_discarded_records", STATS_GAUGE, 1,                              \
      "Records that the backend says it discarded since its start, of all its senders, by its reason.",      \
      "signal", "backend", "reason")                                                                         \
    X(FORGOTTEN, "tributary_gateway_backend_forgotten_records", STATS_GAUGE, 1,                              \
      "Records that the backend (Loki) says it left out of its WAL at its start; what it got before is "     \
      "posted again and counts as replayed.",                                                                \
      "signal", "backend")                                                                                   \
    X(LAG_SECONDS, "tributary_gateway_backend_lag_seconds", STATS_GAUGE, 1e-9,                               \
      "Age of the oldest row owed.", "signal", "backend")                                                    \
    X(LAG_BYTES, "tributary_gateway_backend_lag_bytes", STATS_GAUGE, 1, "Compressed bytes owed.", "signal",  \
      "backend")                                                                                             \
    X(LAG_BATCHES, "tributary_gateway_backend_lag_batches", STATS_GAUGE, 1, "Batches owed.", "signal",       \
      "backend")                                                                                             \
    X(SETTLE_RATE, "tributary_gateway_backend_settled_bytes_per_second", STATS_GAUGE, 1,                     \
      "Compressed bytes settled, over the last minute.", "signal", "backend")                                \
    X(CATCH_UP, "tributary_gateway_backend_catch_up_seconds", STATS_GAUGE, 1e-3,                             \
      "When nothing will be owed any more at this rate; -1: not at this rate.", "signal", "backend")         \
    X(RUNWAY, "tributary_gateway_buffer_runway_seconds", STATS_GAUGE, 1e-3,                                  \
      "How long the buffer still holds at this rate; -1: for ever.", "signal")                               \
    /* fan-out */                                                                                            \
    X(REQUESTS, "tributary_gateway_backend_requests_total", STATS_COUNTER, 1, "Requests by verdict.",        \
      "signal", "backend", "verdict")                                                                        \
    X(REQUEST_SECONDS, "tributary_gateway_backend_request_seconds", STATS_HISTOGRAM, 1e-9,                   \
      "Duration of a request.", "signal", "backend")                                                         \
    X(SENT_BYTES, "tributary_gateway_backend_sent_bytes_total", STATS_COUNTER, 1,                            \
      "Compressed bytes posted.", "signal", "backend")                                                       \
    X(BACKEND_AWAY, "tributary_gateway_backend_away", STATS_GAUGE, 1,                                        \
      "1 while the backend's answers speak of itself and not of the data, or it cannot be reached.",         \
      "signal", "backend")                                                                                   \
    X(IN_DOUBT, "tributary_gateway_in_doubt_requests_total", STATS_COUNTER, 1,                               \
      "Requests posted without an answer.", "signal", "backend")                                             \
    X(NOT_TAKEN, "tributary_gateway_not_taken_records_total", STATS_COUNTER, 1,                              \
      "Records of a format that the backend does not take: dropped there when another one takes it, else "   \
      "refused.",                                                                                            \
      "signal", "backend")                                                                                   \
    X(UNTRANSLATED, "tributary_gateway_untranslated_records_total", STATS_COUNTER, 1,                        \
      "Records of OTLP that could not be translated for the backend, by reason; among the refused.",         \
      "signal", "backend", "reason")                                                                         \
    /* buffer */                                                                                             \
    X(BUFFER_BYTES, "tributary_gateway_buffer_bytes", STATS_GAUGE, 1, "Size of the buffer's file and WAL.",  \
      "signal", "part")                                                                                      \
    X(BUFFER_QUOTA, "tributary_gateway_buffer_quota_bytes", STATS_GAUGE, 1, "Its limit.", "signal")          \
    X(BUFFER_ROWS, "tributary_gateway_buffer_rows", STATS_GAUGE, 1,                                          \
      "Batches kept, delivered ones included.", "signal")                                                    \
    X(BUFFER_COMMITS, "tributary_gateway_buffer_commits_total", STATS_COUNTER, 1, "Transactions.", "signal") \
    X(BUFFER_FULL, "tributary_gateway_buffer_full_total", STATS_COUNTER, 1,                                  \
      "Batches pushed back for want of space.", "signal")                                                    \
    X(BUFFER_DAMAGED, "tributary_gateway_buffer_damaged_rows_total", STATS_COUNTER, 1,                       \
      "Rows whose checksum is wrong.", "signal")                                                             \
    X(WAL_HELD, "tributary_gateway_buffer_wal_held", STATS_GAUGE, 1,                                         \
      "1 while the reader keeps a WAL past half of its limit from being written back.", "signal", "reader")  \
    /* the program */                                                                                        \
    X(CONFIG_WRONG, "tributary_gateway_config_wrong", STATS_GAUGE, 1,                                        \
      "1 while the configuration file is wrong and the former one is in force.", "file")                     \
    X(RELOADS_FAILED, "tributary_gateway_config_reloads_failed_total", STATS_COUNTER, 1,                     \
      "Reloads that changed nothing, because the configuration is wrong or cannot be started with.")         \
    X(CONFIG_LOADED, "tributary_gateway_config_loaded_timestamp_seconds", STATS_GAUGE, 1e-9,                 \
      "When the configuration in force was loaded.")                                                         \
    /* loop */                                                                                               \
    X(LOOP_LAG, "tributary_gateway_loop_lag_seconds", STATS_GAUGE, 1e-9,                                     \
      "How late the event loop's last tick was.")

#define X(id, ...) GATEWAY_##id,
enum gateway_metric { GATEWAY_METRICS(X) GATEWAY_METRIC_COUNT };
#undef X

/* gateway_metrics_new: the gateway's registry. */
struct stats *gateway_metrics_new(void);

#endif
