/* tls_files.h - mutual TLS of the transport from PEM files. */
#ifndef PROTO_TLS_FILES_H
#define PROTO_TLS_FILES_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "base/buf.h"

struct tls_files { /* paths, borrowed; "" unset */
    const char *ca, *cert, *key;
};

/* tls_files_load: a configuration that shows our certificate and requires the peer's to chain to ca. A client
 * (NNG_TLS_MODE_CLIENT) also requires the certificate to carry server_name: without it nng would not check
 * the name at all, so it must not be empty. 0 with *ret_config (nng_tls_config_free), -EINVAL when a file is
 * not named or not usable, or the errno of reading it; words in errors. */
int tls_files_load(const struct tls_files *files, nng_tls_mode mode, const char *server_name,
                   nng_tls_config **ret_config, struct buf *errors);

#endif
