/* podlist.c - the only file that knows jansson. */
#include "gateway/discovery/podlist.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const left_out_annotations[] = {"kubectl.kubernetes.io/last-applied-configuration", NULL};

struct parse {
    const char *name; /* the file's */
    struct buf *errors;
    bool is_out; /* an allocation failed; checked once, at the end */
};

/* ---- reading JSON: what is missing or of another type reads as empty */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *pod_text(const json_t *pod, const char *section, const char *key)
{
    return text_of(json_object_get(pod, section), key);
}

static void *allocate(struct parse *parse, size_t count, size_t size)
{
    void *room = calloc(count ? count : 1, size);
    if (!room)
        parse->is_out = true;
    return room;
}

static char *copy(struct parse *parse, const char *text)
{
    char *copied = strdup(text);
    if (!copied)
        parse->is_out = true;
    return copied;
}

/* ---- a pod */

static bool is_left_out(const char *key)
{
    for (size_t i = 0; left_out_annotations[i]; i++) {
        if (strcmp(left_out_annotations[i], key) == 0)
            return true;
    }
    return false;
}

static int by_label_name(const void *a, const void *b)
{
    return strcmp(((const struct assignment_label *)a)->name, ((const struct assignment_label *)b)->name);
}

/* An object of strings, sorted by key. */
static struct assignment_label *take_labels(struct parse *parse, json_t *object, size_t *ret_count)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    struct assignment_label *labels = allocate(parse, json_object_size(object), sizeof *labels);
    if (!labels)
        return NULL;
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value) || is_left_out(key))
            continue;
        labels[count].name = copy(parse, key);
        labels[count].value = copy(parse, json_string_value(value));
        *ret_count = ++count;
        if (parse->is_out)
            return labels;
    }
    qsort(labels, count, sizeof *labels, by_label_name);
    return labels;
}

static void take_ips(struct parse *parse, const json_t *status, struct assignment_pod *pod)
{
    const json_t *ips = json_object_get(status, "podIPs");
    const char *single = text_of(status, "podIP");
    size_t count = json_array_size(ips);
    pod->ips = allocate(parse, count + 1, sizeof *pod->ips);
    for (size_t i = 0; pod->ips && i < count; i++) {
        const char *ip = text_of(json_array_get(ips, i), "ip");
        if (*ip)
            pod->ips[pod->ip_count++] = copy(parse, ip);
    }
    if (pod->ips && pod->ip_count == 0 && *single)
        pod->ips[pod->ip_count++] = copy(parse, single);
}

static const json_t *controller_of(const json_t *metadata)
{
    const json_t *owners = json_object_get(metadata, "ownerReferences");
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        if (json_is_true(json_object_get(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* "web-5787c97cf5" of a ReplicaSet whose pods have that hash as a label: "web"; else "". */
static char *deployment_of(struct parse *parse, const json_t *metadata, const char *kind, const char *owner)
{
    const char *hash = text_of(json_object_get(metadata, "labels"), "pod-template-hash");
    size_t owner_len = strlen(owner), hash_len = strlen(hash);
    char *name = copy(parse, owner);
    if (!name)
        return NULL;
    bool ends_in_hash = hash_len > 0 && owner_len > hash_len + 1 && owner[owner_len - hash_len - 1] == '-' &&
                        strcmp(owner + owner_len - hash_len, hash) == 0;
    name[strcmp(kind, "ReplicaSet") == 0 && ends_in_hash ? owner_len - hash_len - 1 : 0] = '\0';
    return name;
}

static void take_owner(struct parse *parse, const json_t *metadata, struct assignment_pod *pod)
{
    const json_t *owner = controller_of(metadata);
    const char *kind = text_of(owner, "kind"), *name = text_of(owner, "name");
    pod->owner_kind = copy(parse, kind);
    pod->owner_name = copy(parse, name);
    pod->deployment = deployment_of(parse, metadata, kind, name);
}

/* The id that the status of this kind ("containerStatuses") gives a container, without "containerd://". */
static const char *container_id(const json_t *status, const char *statuses_key, const char *name)
{
    const json_t *statuses = json_object_get(status, statuses_key);
    for (size_t i = 0; i < json_array_size(statuses); i++) {
        const json_t *one = json_array_get(statuses, i);
        if (strcmp(text_of(one, "name"), name) != 0)
            continue;
        const char *id = text_of(one, "containerID"), *after = strstr(id, "://");
        return after ? after + 3 : id;
    }
    return "";
}

static void take_ports(struct parse *parse, const json_t *container, const char *name,
                       struct podlist_ports *ports)
{
    const json_t *declared = json_object_get(container, "ports");
    size_t count = json_array_size(declared);
    struct podlist_port *more = realloc(ports->items, (ports->count + count + 1) * sizeof *more);
    if (!more) {
        parse->is_out = true;
        return;
    }
    ports->items = more;
    for (size_t i = 0; i < count; i++) {
        const json_t *port = json_array_get(declared, i);
        const char *protocol = text_of(port, "protocol");
        json_int_t number = json_integer_value(json_object_get(port, "containerPort"));
        if (number >= 1 && number <= UINT16_MAX && (!*protocol || strcmp(protocol, "TCP") == 0))
            ports->items[ports->count++] = (struct podlist_port){name, (uint16_t)number};
    }
}

/* The kinds of containers: where they are specified, where their state is, and whether their ports may be
 * scraped (an init container that keeps running is a sidecar). */
static const struct {
    const char *spec, *statuses;
    bool needs_restart;
} container_kinds[] = {
    {"containers", "containerStatuses", false},
    {"initContainers", "initContainerStatuses", true},
    {"ephemeralContainers", "ephemeralContainerStatuses", true},
};
enum { CONTAINER_KINDS = sizeof container_kinds / sizeof container_kinds[0] };

static size_t count_containers(const json_t *spec)
{
    size_t count = 0;
    for (size_t kind = 0; kind < CONTAINER_KINDS; kind++)
        count += json_array_size(json_object_get(spec, container_kinds[kind].spec));
    return count;
}

static void take_containers(struct parse *parse, const json_t *spec, const json_t *status, size_t kind,
                            struct assignment_pod *pod, struct podlist_ports *ports)
{
    const json_t *containers = json_object_get(spec, container_kinds[kind].spec);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *from = json_array_get(containers, i);
        const char *name = text_of(from, "name");
        struct assignment_container *to = &pod->containers[pod->container_count++];
        to->name = copy(parse, name);
        to->image = copy(parse, text_of(from, "image"));
        to->id = copy(parse, container_id(status, container_kinds[kind].statuses, name));
        if (!container_kinds[kind].needs_restart || strcmp(text_of(from, "restartPolicy"), "Always") == 0)
            take_ports(parse, from, to->name, ports);
    }
}

static void take_pod(struct parse *parse, const json_t *item, struct assignment_pod *pod,
                     struct podlist_ports *ports)
{
    const json_t *metadata = json_object_get(item, "metadata"), *spec = json_object_get(item, "spec"),
                 *status = json_object_get(item, "status");
    pod->namespace = copy(parse, text_of(metadata, "namespace"));
    pod->name = copy(parse, text_of(metadata, "name"));
    pod->uid = copy(parse, text_of(metadata, "uid"));
    pod->node = copy(parse, text_of(spec, "nodeName"));
    pod->phase = copy(parse, text_of(status, "phase"));
    pod->labels = take_labels(parse, json_object_get(metadata, "labels"), &pod->label_count);
    pod->annotations = take_labels(parse, json_object_get(metadata, "annotations"), &pod->annotation_count);
    take_owner(parse, metadata, pod);
    take_ips(parse, status, pod);
    pod->containers = allocate(parse, count_containers(spec), sizeof *pod->containers);
    for (size_t kind = 0; pod->containers && kind < CONTAINER_KINDS; kind++)
        take_containers(parse, spec, status, kind, pod, ports);
}

/* ---- the list */

static int compare_text(const json_t *a, const json_t *b, const char *section, const char *key)
{
    return strcmp(pod_text(a, section, key), pod_text(b, section, key));
}

static int by_node_and_name(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = compare_text(left, right, "spec", "nodeName");
    if (order == 0)
        order = compare_text(left, right, "metadata", "namespace");
    return order ? order : compare_text(left, right, "metadata", "name");
}

static int check_item(struct parse *parse, const json_t *item, size_t i)
{
    static const char *const required[] = {"namespace", "name", "uid"};
    if (!json_is_object(item))
        return buf_printf(parse->errors, "%s: items[%zu]: no pod; an object is expected\n", parse->name, i),
               -EINVAL;
    for (size_t k = 0; k < sizeof required / sizeof required[0]; k++) {
        if (!*pod_text(item, "metadata", required[k]))
            return buf_printf(parse->errors, "%s: items[%zu].metadata.%s: missing\n", parse->name, i,
                              required[k]),
                   -EINVAL;
    }
    return 0;
}

/* The pods that are on a node, sorted; borrowed from items. */
static int select_pods(struct parse *parse, const json_t *items, json_t **selected, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        int err = check_item(parse, item, i);
        if (err < 0)
            return err;
        if (*pod_text(item, "spec", "nodeName"))
            selected[count++] = item;
    }
    qsort(selected, count, sizeof *selected, by_node_and_name);
    *ret_count = count;
    return 0;
}

static int take_items(struct parse *parse, const json_t *items, struct podlist *list)
{
    size_t count = 0;
    json_t **selected = allocate(parse, json_array_size(items), sizeof(json_t *));
    int err = selected ? select_pods(parse, items, selected, &count) : -ENOMEM;
    if (err == 0) {
        list->pods = allocate(parse, count, sizeof *list->pods);
        list->ports = allocate(parse, count, sizeof *list->ports);
        list->count = list->pods && list->ports ? count : 0;
    }
    for (size_t i = 0; err == 0 && !parse->is_out && i < list->count; i++)
        take_pod(parse, selected[i], &list->pods[i], &list->ports[i]);
    free(selected);
    return parse->is_out ? -ENOMEM : err;
}

static int check_root(struct parse *parse, const json_t *root)
{
    const char *kind = text_of(root, "kind");
    if (strcmp(kind, "PodList") != 0 && strcmp(kind, "List") != 0)
        return buf_printf(parse->errors, "%s: kind: \"%.60s\"; a PodList is expected\n", parse->name, kind),
               -EINVAL;
    if (!json_is_array(json_object_get(root, "items")))
        return buf_printf(parse->errors, "%s: items: missing; an array of pods is expected\n", parse->name),
               -EINVAL;
    return 0;
}

int podlist_parse(const char *name, struct bytes text, struct podlist *ret_list, struct buf *errors)
{
    struct parse parse = {.name = name, .errors = errors};
    struct podlist list = {0};
    json_error_t error;
    json_t *root = json_loadb(text.ptr ? (const char *)text.ptr : "", text.len, 0, &error);
    if (!root)
        return buf_printf(errors, "%s:%d:%d: not JSON: %s\n", name, error.line, error.column, error.text),
               -EINVAL;
    int err = check_root(&parse, root);
    if (err == 0)
        err = take_items(&parse, json_object_get(root, "items"), &list);
    json_decref(root);
    if (err < 0)
        podlist_fini(&list);
    else
        *ret_list = list;
    return err;
}

void podlist_fini(struct podlist *list)
{
    struct assignment pods = {.pods = list->pods, .pod_count = list->count};
    for (size_t i = 0; list->ports && i < list->count; i++)
        free(list->ports[i].items);
    free(list->ports);
    assignment_fini(&pods);
    *list = (struct podlist){0};
}
