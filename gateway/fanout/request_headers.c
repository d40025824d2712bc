#include "gateway/fanout/request_headers.h"

#include <errno.h>

#include "base/buf.h"
#include "gateway/fanout/bearer.h"

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct buf line;
    buf_init(&line, BEARER_MAX + 1024);
    int err = buf_printf(&line, "%s:%s%s", name, value[0] ? " " : "", value);
    if (err == 0)
        err = buf_append(&line, "", 1);
    struct curl_slist *longer = err < 0 ? NULL : curl_slist_append(*list, (char *)line.ptr);
    buf_fini(&line);
    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

/* What each kind wants to see. Loki takes its snappy without being told. */
static int add_kind(struct curl_slist **list, enum backend_kind kind)
{
    if (kind == BACKEND_OTLP_GRPC)
        return add_header(list, "Content-Type", "application/grpc");
    int err = add_header(list, "Content-Type", "application/x-protobuf");
    if (err == 0 && kind != BACKEND_LOKI && kind != BACKEND_OTLP_PLAIN)
        err = add_header(list, "Content-Encoding", "snappy");
    if (err == 0 && kind == BACKEND_REMOTE_WRITE)
        err = add_header(list, "X-Prometheus-Remote-Write-Version", "0.1.0");
    return err;
}

static int add_bearer(const char *token, struct curl_slist **list)
{
    struct buf value;
    if (!token)
        return 0;
    buf_init(&value, BEARER_MAX + 64);
    int err = buf_printf(&value, "Bearer %s", token);
    if (err == 0)
        err = buf_append(&value, "", 1);
    if (err == 0)
        err = add_header(list, "Authorization", (char *)value.ptr);
    buf_fini(&value);
    return err;
}

int request_headers_add(const struct gateway_backend_config *config, enum backend_kind kind, const char *host,
                        const char *token, struct curl_slist **list)
{
    int err = add_kind(list, kind);
    if (err == 0)
        err = add_header(list, "User-Agent", "tributary-gateway/" TRIBUTARY_VERSION);
    if (err == 0)
        err = add_header(list, "Expect", ""); /* curl would wait a second for it */
    if (err == 0 && host)
        err = add_header(list, "Host", host);
    if (err == 0 && config->tenant && config->tenant[0])
        err = add_header(list, "X-Scope-OrgID", config->tenant);
    if (err == 0)
        err = add_bearer(token, list);
    for (size_t i = 0; i < config->headers.count && err == 0; i++)
        err = add_header(list, config->headers.items[i].key, config->headers.items[i].value);
    return err;
}
