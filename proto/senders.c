#include "proto/senders.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/otlp/otlp_walk.h"

enum { ATTRIBUTES_MAX = 64 * 1024 * 1024 };

struct sender {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    size_t begin, len;   /* in attributes */
    bool is_shared;      /* by several pods */
};

static bool parse_address(const char *text, uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, address) == 1)
        return true;
    memcpy(address, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, address + sizeof mapped) == 1;
}

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct sender *)a)->address, ((const struct sender *)b)->address, 16);
}

void senders_init(struct senders *senders)
{
    *senders = (struct senders){0};
    buf_init(&senders->attributes, ATTRIBUTES_MAX);
}

void senders_fini(struct senders *senders)
{
    free(senders->items);
    buf_fini(&senders->attributes);
    *senders = (struct senders){0};
}

static int encode_pod(const struct assignment_pod *pod, struct buf *out)
{
    const struct {
        const char *name, *value;
    } attributes[] = {
        {"k8s.namespace.name", pod->namespace},
        {"k8s.pod.name", pod->name},
        {"k8s.pod.uid", pod->uid},
        {"k8s.node.name", pod->node},
        {"k8s.container.name", pod->container_count == 1 ? pod->containers[0].name : NULL},
        {"k8s.deployment.name", pod->deployment},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes && !err; i++)
        if (attributes[i].value && attributes[i].value[0])
            err = otlp_put_attribute(out, attributes[i].name, attributes[i].value);
    return err;
}

static bool is_over(const struct assignment_pod *pod)
{
    return pod->phase && (strcmp(pod->phase, "Succeeded") == 0 || strcmp(pod->phase, "Failed") == 0);
}

static int add_pod(struct senders *senders, const struct assignment_pod *pod)
{
    size_t begin = senders->attributes.len;
    int err = is_over(pod) ? 0 : encode_pod(pod, &senders->attributes);
    for (size_t i = 0; i < pod->ip_count && err == 0 && !is_over(pod); i++) {
        struct sender *s = &senders->items[senders->count];
        *s = (struct sender){.begin = begin, .len = senders->attributes.len - begin};
        senders->count += parse_address(pod->ips[i], s->address);
    }
    return err;
}

/* Sorted; an address that more than one pod has stays once, shared. */
static void sort(struct senders *senders)
{
    size_t kept = 0;
    if (senders->count)
        qsort(senders->items, senders->count, sizeof *senders->items, compare);
    for (size_t i = 0; i < senders->count; i++) {
        struct sender *last = kept ? &senders->items[kept - 1] : NULL;
        if (last && compare(last, &senders->items[i]) == 0)
            last->is_shared |= last->begin != senders->items[i].begin;
        else
            senders->items[kept++] = senders->items[i];
    }
    senders->count = kept;
}

int senders_set(struct senders *senders, const struct assignment *assignment)
{
    size_t addresses = 0;
    int err = 0;
    senders_fini(senders);
    senders_init(senders);
    for (size_t i = 0; i < assignment->pod_count; i++)
        addresses += assignment->pods[i].ip_count;
    if (!addresses)
        return 0;
    senders->items = calloc(addresses, sizeof *senders->items);
    if (!senders->items)
        return -ENOMEM;
    for (size_t i = 0; i < assignment->pod_count && err == 0; i++)
        err = add_pod(senders, &assignment->pods[i]);
    if (err < 0) {
        senders_fini(senders);
        senders_init(senders);
        return err;
    }
    sort(senders);
    return 0;
}

struct bytes senders_find(const struct senders *senders, const char *host)
{
    struct sender key = {0};
    if (!senders->count || !parse_address(host, key.address))
        return (struct bytes){0};
    const struct sender *s = bsearch(&key, senders->items, senders->count, sizeof *senders->items, compare);
    if (!s || s->is_shared)
        return (struct bytes){0};
    return (struct bytes){senders->attributes.ptr + s->begin, s->len};
}
