/* translate.h - an OTLP message of metrics or logs as the message that a backend takes.
 *
 * The gateway keeps what applications sent as it came and translates a row when it makes a request of it, so
 * that one buffer serves backends of both kinds, and a hand-over or a replay moves the original. The
 * translation of a row is the same each time (but for values cumulated from deltas, see otlp_delta.h): a
 * request that is built again, halved, or resumed from a note cuts the same records.
 *
 * One record of the source (a metric with its points, a log record) becomes any number of records of the
 * result (samples, lines); owners[] tells whose each is. A source record that cannot be translated, wholly or
 * in part, has a reason. Holds at most TRANSLATE_MAX_BYTES and TRANSLATE_MAX_RECORDS. One thread.
 */
#ifndef GATEWAY_TRANSLATE_H
#define GATEWAY_TRANSLATE_H

#include "base/batch.h"
#include "base/buf.h"
#include "gateway/config.h"
#include "gateway/fanout/verdict.h"

struct otlp_delta;

enum { TRANSLATE_MAX_BYTES = 256 << 20, TRANSLATE_MAX_RECORDS = 8 << 20 };
#define TRANSLATED_NO_OWNER UINT32_MAX

/* Why a record of the source was not translated: a name for the count, words for people. */
#define TRANSLATE_REASONS(X)                                                                                 \
    X(NONE, "none", "")                                                                                      \
    X(DELTA, "delta", "delta temporality: otlp.delta_to_cumulative is off")                                  \
    X(DELTA_ORDER, "delta_order", "a delta point that is not after the one before it")                       \
    X(DELTA_SERIES, "delta_series", "more delta series than otlp.delta_series")                              \
    X(DELTA_KIND, "delta_kind", "exponential histograms of delta temporality are not cumulated")             \
    X(TEMPORALITY, "temporality", "no aggregation temporality")                                              \
    X(NATIVE, "native_histogram", "an exponential histogram: otlp.native_histograms is off")                 \
    X(SCALE, "scale", "an exponential histogram with a scale below -4")                                      \
    X(BUCKETS, "buckets", "a histogram whose buckets do not fit its bounds")                                 \
    X(NAME, "name", "no Prometheus name can be made of the metric's")                                        \
    X(TIME, "time", "a point or line without a time")                                                        \
    X(VALUE, "value", "a point without a value, or a metric without a kind")                                 \
    X(LABELS, "labels", "too many attributes, or nested too deep")                                           \
    X(LINE, "line", "a line over 256 KiB")                                                                   \
    X(OLD, "old", "a line more than a week older than its receipt")                                          \
    X(DUPLICATE, "duplicate", "another point of the same series and time is in the request")

#define X(id, ...) TRANSLATE_##id,
enum translate_reason { TRANSLATE_REASONS(X) TRANSLATE_REASON_COUNT };
#undef X

/* translate_reason_name, translate_reason_words: of the table above. */
const char *translate_reason_name(enum translate_reason reason);
const char *translate_reason_words(enum translate_reason reason);

struct translated {
    enum batch_format format;
    struct buf message; /* owned */
    uint32_t *owners;   /* owned; by record of message: the record of the source, or TRANSLATED_NO_OWNER */
    uint32_t count, owner_room;
    uint8_t *reasons; /* owned; by record of the source: enum translate_reason */
    uint32_t source_count, reason_room;
    uint32_t refused; /* how many of them have a reason */
};

void translated_init(struct translated *t);
void translated_fini(struct translated *t);

/* translated_clear: empty; memory beyond keep bytes of the message is given back. */
void translated_clear(struct translated *t, size_t keep);

/* For the translators: the next record of the source begins; a record of the message belongs to owner; owner
 * has a reason (the first one stays). 0, -ENOMEM, -EMSGSIZE. */
int translated_begin_source(struct translated *t);
int translated_add(struct translated *t, uint32_t owner);
void translated_refuse(struct translated *t, uint32_t owner, enum translate_reason reason);

/* What translates for one backend. */
struct translate {
    const struct gateway_backend_config *config; /* borrowed */
    enum backend_kind kind;
    struct otlp_delta *delta; /* owned; NULL: not switched on */
    struct translated result;
    int64_t row_id;               /* whose result it is; 0: none */
    struct otlp_metrics *metrics; /* owned; scratch */
    struct otlp_logs *logs;       /* owned; scratch */
};

/* translate_init: 0, -ENOMEM. config is borrowed. */
int translate_init(struct translate *t, const struct gateway_backend_config *config, enum backend_kind kind);
void translate_fini(struct translate *t);

/* translate_is_needed: whether rows of the format go to a backend of the kind as something else. Pure. */
bool translate_is_needed(enum backend_kind kind, enum batch_format format);

/* translate_run: raw, a message of the format, into t->result. row_id: of the row, for deltas (0:
 * a message apart from the rows, whose deltas are refused); received_ns: wall clock, for lines without a
 * time. 0, -EBADMSG (not such a message), -EMSGSIZE (more
 * than fits), -ENOMEM. */
int translate_run(struct translate *t, enum batch_format format, struct bytes raw, int64_t row_id,
                  int64_t received_ns);

/* translate_release: gives the memory back. */
void translate_release(struct translate *t);

#endif
