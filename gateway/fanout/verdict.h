/* verdict.h - what a backend's answer means. A pure function of kind, status, headers and body; tested as a
 * table against the real programs.
 */
#ifndef GATEWAY_VERDICT_H
#define GATEWAY_VERDICT_H

#include "base/bytes.h"

enum backend_kind {
    BACKEND_REMOTE_WRITE,
    BACKEND_LOKI,
    BACKEND_OTLP_HTTP, /* snappy, as Jaeger takes it */
    BACKEND_OTLP_PLAIN,
    /* over HTTP, not compressed: Prometheus and Loki */ BACKEND_OTLP_GRPC,
};

/* backend_is_plain: whether its bodies go out uncompressed: what takes OTLP of metrics and logs takes no
 * snappy blocks, and gRPC neither. */
static inline bool backend_is_plain(enum backend_kind kind)
{
    return kind == BACKEND_OTLP_PLAIN || kind == BACKEND_OTLP_GRPC;
}

enum verdict {
    VERDICT_DELIVERED,
    VERDICT_RETRY, /* 5xx, 429: the same again after retry_after_ms or backoff; a 5xx that stays while others
                      get through is halved */
    VERDICT_TOO_LARGE, /* halve at once */
    VERDICT_REFUSED,   /* a record in it is bad: halve down to it */
    VERDICT_AWAY,      /* speaks of the backend and not of the data: hold, retry slowly, show by name */
};

struct verdict_answer {
    int status;              /* HTTP status; of BACKEND_OTLP_GRPC: the grpc-status (grpc_answer.h) */
    const char *retry_after; /* header's value or NULL */
    struct bytes body;       /* of a gRPC failure: its message */
    int64_t retry_ms;        /* of gRPC: RetryInfo's delay; 0 none */
};

/* verdict_of: *ret_retry_after_ms is 0 when the answer does not say (delay-seconds or an HTTP date, at most 1
 * h). */
enum verdict verdict_of(enum backend_kind kind, const struct verdict_answer *answer,
                        bool drop_on_client_error, int64_t *ret_retry_after_ms);

/* verdict_is_out_of_order: of a refusal by remote write: the words say out of order, duplicate timestamp or
 * out of bounds. */
bool verdict_is_out_of_order(struct bytes body);

/* verdict_is_out_of_bounds: among those, it is about time alone: too old, whatever is in already. */
bool verdict_is_out_of_bounds(struct bytes body);

/* verdict_is_of_backend: 401, 403, 404, 405, 407, redirects and what is no final HTTP status; of gRPC
 * NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED: such an answer speaks of the backend whatever
 * the data is. */
bool verdict_is_of_backend(enum backend_kind kind, int status);

/* verdict_may_be_data: of a VERDICT_RETRY: the answer may be the data's fault when it stays while others get
 * through: 5xx, Loki's limit of active streams (which no waiting brings down), every such status of gRPC
 * without RetryInfo. */
bool verdict_may_be_data(enum backend_kind kind, const struct verdict_answer *answer);

/* verdict_leaves_doubt: the answer came from something between, which does not know whether the backend took
 * the request: 502 and 504. */
bool verdict_leaves_doubt(int status);

/* verdict_is_lasting: of a VERDICT_RETRY: more likely the data's fault than a moment's: HTTP 500, UNKNOWN. */
bool verdict_is_lasting(enum backend_kind kind, int status);

/* verdict_protocol: "HTTP" or "gRPC": what a status is of. */
const char *verdict_protocol(enum backend_kind kind);

/* verdict_name: "delivered", "retry", "too_large", "refused", "away". */
const char *verdict_name(enum verdict verdict);

#endif
