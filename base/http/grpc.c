#include "base/http/grpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/http/http_body.h"
#include "base/pb.h"

enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3, ANY_TYPE = 1, ANY_VALUE = 2 };
enum { RETRY_DELAY = 1, DURATION_SECONDS = 1, DURATION_NANOS = 2, DETAILS_BYTES = 1024 };

enum grpc_code grpc_code_of_http(int status)
{
    switch (status) {
    case 404:
    case 405:
    case 415:
    case 501:
        return GRPC_UNIMPLEMENTED;
    case 408:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 503:
        return GRPC_UNAVAILABLE;
    }
    return GRPC_INTERNAL;
}

const char *grpc_code_name(enum grpc_code code)
{
    switch (code) {
    case GRPC_OK:
        return "OK";
    case GRPC_UNKNOWN:
        return "UNKNOWN";
    case GRPC_INVALID_ARGUMENT:
        return "INVALID_ARGUMENT";
    case GRPC_DEADLINE_EXCEEDED:
        return "DEADLINE_EXCEEDED";
    case GRPC_RESOURCE_EXHAUSTED:
        return "RESOURCE_EXHAUSTED";
    case GRPC_UNIMPLEMENTED:
        return "UNIMPLEMENTED";
    case GRPC_INTERNAL:
        return "INTERNAL";
    case GRPC_UNAVAILABLE:
        return "UNAVAILABLE";
    }
    return "UNKNOWN";
}

/* google.protobuf.Any of a google.rpc.RetryInfo. */
static int put_retry(struct buf *out, int64_t retry_ms)
{
    size_t any, retry, delay;
    int err = pb_begin(out, STATUS_DETAILS, &any);
    if (err < 0 || (err = pb_put_string(out, ANY_TYPE, "type.googleapis.com/google.rpc.RetryInfo")) < 0 ||
        (err = pb_begin(out, ANY_VALUE, &retry)) < 0 || (err = pb_begin(out, RETRY_DELAY, &delay)) < 0 ||
        (err = pb_put_varint(out, DURATION_SECONDS, (uint64_t)retry_ms / 1000)) < 0 ||
        (err = pb_put_varint(out, DURATION_NANOS, (uint64_t)retry_ms % 1000 * 1000000)) < 0)
        return err;
    pb_end(out, delay);
    pb_end(out, retry);
    pb_end(out, any);
    return 0;
}

int grpc_put_details(struct buf *out, enum grpc_code code, const char *message, int64_t retry_ms)
{
    int err = pb_put_varint(out, STATUS_CODE, code);
    if (err == 0)
        err = pb_put_string(out, STATUS_MESSAGE, message);
    return err < 0 || retry_ms <= 0 ? err : put_retry(out, retry_ms);
}

/* Without padding, as gRPC has it. */
static int put_base64(struct buf *out, struct bytes in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int err = buf_reserve(out, (in.len + 2) / 3 * 4);
    if (err < 0)
        return err;
    for (size_t i = 0; i < in.len; i += 3) {
        uint32_t three = (uint32_t)in.ptr[i] << 16;
        three |= i + 1 < in.len ? (uint32_t)in.ptr[i + 1] << 8 : 0;
        three |= i + 2 < in.len ? in.ptr[i + 2] : 0;
        uint8_t *p = out->ptr + out->len;
        p[0] = (uint8_t)digits[three >> 18];
        p[1] = (uint8_t)digits[three >> 12 & 63];
        p[2] = (uint8_t)digits[three >> 6 & 63];
        p[3] = (uint8_t)digits[three & 63];
        out->len += in.len - i < 3 ? in.len - i + 1 : 4;
    }
    return 0;
}

static int put_percent(struct buf *out, const char *text)
{
    int err = 0;
    for (size_t i = 0; text[i] && i < GRPC_MESSAGE_BYTES && !err; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' && !text[i + 1])
            break; /* the end of a line of text */
        if (c >= ' ' && c <= '~' && c != '%')
            err = buf_append(out, text + i, 1);
        else
            err = buf_printf(out, "%%%02X", c);
    }
    return err;
}

int grpc_put_status(struct buf *out, enum grpc_code code, const char *message, int64_t retry_ms)
{
    struct buf details;
    int err = buf_printf(out, "grpc-status: %d\r\n", (int)code);
    if (err < 0 || code == GRPC_OK)
        return err;
    if ((err = buf_append_string(out, "grpc-message: ")) < 0 || (err = put_percent(out, message)) < 0 ||
        (err = buf_append_string(out, "\r\n")) < 0 || retry_ms <= 0)
        return err;
    buf_init(&details, DETAILS_BYTES);
    err = grpc_put_details(&details, code, message, retry_ms);
    if (err == 0)
        err = buf_append_string(out, "grpc-status-details-bin: ");
    if (err == 0)
        err = put_base64(out, buf_bytes(&details));
    buf_fini(&details);
    return err < 0 ? err : buf_append_string(out, "\r\n");
}

static int decode(struct bytes message, size_t max, struct buf *storage, struct bytes *ret_message)
{
    struct http_body body;
    http_body_init(&body, SIZE_MAX, max);
    body.coding = HTTP_GZIP;
    int err = message.len ? http_body_take(&body, message) : -EBADMSG;
    if (err == 0)
        err = http_body_finish(&body);
    if (err == 0) {
        buf_fini(storage);
        *storage = body.bytes;
        body.bytes = (struct buf){0};
        *ret_message = buf_bytes(storage);
    }
    http_body_fini(&body);
    return err == -EBADMSG ? -EPROTO : err;
}

int grpc_message(struct bytes body, const char *coding, size_t max, struct buf *storage,
                 struct bytes *ret_message)
{
    if (body.len == 0)
        return -ENOTUNIQ;
    if (body.len < GRPC_FRAME_BYTES || body.ptr[0] > 1)
        return -EBADMSG;
    size_t len = (size_t)body.ptr[1] << 24 | (size_t)body.ptr[2] << 16 | (size_t)body.ptr[3] << 8 |
                 (size_t)body.ptr[4];
    struct bytes message = bytes_skip(body, GRPC_FRAME_BYTES);
    if (message.len > len)
        return -ENOTUNIQ;
    if (message.len < len)
        return -EBADMSG;
    if (body.ptr[0] == 0 && len > max)
        return -EMSGSIZE;
    if (body.ptr[0] == 0) {
        *ret_message = message;
        return 0;
    }
    if (!coding || strcasecmp(coding, "identity") == 0)
        return -EPROTO;
    if (strcasecmp(coding, "gzip") != 0)
        return -ENOTSUP;
    return decode(message, max, storage, ret_message);
}

int grpc_put_frame(struct buf *out, struct bytes message)
{
    uint8_t head[GRPC_FRAME_BYTES] = {0, (uint8_t)(message.len >> 24), (uint8_t)(message.len >> 16),
                                      (uint8_t)(message.len >> 8), (uint8_t)message.len};
    int err = buf_reserve(out, sizeof head + message.len);
    if (err < 0)
        return err;
    buf_append(out, head, sizeof head);
    return buf_append(out, message.ptr, message.len);
}

int64_t grpc_timeout_ms(const char *text)
{
    static const char units[] = "HMSmun";
    static const int64_t us[] = {INT64_C(3600) * 1000000, 60 * 1000000, 1000000, 1000, 1};
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits < 1 || digits > 8 || !text[digits] || text[digits + 1])
        return INT64_MAX;
    const char *unit = strchr(units, text[digits]);
    if (!unit)
        return INT64_MAX;
    int64_t value = strtoll(text, NULL, 10);
    return *unit == 'n' ? value / 1000000 : value * us[unit - units] / 1000;
}
