#include "gateway/reload.h"

#include <errno.h>

#include "base/otlp/otlp_probe.h"
#include "base/start_probe.h"

enum { MOST_ADDRESSES = 64 };

/* NULL-terminated. */
static void list_addresses(const struct gateway_config *config, const char *to[MOST_ADDRESSES + 4])
{
    size_t n = 0;
    for (size_t i = 0; i < config->agents.listen.count && n < MOST_ADDRESSES; i++)
        to[n++] = config->agents.listen.items[i];
    to[n++] = config->web.listen;
    if (config->otlp.enabled) {
        to[n++] = config->otlp.listen_http;
        to[n++] = config->otlp.listen_grpc;
    }
    to[n] = NULL;
}

static int check_agents(const struct gateway_config *next, const char *const *in_use, struct buf *errors)
{
    int err = 0;
    for (size_t i = 0; i < next->agents.listen.count; i++)
        if (start_probe_listen("agents.listen", next->agents.listen.items[i], in_use, errors) < 0)
            err = -EINVAL;
    if (start_probe_file("agents.tls.ca_file", next->agents.tls.ca_file, errors) < 0 ||
        start_probe_file("agents.tls.cert_file", next->agents.tls.cert_file, errors) < 0 ||
        start_probe_file("agents.tls.key_file", next->agents.tls.key_file, errors) < 0)
        err = -EINVAL;
    return err;
}

int reload_check(const struct gateway_config *in_force, const struct gateway_config *next, struct buf *errors)
{
    const char *in_use[MOST_ADDRESSES + 4];
    list_addresses(in_force, in_use);
    int err = check_agents(next, in_use, errors);
    if (next->otlp.enabled &&
        otlp_probe_start(next->otlp.listen_http, next->otlp.listen_grpc, &next->otlp.tls, in_use, errors) < 0)
        err = -EINVAL;
    if (start_probe_listen("web.listen", next->web.listen, in_use, errors) < 0 ||
        start_probe_folder("buffer.folder", next->buffer.folder, errors) < 0)
        err = -EINVAL;
    return err;
}
