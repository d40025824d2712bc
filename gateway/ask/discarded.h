/* discarded.h - what a backend says that it threw away, out of its /metrics: beside the ledger, because it is
 * what no check of ours can prevent (Loki's stream limit), or what the backend refused in the open too.
 *
 * Loki: loki_discarded_samples_total by reason, all tenants together. Prometheus:
 * prometheus_tsdb_out_of_order_samples_total, _out_of_bound_, _too_old_, and
 * prometheus_api_remote_write_invalid_labels_samples_total (3.x). Counted by the backend since its start, of
 * all its senders. And what a Loki left out when it read its WAL at its start (forgotten): resend.h. Source:
 * the text exposition format 0.0.4. Pure, any thread.
 */
#ifndef GATEWAY_DISCARDED_H
#define GATEWAY_DISCARDED_H

#include "base/batch.h"
#include "gateway/fanout/verdict.h"

enum { DISCARDED_MOST_REASONS = 24, DISCARDED_REASON = 48 };

struct discarded {
    bool is_known;      /* the page was read */
    int64_t started_ns; /* process_start_time_seconds, wall clock; 0: not told */
    uint64_t forgotten; /* loki_ingester_wal_duplicate_entries_total */
    bool is_replaying;  /* loki_ingester_wal_replay_active: forgotten may still grow */
    size_t count;
    struct discarded_reason {
        char reason[DISCARDED_REASON];
        uint64_t records;
    } reasons[DISCARDED_MOST_REASONS]; /* those that are not 0; further ones are left out */
};

/* discarded_read: out of the backend's page. */
void discarded_read(struct bytes page, struct discarded *ret_discarded);

/* discarded_sum: of all reasons. */
uint64_t discarded_sum(const struct discarded *discarded);

#endif
