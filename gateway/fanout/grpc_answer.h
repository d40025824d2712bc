/* grpc_answer.h - what a gRPC client reads of an answer: code, words, when to come again.
 *
 * Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2.md: Trailers, Status-Message; http-grpc-status-mapping.md for
 * answers without a grpc-status), google.rpc Status and RetryInfo in grpc-status-details-bin. Pure functions,
 * any thread.
 */
#ifndef GATEWAY_GRPC_ANSWER_H
#define GATEWAY_GRPC_ANSWER_H

#include "base/buf.h"

enum grpc_status { /* every code of gRPC */
                   GRPC_STATUS_OK = 0,
                   GRPC_STATUS_CANCELLED = 1,
                   GRPC_STATUS_UNKNOWN = 2,
                   GRPC_STATUS_INVALID_ARGUMENT = 3,
                   GRPC_STATUS_DEADLINE_EXCEEDED = 4,
                   GRPC_STATUS_NOT_FOUND = 5,
                   GRPC_STATUS_ALREADY_EXISTS = 6,
                   GRPC_STATUS_PERMISSION_DENIED = 7,
                   GRPC_STATUS_RESOURCE_EXHAUSTED = 8,
                   GRPC_STATUS_FAILED_PRECONDITION = 9,
                   GRPC_STATUS_ABORTED = 10,
                   GRPC_STATUS_OUT_OF_RANGE = 11,
                   GRPC_STATUS_UNIMPLEMENTED = 12,
                   GRPC_STATUS_INTERNAL = 13,
                   GRPC_STATUS_UNAVAILABLE = 14,
                   GRPC_STATUS_DATA_LOSS = 15,
                   GRPC_STATUS_UNAUTHENTICATED = 16,
};

/* grpc_answer_name: "OK", "CANCELLED", ...; "UNKNOWN" for a number that is none. */
const char *grpc_answer_name(int status);

/* grpc_answer_status: of the trailer's text; GRPC_STATUS_UNKNOWN when it is no code. */
enum grpc_status grpc_answer_status(struct bytes text);

/* grpc_answer_of_http: what a client makes of an HTTP status that came without a grpc-status. */
enum grpc_status grpc_answer_of_http(int status);

/* grpc_answer_put_message: appends grpc-message with its percent-encoding undone. 0 or the error of
 * buf_reserve. */
int grpc_answer_put_message(struct bytes text, struct buf *out);

/* grpc_answer_retry_ms: the delay of a RetryInfo in grpc-status-details-bin (base64, padded or not); 0: none,
 * at most an hour. */
int64_t grpc_answer_retry_ms(struct bytes details);

#endif
