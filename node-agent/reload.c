#include "node-agent/reload.h"

#include <errno.h>

#include "base/otlp/otlp_probe.h"
#include "base/start_probe.h"

static int check_files(const struct agent_config *next, struct buf *errors)
{
    return start_probe_file("gateway.tls.ca_file", next->gateway.tls.ca_file, errors) < 0 ||
                   start_probe_file("gateway.tls.cert_file", next->gateway.tls.cert_file, errors) < 0 ||
                   start_probe_file("gateway.tls.key_file", next->gateway.tls.key_file, errors) < 0 ||
                   start_probe_folder("state_folder", next->state_folder, errors) < 0 ||
                   start_probe_folder("spool.path", next->spool.path, errors) < 0
               ? -EINVAL
               : 0;
}

int reload_check(const struct agent_config *in_force, const struct agent_config *next, struct buf *errors)
{
    bool has_otlp = in_force->otlp.enabled;
    const char *const in_use[] = {in_force->web.listen, has_otlp ? in_force->otlp.listen_http : NULL,
                                  has_otlp ? in_force->otlp.listen_grpc : NULL, NULL};
    int err = check_files(next, errors);
    if (start_probe_listen("web.listen", next->web.listen, in_use, errors) < 0)
        err = -EINVAL;
    if (next->otlp.enabled &&
        otlp_probe_start(next->otlp.listen_http, next->otlp.listen_grpc, &next->otlp.tls, in_use, errors) < 0)
        err = -EINVAL;
    return err;
}
