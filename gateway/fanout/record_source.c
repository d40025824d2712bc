#include "gateway/fanout/record_source.h"

#include <stdio.h>

static struct bytes find(const struct record *record, const char *name)
{
    return record_find(record, bytes_of_string(name));
}

static int width(struct bytes text)
{
    return text.len < RECORD_SOURCE_MAX ? (int)text.len : RECORD_SOURCE_MAX;
}

#define TEXT(bytes) width(bytes), (bytes).ptr ? (const char *)(bytes).ptr : ""

static void name_pod(struct bytes namespace, struct bytes pod, struct bytes container, char *storage)
{
    snprintf(storage, RECORD_SOURCE_MAX, "pod %.*s/%.*s%s%.*s", TEXT(namespace), TEXT(pod),
             container.ptr ? "/" : "", TEXT(container));
}

/* By OpenTelemetry's name, as applications send it or as it is a label of Loki. */
static struct bytes find_otlp(const struct record *record, const char *name, const char *label)
{
    struct bytes value = find(record, name);
    return value.ptr ? value : find(record, label);
}

void record_source(const struct record *record, char storage[RECORD_SOURCE_MAX])
{
    struct bytes otlp_pod = find_otlp(record, "k8s.pod.name", "k8s_pod_name");
    bool is_otlp = otlp_pod.ptr || record->kind == RECORD_SPAN;
    struct bytes pod = is_otlp ? otlp_pod : find(record, "pod");
    struct bytes instance = find(record, "instance"), job = find(record, "job");
    struct bytes service = find_otlp(record, "service.name", "service_name");
    storage[0] = '\0';
    if (instance.ptr && (record->kind == RECORD_SAMPLE || record->kind == RECORD_HISTOGRAM))
        snprintf(storage, RECORD_SOURCE_MAX, "target %.*s %.*s", TEXT(job), TEXT(instance));
    else if (pod.ptr && is_otlp)
        name_pod(find_otlp(record, "k8s.namespace.name", "k8s_namespace_name"), pod,
                 find_otlp(record, "k8s.container.name", "k8s_container_name"), storage);
    else if (pod.ptr)
        name_pod(find(record, "namespace"), pod, find(record, "container"), storage);
    else if (service.ptr)
        snprintf(storage, RECORD_SOURCE_MAX, "service %.*s", TEXT(service));
}

static int take_first(void *ctx, const struct record *record)
{
    record_source(record, ctx);
    return 1;
}

void record_source_of(enum batch_format format, struct bytes raw, char storage[RECORD_SOURCE_MAX])
{
    storage[0] = '\0';
    (void)records_show(format, raw, take_first, storage);
}
