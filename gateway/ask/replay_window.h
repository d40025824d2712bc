/* replay_window.h - how far back a backend takes records, as far as it tells.
 *
 * Prometheus: what is older than its newest sample by more than out_of_order_time_window (of
 * /api/v1/status/config; the newest sample is headStats.maxTime of /api/v1/status/tsdb) is refused where the
 * series has a newer sample, and by more than that and an hour (half of a block of 2 h, tsdb/head.go) always.
 * Its window is not for native histograms before 3.0 (2.42 answers 400 "out of order sample").
 * Loki: what is older than reject_old_samples_max_age is refused, when reject_old_samples is on; what is
 * older than half of max_chunk_age is refused where the stream has newer lines (both of /config). Jaeger has
 * no such limit. */
#ifndef GATEWAY_REPLAY_WINDOW_H
#define GATEWAY_REPLAY_WINDOW_H

#include "base/batch.h"
#include "gateway/fanout/sender.h"

struct replay_window {
    int64_t refused_before_ns;    /* wall clock; INT64_MIN: nothing is refused, or it is not known */
    int64_t doubtful_before_ns;   /* likewise */
    int64_t histograms_before_ns; /* native ones: a Prometheus before 3.0 takes none out of order */
    bool is_known;
    char words[512]; /* what was read, or why it could not be */
};

/* replay_window_of_*: from the answers. Pure. -EBADMSG when they are not what is expected. */
int replay_window_of_prometheus(struct bytes config, struct bytes tsdb, struct replay_window *ret_window);
int replay_window_of_loki(struct bytes config, int64_t now_ns, struct replay_window *ret_window);

/* replay_window_read: asks the backend; waits for its answers. */
void replay_window_read(struct sender *sender, enum backend_kind kind, enum telemetry signal, int64_t now_ns,
                        struct replay_window *ret_window);

#endif
