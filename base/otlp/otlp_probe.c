#include "base/otlp/otlp_probe.h"

#include <errno.h>

#include "base/http/http_tls.h"
#include "base/start_probe.h"

static int probe_tls(const struct http_tls_files *files, struct buf *errors)
{
    char words[HTTP_TLS_WORDS];
    struct http_tls *tls = NULL;
    if (!files->cert_file || !*files->cert_file)
        return 0;
    int err = http_tls_new(files, &tls, words, sizeof words);
    if (err < 0)
        (void)buf_printf(errors, "otlp.tls: %s\n", words);
    else
        http_tls_free(tls);
    return err;
}

int otlp_probe_start(const char *listen_http, const char *listen_grpc, const struct http_tls_files *tls,
                     const char *const *in_use, struct buf *errors)
{
    int http = start_probe_listen("otlp.listen_http", listen_http, in_use, errors);
    int grpc = start_probe_listen("otlp.listen_grpc", listen_grpc, in_use, errors);
    int files = probe_tls(tls, errors);
    return http < 0 || grpc < 0 || files < 0 ? -EINVAL : 0;
}
