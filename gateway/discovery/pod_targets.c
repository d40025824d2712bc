#include "gateway/discovery/pod_targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char job[] = "integrations/kubernetes/pods";

enum { TARGET_LABELS = 4, ADDRESS_MAX = 64, PATH_MAX_BYTES = 2048 };

static const char *annotation(const struct assignment_pod *pod, const char *name)
{
    for (size_t i = 0; i < pod->annotation_count; i++) {
        if (strcmp(pod->annotations[i].name, name) == 0)
            return pod->annotations[i].value;
    }
    return "";
}

static bool is_wanted(const struct assignment_pod *pod)
{
    return strcmp(annotation(pod, "prometheus.io/scrape"), "true") == 0 && pod->ip_count > 0 &&
           strcmp(pod->phase, "Running") == 0;
}

/* The annotated port, 0 without one, -EINVAL when it is none. */
static int annotated_port(const struct assignment_pod *pod)
{
    const char *text = annotation(pod, "prometheus.io/port");
    char *end;
    if (!*text)
        return 0;
    long port = strtol(text, &end, 10);
    return *end || text[0] == '+' || text[0] == ' ' || port < 1 || port > UINT16_MAX ? -EINVAL : (int)port;
}

/* Whose port it is: the container that declares it, or the only one there is; NULL: unknown. */
static const char *container_of_port(const struct assignment_pod *pod, const struct podlist_ports *ports,
                                     int port)
{
    for (size_t i = 0; i < ports->count; i++) {
        if (ports->items[i].number == port)
            return ports->items[i].container;
    }
    return pod->container_count == 1 ? pod->containers[0].name : NULL;
}

static void add_label(struct assignment_target *target, const char *name, const char *value, bool *ok)
{
    struct assignment_label *label = &target->labels[target->label_count];
    label->name = strdup(name);
    label->value = strdup(value);
    *ok = *ok && label->name && label->value;
    target->label_count++;
}

static void fill_labels(struct assignment_target *target, const struct assignment_pod *pod,
                        const char *container, bool *ok)
{
    target->labels = calloc(TARGET_LABELS, sizeof *target->labels);
    if (!target->labels) {
        *ok = false;
        return;
    }
    add_label(target, "namespace", pod->namespace, ok);
    add_label(target, "pod", pod->name, ok);
    add_label(target, "node", pod->node, ok);
    if (container)
        add_label(target, "container", container, ok);
}

static bool has_address(const struct assignment *assignment, size_t first, const char *address)
{
    for (size_t i = first; i < assignment->target_count; i++) {
        if (strcmp(assignment->targets[i].address, address) == 0)
            return true;
    }
    return false;
}

struct page { /* of a pod; all borrowed */
    const char *scheme, *path;
    size_t first; /* the assignment's targets from here on are this pod's */
};

static int add_target(const struct assignment_pod *pod, const struct page *page, int port,
                      const char *container, struct assignment *assignment)
{
    char address[ADDRESS_MAX], path[PATH_MAX_BYTES];
    const char *ip = pod->ips[0];
    snprintf(address, sizeof address, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip, port);
    snprintf(path, sizeof path, "%s%s", page->path[0] == '/' ? "" : "/", page->path);
    if (has_address(assignment, page->first, address))
        return 0; /* two containers that declare one port */
    struct assignment_target *more =
        realloc(assignment->targets, (assignment->target_count + 1) * sizeof *more);
    if (!more)
        return -ENOMEM;
    assignment->targets = more;
    struct assignment_target *target = &more[assignment->target_count++];
    *target = (struct assignment_target){
        .job = strdup(job), .scheme = strdup(page->scheme), .address = strdup(address), .path = strdup(path)};
    bool ok = target->job && target->scheme && target->address && target->path;
    fill_labels(target, pod, container, &ok);
    return ok ? 0 : -ENOMEM;
}

static int add_declared(const struct assignment_pod *pod, const struct podlist_ports *ports,
                        const struct page *page, struct assignment *assignment)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < ports->count; i++)
        err = add_target(pod, page, ports->items[i].number, ports->items[i].container, assignment);
    return err;
}

static void refuse(const struct assignment_pod *pod, const char *name, const char *right, struct buf *errors)
{
    buf_printf(errors, "pod %s/%s: annotation %s: \"%.60s\"; %s\n", pod->namespace, pod->name, name,
               annotation(pod, name), right);
}

int pod_targets_add(const struct assignment_pod *pod, const struct podlist_ports *ports,
                    struct assignment *assignment, struct buf *errors)
{
    if (!is_wanted(pod))
        return 0;
    struct page page = {annotation(pod, "prometheus.io/scheme"), annotation(pod, "prometheus.io/path"),
                        assignment->target_count};
    int port = annotated_port(pod);
    if (port < 0)
        return refuse(pod, "prometheus.io/port", "a number from 1 to 65535", errors), 0;
    if (!*page.path)
        page.path = "/metrics";
    if (!*page.scheme)
        page.scheme = "http";
    bool is_https = strcmp(page.scheme, "https") == 0;
    if (!is_https && strcmp(page.scheme, "http") != 0)
        return refuse(pod, "prometheus.io/scheme", "http or https", errors), 0;
    if (strlen(page.path) > PATH_MAX_BYTES - 2)
        return refuse(pod, "prometheus.io/path", "at most 2046 bytes", errors), 0;
    if (port == 0 && ports->count > 0)
        return add_declared(pod, ports, &page, assignment);
    if (port == 0)
        port = is_https ? 443 : 80;
    return add_target(pod, &page, port, container_of_port(pod, ports, port), assignment);
}
