/* report.h - what the operator reads of a gateway, as lines and as JSON. Pure: from values to text. */
#ifndef GATEWAY_REPORT_H
#define GATEWAY_REPORT_H

#include "gateway/ask/discarded.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/rate.h"
#include "gateway/intake/receive.h"

enum { REPORT_MAX_BACKENDS = TELEMETRY_COUNT * BUFFER_MAX_BACKENDS, REPORT_MAX_BYTES = 16 << 20 };

struct report { /* all borrowed */
    const char *name;
    bool is_draining;
    int64_t now_ns; /* wall clock */
    const struct receive_agent *agents;
    size_t agent_count;
    const struct fanout_view *backends;
    const struct rate_view *rates;            /* of each backend */
    const struct discarded *const *discarded; /* of each backend; an entry is NULL: not known */
    size_t backend_count;
    struct buffer_state buffers[TELEMETRY_COUNT];
};

/* report_imbalance: accepted - settled - buffered; anything but 0 is a defect. */
int64_t report_imbalance(const struct buffer_ledger *ledger);

/* report_end_s: when a backend will have caught up at this rate; 0: it has, a batch under way is none of its
 * lag; -1: not at this rate. */
double report_end_s(const struct report *report, size_t backend);

/* report_runway_s: how long the signal's buffer still holds at this rate, for the backend that needs most of
 * it of those that are away or behind; -1: for ever. */
double report_runway_s(const struct report *report, enum telemetry signal);

/* The texts. 0 or errors of buf_append. */
int report_ledger(const struct report *report, struct buf *out);
int report_ledger_json(const struct report *report, struct buf *out);
int report_status(const struct report *report, struct buf *out);
int report_status_json(const struct report *report, struct buf *out);

#endif
