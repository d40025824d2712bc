/* grpc.h - gRPC's message frame and status, as far as a unary call has them.
 *
 * Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md: Length-Prefixed-Message, Timeout, Status, Status-Message),
 * google.rpc Status and RetryInfo in grpc-status-details-bin. Pure functions, any thread.
 */
#ifndef BASE_GRPC_H
#define BASE_GRPC_H

#include "base/buf.h"

enum grpc_code {
    GRPC_OK = 0,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};

enum { GRPC_FRAME_BYTES = 5, GRPC_HEAD_BYTES = 4096, GRPC_MESSAGE_BYTES = 512 };

/* grpc_code_of_http: what a status of HTTP means to a gRPC client. */
enum grpc_code grpc_code_of_http(int status);

/* grpc_code_name: "OK", "INVALID_ARGUMENT", ... */
const char *grpc_code_name(enum grpc_code code);

/* grpc_put_details: appends a google.rpc.Status; retry_ms > 0: with RetryInfo. 0 or the error of buf_reserve.
 */
int grpc_put_details(struct buf *out, enum grpc_code code, const char *message, int64_t retry_ms);

/* grpc_put_status: appends the lines "grpc-status: ...\r\n" and, unless code is OK, grpc-message (percent-
 * encoded, cut at GRPC_MESSAGE_BYTES) and, with retry_ms > 0, grpc-status-details-bin. 0 or the error of
 * buf_reserve. */
int grpc_put_status(struct buf *out, enum grpc_code code, const char *message, int64_t retry_ms);

/* grpc_message: the one message of a unary request's body; decoded by coding ("gzip", "identity" or NULL: not
 * named) to at most max bytes. *ret_message is borrowed from body, or from storage, which the caller has
 * initialised as a buf and finishes. 0; -EBADMSG: no whole message; -ENOTUNIQ: none, or something after it;
 * -ENOTSUP: another coding; -EPROTO: a compressed message and no coding named, or bytes that are not of it;
 * -EMSGSIZE past max; -ENOMEM. */
int grpc_message(struct bytes body, const char *coding, size_t max, struct buf *storage,
                 struct bytes *ret_message);

/* grpc_timeout_ms: what a request's grpc-timeout says (at most 8 digits and one of H M S m u n), rounded
 * down; INT64_MAX when it is NULL or not of that form. */
int64_t grpc_timeout_ms(const char *text);

/* grpc_put_frame: appends message as a frame that is not compressed. 0 or the error of buf_reserve. */
int grpc_put_frame(struct buf *out, struct bytes message);

#endif
