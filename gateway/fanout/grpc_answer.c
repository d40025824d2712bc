#include "gateway/fanout/grpc_answer.h"

#include <errno.h>

#include "base/pb.h"

enum { STATUS_DETAILS = 3, ANY_TYPE = 1, ANY_VALUE = 2, RETRY_DELAY = 1, SECONDS = 1, NANOS = 2 };
enum { MOST_RETRY_MS = 3600 * 1000, MOST_DETAILS = 8 * 1024 };

const char *grpc_answer_name(int status)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};
    return status >= 0 && status <= GRPC_STATUS_UNAUTHENTICATED ? names[status] : "UNKNOWN";
}

enum grpc_status grpc_answer_status(struct bytes text)
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 2)
        return GRPC_STATUS_UNKNOWN;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return GRPC_STATUS_UNKNOWN;
        value = value * 10 + (text.ptr[i] - '0');
    }
    return value <= GRPC_STATUS_UNAUTHENTICATED ? (enum grpc_status)value : GRPC_STATUS_UNKNOWN;
}

enum grpc_status grpc_answer_of_http(int status)
{
    switch (status) {
    case 400:
        return GRPC_STATUS_INTERNAL;
    case 401:
        return GRPC_STATUS_UNAUTHENTICATED;
    case 403:
        return GRPC_STATUS_PERMISSION_DENIED;
    case 404:
        return GRPC_STATUS_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_STATUS_UNAVAILABLE;
    default:
        return GRPC_STATUS_UNKNOWN;
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int grpc_answer_put_message(struct bytes text, struct buf *out)
{
    int err = buf_reserve(out, text.len);
    if (err < 0)
        return err;
    for (size_t i = 0; i < text.len; i++) {
        bool is_escape = text.ptr[i] == '%' && text.len - i > 2;
        int high = is_escape ? hex_value(text.ptr[i + 1]) : -1,
            low = is_escape ? hex_value(text.ptr[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            out->ptr[out->len++] = (uint8_t)(high << 4 | low);
            i += 2;
        } else
            out->ptr[out->len++] = text.ptr[i];
    }
    return 0;
}

/* ---- details */

static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static size_t undo_base64(struct bytes text, uint8_t raw[MOST_DETAILS])
{
    uint32_t bits = 0;
    int have = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0 || len == MOST_DETAILS)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            raw[len++] = (uint8_t)(bits >> have);
        }
    }
    return len;
}

/* The content of the first field of that number; ptr NULL when there is none. */
static struct bytes find(struct bytes message, uint32_t number)
{
    struct pb_field field;
    while (pb_next(&message, &field) == 1) {
        if (field.number == number && field.type == PB_LEN)
            return field.bytes;
    }
    return (struct bytes){0};
}

static int64_t delay_of(struct bytes any)
{
    static const char type[] = "google.rpc.RetryInfo";
    struct bytes name = find(any, ANY_TYPE), delay = find(find(any, ANY_VALUE), RETRY_DELAY);
    struct pb_field field;
    uint64_t seconds = 0, nanos = 0;
    if (name.len < sizeof type - 1 ||
        memcmp(name.ptr + name.len - (sizeof type - 1), type, sizeof type - 1) != 0)
        return 0;
    while (pb_next(&delay, &field) == 1) {
        if (field.type == PB_VARINT && field.number == SECONDS)
            seconds = field.value;
        if (field.type == PB_VARINT && field.number == NANOS)
            nanos = field.value;
    }
    if (seconds >= MOST_RETRY_MS / 1000 || nanos >= 1000000000)
        return MOST_RETRY_MS;
    return (int64_t)(seconds * 1000 + nanos / 1000000);
}

int64_t grpc_answer_retry_ms(struct bytes details)
{
    uint8_t raw[MOST_DETAILS];
    struct bytes status = {raw, undo_base64(details, raw)};
    struct pb_field field;
    int64_t retry_ms = 0;
    while (pb_next(&status, &field) == 1) {
        if (field.number == STATUS_DETAILS && field.type == PB_LEN && retry_ms == 0)
            retry_ms = delay_of(field.bytes);
    }
    return retry_ms;
}
