/* otlp_answer.h - what an OTLP client is told, in its own form. Internal to otlp*.c.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/ - OTLP/HTTP Response, Failures, OTLP/HTTP Throttling;
 * OTLP/gRPC Response, Failures, OTLP/gRPC Throttling. A failure's HTTP status and gRPC code say the same: 400
 * INVALID_ARGUMENT, 413 RESOURCE_EXHAUSTED, 415 UNIMPLEMENTED, 503 UNAVAILABLE. Of these the last alone is to
 * be tried again: it carries Retry-After or RetryInfo. 500 INTERNAL is for a compressed message without its
 * coding, and UNIMPLEMENTED for another coding names those that are known (gRPC's compression.md).
 */
#ifndef BASE_OTLP_ANSWER_H
#define BASE_OTLP_ANSWER_H

#include "base/http/grpc.h"
#include "base/http/http_server.h"

enum otlp_form { OTLP_PROTOBUF, OTLP_JSON, OTLP_GRPC, OTLP_UNKNOWN };

/* otlp_form_of: by the request's content type. */
enum otlp_form otlp_form_of(const struct http_request *request);

/* Room for the name of an answer's code: "200", "UNAVAILABLE". */
enum { OTLP_CODE_BYTES = 24 };

/* otlp_answer_refusal: of http_server_on_refusal's put: a Status, to a request in protobuf or JSON. */
const char *otlp_answer_refusal(const struct http_refusal *refusal, struct buf *body,
                                char ret_code[OTLP_CODE_BYTES]);

/* otlp_answer_success: all of it was taken: 200 or OK with an empty Export...ServiceResponse. ret_code: for
 * the count. */
void otlp_answer_success(struct http_request *request, char ret_code[OTLP_CODE_BYTES]);

/* otlp_answer_failure: status is one of those above. */
void otlp_answer_failure(struct http_request *request, int status, const char *message,
                         char ret_code[OTLP_CODE_BYTES]);

#endif
