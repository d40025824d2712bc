/* grpc_tls.h - TLS of a gRPC connection: OpenSSL on a socket that is there, with h2 agreed by ALPN.
 *
 * curl would speak HTTP/2 itself on a connection that agrees to it, so this one is not curl's. Sources: RFC
 * 7301 (ALPN), RFC 9113 section 3.2. Nothing blocks. One thread.
 */
#ifndef GATEWAY_GRPC_TLS_H
#define GATEWAY_GRPC_TLS_H

#include <sys/types.h>

#include "gateway/config.h"

struct grpc_tls;

/* grpc_tls_new: reads certificates and key anew, so that rotated ones are taken at the next connection. host:
 * the name or address that the certificate must carry, unless the options name another. 0, -ENOMEM, -EINVAL
 * (a file cannot be used; words say which). */
int grpc_tls_new(const struct gateway_backend_tls *options, const char *host, int fd,
                 struct grpc_tls **ret_tls, char *words, size_t words_size);
void grpc_tls_free(struct grpc_tls *tls); /* NULL is fine; the socket stays open */

/* grpc_tls_handshake: 1: done; 0: wait for the socket; -EPROTO with words: it failed, or h2 was not agreed.
 */
int grpc_tls_handshake(struct grpc_tls *tls, char *words, size_t words_size);

/* grpc_tls_read, grpc_tls_write: how many bytes; 0: wait for the socket; -EPIPE: lost. */
ssize_t grpc_tls_read(struct grpc_tls *tls, void *to, size_t room);
ssize_t grpc_tls_write(struct grpc_tls *tls, const void *from, size_t len);

/* grpc_tls_wants_write: whether what waits waits for room in the socket. */
bool grpc_tls_wants_write(const struct grpc_tls *tls);

#endif
