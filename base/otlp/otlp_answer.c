#include "base/otlp/otlp_answer.h"

#include <stdio.h>
#include <strings.h>

enum { STATUS_BYTES = 8192, RETRY_MS = 1000 };

static const char protobuf_type[] = "application/x-protobuf", json_type[] = "application/json",
                  grpc_type[] = "application/grpc", grpc_proto_type[] = "application/grpc+proto";

static bool is_type(const char *header, const char *type)
{
    size_t len = strlen(type);
    return strncasecmp(header, type, len) == 0 && strchr("; \t", header[len]);
}

static enum otlp_form form_of(const char *header)
{
    if (!header)
        return OTLP_UNKNOWN;
    if (is_type(header, protobuf_type))
        return OTLP_PROTOBUF;
    if (is_type(header, json_type))
        return OTLP_JSON;
    if (is_type(header, grpc_type) || is_type(header, grpc_proto_type))
        return OTLP_GRPC;
    return OTLP_UNKNOWN;
}

enum otlp_form otlp_form_of(const struct http_request *request)
{
    return form_of(http_request_header(request, "content-type"));
}

/* An empty Export...ServiceResponse has no bytes. */
void otlp_answer_success(struct http_request *request, char ret_code[OTLP_CODE_BYTES])
{
    static const uint8_t empty_frame[GRPC_FRAME_BYTES];
    enum otlp_form form = otlp_form_of(request);
    if (form == OTLP_GRPC) {
        snprintf(ret_code, OTLP_CODE_BYTES, "%s", grpc_code_name(GRPC_OK));
        http_answer_trailers(request, 200, NULL, grpc_type, (struct bytes){empty_frame, sizeof empty_frame},
                             "grpc-status: 0\r\n");
        return;
    }
    snprintf(ret_code, OTLP_CODE_BYTES, "200");
    if (form == OTLP_JSON)
        http_answer(request, 200, NULL, json_type, bytes_of_string("{}"));
    else
        http_answer(request, 200, NULL, protobuf_type, (struct bytes){0});
}

static enum grpc_code code_of(int status)
{
    return status == 400 ? GRPC_INVALID_ARGUMENT : grpc_code_of_http(status);
}

static void fail_grpc(struct http_request *request, int status, const char *message)
{
    struct buf head;
    buf_init(&head, GRPC_HEAD_BYTES);
    if (status == 415)
        buf_append_string(&head, "grpc-accept-encoding: identity,gzip\r\n");
    if (grpc_put_status(&head, code_of(status), message, status == 503 ? RETRY_MS : 0) == 0 &&
        buf_append(&head, "", 1) == 0)
        http_answer(request, 200, (const char *)head.ptr, grpc_type, (struct bytes){0});
    else
        http_answer(request, 503, NULL, NULL, (struct bytes){0}); /* out of memory */
    buf_fini(&head);
}

/* JSON's form of google.rpc.Status. */
static void put_json_status(struct buf *body, int code, const char *message)
{
    buf_printf(body, "{\"code\":%d,\"message\":\"", code);
    for (; *message; message++)
        if (*message == '"' || *message == '\\')
            buf_printf(body, "\\%c", *message);
        else if ((unsigned char)*message < ' ')
            buf_printf(body, "\\u%04x", (unsigned)*message);
        else
            buf_append(body, message, 1);
    buf_append_string(body, "\"}");
}

/* A google.rpc.Status as the request's own encoding has it; its content type. */
static const char *put_status(enum otlp_form form, int status, const char *message, struct buf *body)
{
    if (form == OTLP_JSON)
        put_json_status(body, (int)code_of(status), message);
    else
        grpc_put_details(body, code_of(status), message, 0);
    return form == OTLP_JSON ? json_type : protobuf_type;
}

const char *otlp_answer_refusal(const struct http_refusal *refusal, struct buf *body,
                                char ret_code[OTLP_CODE_BYTES])
{
    char message[160];
    enum otlp_form form = form_of(refusal->content_type);
    if (form == OTLP_GRPC)
        snprintf(ret_code, OTLP_CODE_BYTES, "%s", grpc_code_name(grpc_code_of_http(refusal->status)));
    else
        snprintf(ret_code, OTLP_CODE_BYTES, "%d", refusal->status);
    if (form != OTLP_JSON && form != OTLP_PROTOBUF)
        return NULL;
    snprintf(message, sizeof message, "%.*s", (int)strcspn(refusal->text, "\n"), refusal->text);
    return put_status(form, refusal->status, message, body);
}

void otlp_answer_failure(struct http_request *request, int status, const char *message,
                         char ret_code[OTLP_CODE_BYTES])
{
    enum otlp_form form = otlp_form_of(request);
    struct buf body;
    if (form == OTLP_GRPC && http_request_is_http2(request)) {
        snprintf(ret_code, OTLP_CODE_BYTES, "%s", grpc_code_name(code_of(status)));
        fail_grpc(request, status, message);
        return;
    }
    buf_init(&body, STATUS_BYTES);
    snprintf(ret_code, OTLP_CODE_BYTES, "%d", status);
    const char *type = put_status(form, status, message, &body);
    http_answer(request, status, status == 503 ? "Retry-After: 1\r\n" : NULL, type, buf_bytes(&body));
    buf_fini(&body);
}
