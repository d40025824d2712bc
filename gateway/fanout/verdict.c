#include "gateway/fanout/verdict.h"

#include <stdlib.h>
#include <time.h>

#include "base/pb.h"
#include "gateway/fanout/grpc_answer.h"

enum { MOST_RETRY_AFTER_MS = 3600 * 1000 };

/* What the answers of a kind of backend say when a request was too large: seen on Prometheus 2.42 and 3.16,
 * Loki 3.7 and Jaeger 1.76. */
struct size_words {
    enum backend_kind kind;
    int status;
    const char *words;
};
static const struct size_words size_words[] = {
    {BACKEND_REMOTE_WRITE, 400, "decoded size exceeds"},
    {BACKEND_LOKI, 500, "message larger than max"},
    {BACKEND_LOKI, 400, "message larger than max"},
    {BACKEND_OTLP_HTTP, 400, "request body too large"},
    {BACKEND_OTLP_GRPC, GRPC_STATUS_RESOURCE_EXHAUSTED, "message larger than max"},
};

static bool has_words(struct bytes body, const char *words)
{
    return body.len && memmem(body.ptr, body.len, words, strlen(words)) != NULL;
}

static bool is_too_large(enum backend_kind kind, const struct verdict_answer *answer)
{
    if (answer->status == 413 || (kind == BACKEND_OTLP_PLAIN && has_words(answer->body, "too large")))
        return true;
    for (size_t i = 0; i < sizeof size_words / sizeof size_words[0]; i++) {
        const struct size_words *w = &size_words[i];
        if (w->kind == kind && w->status == answer->status && has_words(answer->body, w->words))
            return true;
    }
    return false;
}

static bool grpc_is_of_backend(int status)
{
    return status == GRPC_STATUS_NOT_FOUND || status == GRPC_STATUS_PERMISSION_DENIED ||
           status == GRPC_STATUS_UNIMPLEMENTED || status == GRPC_STATUS_UNAUTHENTICATED;
}

bool verdict_is_of_backend(enum backend_kind kind, int status)
{
    if (kind == BACKEND_OTLP_GRPC)
        return grpc_is_of_backend(status);
    switch (status) {
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
        return true;
    default:
        return status < 200 || (status >= 300 && status < 400);
    }
}

/* ExportTraceServiceResponse.partial_success (1) . rejected_spans (1): the opentelemetry-proto collector
 * services. Present but empty means that all was taken. */
static bool rejects_some(struct bytes body)
{
    struct pb_field outer, inner;
    while (pb_next(&body, &outer) == 1) {
        if (outer.number != 1 || outer.type != PB_LEN)
            continue;
        struct bytes partial = outer.bytes;
        while (pb_next(&partial, &inner) == 1) {
            if (inner.number == 1 && inner.type == PB_VARINT && inner.value != 0)
                return true;
        }
    }
    return false;
}

/* An HTTP date (RFC 9110 section 5.6.7, its preferred form) as ms from now; 0 when it is none. */
static int64_t date_to_ms(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return 0;
    int64_t seconds = (int64_t)timegm(&tm) - (int64_t)time(NULL);
    if (seconds > MOST_RETRY_AFTER_MS / 1000)
        return MOST_RETRY_AFTER_MS;
    return seconds > 0 ? seconds * 1000 : 0;
}

static int64_t retry_after_ms(const char *text)
{
    char *end;
    if (!text)
        return 0;
    while (*text == ' ')
        text++;
    if (*text < '0' || *text > '9')
        return date_to_ms(text);
    unsigned long long seconds = strtoull(text, &end, 10);
    if (*end && *end != ' ')
        return 0;
    if (seconds > MOST_RETRY_AFTER_MS / 1000)
        return MOST_RETRY_AFTER_MS;
    return (int64_t)seconds * 1000;
}

/* A sample older than Prometheus' out-of-order window: 400 by 3.16, 500 by 2.42, however often it comes. */
static bool is_too_old(enum backend_kind kind, const struct verdict_answer *answer)
{
    return kind == BACKEND_REMOTE_WRITE && answer->status == 500 && has_words(answer->body, "too old sample");
}

static bool is_otlp(enum backend_kind kind)
{
    return kind == BACKEND_OTLP_HTTP || kind == BACKEND_OTLP_PLAIN;
}

/* OTLP specification, "OTLP/gRPC: failures": which codes may be tried again. UNKNOWN is not among them, but
 * it is what a server says of an error that it did not expect; RESOURCE_EXHAUSTED is only with RetryInfo, but
 * without one it may be a moment's as well: both are tried again, and looked at as the data's fault when they
 * stay. */
static enum verdict judge_grpc(const struct verdict_answer *answer, bool drop_on_client_error)
{
    if (is_too_large(BACKEND_OTLP_GRPC, answer))
        return VERDICT_TOO_LARGE;
    switch ((enum grpc_status)answer->status) {
    case GRPC_STATUS_OK:
        return rejects_some(answer->body) ? VERDICT_REFUSED : VERDICT_DELIVERED;
    case GRPC_STATUS_CANCELLED:
    case GRPC_STATUS_UNKNOWN:
    case GRPC_STATUS_DEADLINE_EXCEEDED:
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
    case GRPC_STATUS_ABORTED:
    case GRPC_STATUS_OUT_OF_RANGE:
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_DATA_LOSS:
        return VERDICT_RETRY;
    case GRPC_STATUS_INVALID_ARGUMENT:
    case GRPC_STATUS_ALREADY_EXISTS:
    case GRPC_STATUS_FAILED_PRECONDITION:
    case GRPC_STATUS_INTERNAL:
        return VERDICT_REFUSED;
    case GRPC_STATUS_NOT_FOUND:
    case GRPC_STATUS_PERMISSION_DENIED:
    case GRPC_STATUS_UNIMPLEMENTED:
    case GRPC_STATUS_UNAUTHENTICATED:
        return drop_on_client_error ? VERDICT_REFUSED : VERDICT_AWAY;
    }
    return VERDICT_RETRY;
}

static enum verdict judge(enum backend_kind kind, const struct verdict_answer *answer,
                          bool drop_on_client_error)
{
    int status = answer->status;
    if (kind == BACKEND_OTLP_GRPC)
        return judge_grpc(answer, drop_on_client_error);
    if (status >= 200 && status < 300)
        return is_otlp(kind) && rejects_some(answer->body) ? VERDICT_REFUSED : VERDICT_DELIVERED;
    if (is_too_large(kind, answer))
        return VERDICT_TOO_LARGE;
    if (verdict_is_of_backend(kind, status))
        return drop_on_client_error && status >= 300 ? VERDICT_REFUSED : VERDICT_AWAY;
    if (is_too_old(kind, answer))
        return VERDICT_REFUSED;
    if (status >= 500 || status == 429 || status == 408)
        return VERDICT_RETRY;
    return VERDICT_REFUSED;
}

enum verdict verdict_of(enum backend_kind kind, const struct verdict_answer *answer,
                        bool drop_on_client_error, int64_t *ret_retry_after_ms)
{
    *ret_retry_after_ms = kind == BACKEND_OTLP_GRPC ? answer->retry_ms : retry_after_ms(answer->retry_after);
    return judge(kind, answer, drop_on_client_error);
}

bool verdict_is_out_of_order(struct bytes body)
{
    static const char *const words[] = {"out of order", "duplicate sample for timestamp", "out of bounds",
                                        "too old sample"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (has_words(body, words[i]))
            return true;
    }
    return false;
}

bool verdict_is_out_of_bounds(struct bytes body)
{
    return has_words(body, "out of bounds") || has_words(body, "too old sample");
}

bool verdict_may_be_data(enum backend_kind kind, const struct verdict_answer *answer)
{
    if (answer->status >= 500 || (kind == BACKEND_OTLP_GRPC && answer->retry_ms == 0))
        return true;
    return kind == BACKEND_LOKI && answer->status == 429 &&
           has_words(answer->body, "Maximum active stream limit exceeded");
}

bool verdict_is_lasting(enum backend_kind kind, int status)
{
    return status == (kind == BACKEND_OTLP_GRPC ? GRPC_STATUS_UNKNOWN : 500);
}

const char *verdict_protocol(enum backend_kind kind)
{
    return kind == BACKEND_OTLP_GRPC ? "gRPC" : "HTTP";
}

bool verdict_leaves_doubt(int status)
{
    return status == 502 || status == 504;
}

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_DELIVERED:
        return "delivered";
    case VERDICT_RETRY:
        return "retry";
    case VERDICT_TOO_LARGE:
        return "too_large";
    case VERDICT_REFUSED:
        return "refused";
    case VERDICT_AWAY:
        return "away";
    }
    return "unknown";
}
