/* otlp_probe.h - whether an OTLP listener could be started with what a configuration names: start_probe.h. */
#ifndef BASE_OTLP_PROBE_H
#define BASE_OTLP_PROBE_H

#include "base/buf.h"
#include "base/http/http_tls_files.h"

/* otlp_probe_start: of the keys otlp.listen_http, otlp.listen_grpc ("": none) and otlp.tls. in_use: as in
 * start_probe_listen. A line for each that cannot be had is appended to errors. 0 or -EINVAL. Main thread. */
int otlp_probe_start(const char *listen_http, const char *listen_grpc, const struct http_tls_files *tls,
                     const char *const *in_use, struct buf *errors);

#endif
