/* assignment.c - target assignments and the request for one. */
#include "proto/assignment.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/text.h"
#include "proto/tributary.pb-c.h"

/* ---- encoding. protobuf-c wants arrays of pointers to messages; all of them live in one arena for the call.
 */

struct arena_block {
    struct arena_block *next; /* owned */
    max_align_t bytes[];
};
struct arena {
    struct arena_block *blocks; /* owned */
    bool is_out;                /* an allocation failed; checked once, at the end */
};

static void *arena_get(struct arena *arena, size_t count, size_t size)
{
    struct arena_block *block = calloc(1, sizeof *block + count * size + 1);
    if (!block) {
        arena->is_out = true;
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return block->bytes;
}

static void arena_fini(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

static Tributary__Label **put_labels(struct arena *arena, const struct assignment_label *labels,
                                     size_t *count)
{
    Tributary__Label **at = arena_get(arena, *count, sizeof *at);
    Tributary__Label *all = arena_get(arena, *count, sizeof *all);
    if (!at || !all) {
        *count = 0;
        return NULL;
    }
    for (size_t i = 0; i < *count; i++) {
        tributary__label__init(at[i] = &all[i]);
        all[i].name = labels[i].name;
        all[i].value = labels[i].value;
    }
    return at;
}

static Tributary__PodContainer **put_containers(struct arena *arena, const struct assignment_pod *pod,
                                                size_t *ret_count)
{
    size_t count = pod->container_count;
    Tributary__PodContainer **at = arena_get(arena, count, sizeof *at);
    Tributary__PodContainer *all = arena_get(arena, count, sizeof *all);
    *ret_count = at && all ? count : 0;
    for (size_t i = 0; i < *ret_count; i++) {
        tributary__pod_container__init(at[i] = &all[i]);
        all[i].name = pod->containers[i].name;
        all[i].image = pod->containers[i].image;
        all[i].id = pod->containers[i].id;
    }
    return at;
}

static void put_pod(struct arena *arena, const struct assignment_pod *pod, Tributary__Pod *message)
{
    tributary__pod__init(message);
    message->namespace_ = pod->namespace;
    message->name = pod->name;
    message->uid = pod->uid;
    message->node = pod->node;
    message->owner_kind = pod->owner_kind;
    message->owner_name = pod->owner_name;
    message->deployment = pod->deployment;
    message->phase = pod->phase;
    message->ips = pod->ips;
    message->n_ips = pod->ip_count;
    message->n_labels = pod->label_count;
    message->labels = put_labels(arena, pod->labels, &message->n_labels);
    message->n_annotations = pod->annotation_count;
    message->annotations = put_labels(arena, pod->annotations, &message->n_annotations);
    message->containers = put_containers(arena, pod, &message->n_containers);
}

static void put_target(struct arena *arena, const struct assignment_target *target,
                       Tributary__Target *message)
{
    tributary__target__init(message);
    message->job = target->job;
    message->scheme = target->scheme;
    message->address = target->address;
    message->path = target->path;
    message->interval_ms = target->interval_ms;
    message->timeout_ms = target->timeout_ms;
    message->n_labels = target->label_count;
    message->labels = put_labels(arena, target->labels, &message->n_labels);
}

static void put_lists(struct arena *arena, const struct assignment *assignment,
                      Tributary__Assignment *message)
{
    Tributary__Pod *pods = arena_get(arena, assignment->pod_count, sizeof *pods);
    Tributary__Target *targets = arena_get(arena, assignment->target_count, sizeof *targets);
    message->pods = arena_get(arena, assignment->pod_count, sizeof *message->pods);
    message->targets = arena_get(arena, assignment->target_count, sizeof *message->targets);
    if (arena->is_out)
        return;
    message->n_pods = assignment->pod_count;
    message->n_targets = assignment->target_count;
    for (size_t i = 0; i < message->n_pods; i++)
        put_pod(arena, &assignment->pods[i], message->pods[i] = &pods[i]);
    for (size_t i = 0; i < message->n_targets; i++)
        put_target(arena, &assignment->targets[i], message->targets[i] = &targets[i]);
}

int assignment_encode(const struct assignment *assignment, struct buf *out)
{
    Tributary__Assignment message = TRIBUTARY__ASSIGNMENT__INIT;
    struct arena arena = {0};
    message.answer = (Tributary__Answer)assignment->answer;
    message.version = assignment->version;
    message.unchanged = assignment->unchanged;
    if (!assignment->unchanged)
        put_lists(&arena, assignment, &message);
    int err = arena.is_out ? -ENOMEM : frame_put(WIRE_ASSIGNMENT, &message.base, out);
    arena_fini(&arena);
    return err;
}

/* ---- decoding */

/* Copies a string; "" for none. Tells failure once, through *ok. */
static char *copy(const char *s, bool *ok)
{
    char *copied = strdup(s ? s : "");
    if (!copied)
        *ok = false;
    return copied;
}

/* An array of count zeroed elements, NULL for none. */
static void *array(size_t count, size_t size, bool *ok)
{
    void *made = count ? calloc(count, size) : NULL;
    if (count && !made)
        *ok = false;
    return made;
}

static struct assignment_label *get_labels(Tributary__Label *const *from, size_t count, size_t *ret_count,
                                           bool *ok)
{
    struct assignment_label *labels = array(count, sizeof *labels, ok);
    *ret_count = labels ? count : 0;
    for (size_t i = 0; i < *ret_count; i++)
        labels[i] = (struct assignment_label){copy(from[i]->name, ok), copy(from[i]->value, ok)};
    return labels;
}

static void get_containers(const Tributary__Pod *from, struct assignment_pod *pod, bool *ok)
{
    pod->containers = array(from->n_containers, sizeof *pod->containers, ok);
    pod->container_count = pod->containers ? from->n_containers : 0;
    for (size_t i = 0; i < pod->container_count; i++) {
        const Tributary__PodContainer *c = from->containers[i];
        pod->containers[i] =
            (struct assignment_container){copy(c->name, ok), copy(c->image, ok), copy(c->id, ok)};
    }
}

static void get_pod(const Tributary__Pod *from, struct assignment_pod *pod, bool *ok)
{
    pod->namespace = copy(from->namespace_, ok);
    pod->name = copy(from->name, ok);
    pod->uid = copy(from->uid, ok);
    pod->node = copy(from->node, ok);
    pod->owner_kind = copy(from->owner_kind, ok);
    pod->owner_name = copy(from->owner_name, ok);
    pod->deployment = copy(from->deployment, ok);
    pod->phase = copy(from->phase, ok);
    pod->ips = array(from->n_ips, sizeof *pod->ips, ok);
    pod->ip_count = pod->ips ? from->n_ips : 0;
    for (size_t i = 0; i < pod->ip_count; i++)
        pod->ips[i] = copy(from->ips[i], ok);
    pod->labels = get_labels(from->labels, from->n_labels, &pod->label_count, ok);
    pod->annotations = get_labels(from->annotations, from->n_annotations, &pod->annotation_count, ok);
    get_containers(from, pod, ok);
}

static void get_target(const Tributary__Target *from, struct assignment_target *target, bool *ok)
{
    target->job = copy(from->job, ok);
    target->scheme = copy(from->scheme, ok);
    target->address = copy(from->address, ok);
    target->path = copy(from->path, ok);
    target->interval_ms = from->interval_ms;
    target->timeout_ms = from->timeout_ms;
    target->labels = get_labels(from->labels, from->n_labels, &target->label_count, ok);
}

static bool get_assignment(const Tributary__Assignment *from, struct assignment *assignment)
{
    bool ok = true;
    bool is_known =
        from->answer > TRIBUTARY__ANSWER__ANSWER_UNKNOWN && from->answer <= TRIBUTARY__ANSWER__DRAINING;
    *assignment = (struct assignment){
        .answer = is_known ? (enum wire_answer)from->answer : WIRE_UNKNOWN,
        .version = from->version,
        .unchanged = from->unchanged,
    };
    assignment->pods = array(from->n_pods, sizeof *assignment->pods, &ok);
    assignment->pod_count = assignment->pods ? from->n_pods : 0;
    for (size_t i = 0; i < assignment->pod_count; i++)
        get_pod(from->pods[i], &assignment->pods[i], &ok);
    assignment->targets = array(from->n_targets, sizeof *assignment->targets, &ok);
    assignment->target_count = assignment->targets ? from->n_targets : 0;
    for (size_t i = 0; i < assignment->target_count; i++)
        get_target(from->targets[i], &assignment->targets[i], &ok);
    return ok;
}

int assignment_decode(struct bytes frame, struct assignment *ret_assignment)
{
    ProtobufCMessage *message;
    struct assignment assignment;
    int err = frame_get(frame, WIRE_ASSIGNMENT, &tributary__assignment__descriptor, &message);
    if (err < 0)
        return err;
    if (!get_assignment((const Tributary__Assignment *)message, &assignment)) {
        assignment_fini(&assignment);
        err = -ENOMEM;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    if (err == 0)
        *ret_assignment = assignment;
    return err;
}

static void free_labels(struct assignment_label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(labels[i].name);
        free(labels[i].value);
    }
    free(labels);
}

static void free_pod(struct assignment_pod *pod)
{
    char *const strings[] = {pod->namespace,  pod->name,       pod->uid,        pod->node,
                             pod->owner_kind, pod->owner_name, pod->deployment, pod->phase};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free(strings[i]);
    for (size_t i = 0; i < pod->ip_count; i++)
        free(pod->ips[i]);
    free(pod->ips);
    free_labels(pod->labels, pod->label_count);
    free_labels(pod->annotations, pod->annotation_count);
    for (size_t i = 0; i < pod->container_count; i++) {
        free(pod->containers[i].name);
        free(pod->containers[i].image);
        free(pod->containers[i].id);
    }
    free(pod->containers);
}

static void free_target(struct assignment_target *target)
{
    free(target->job);
    free(target->scheme);
    free(target->address);
    free(target->path);
    free_labels(target->labels, target->label_count);
}

void assignment_fini(struct assignment *assignment)
{
    for (size_t i = 0; i < assignment->pod_count; i++)
        free_pod(&assignment->pods[i]);
    for (size_t i = 0; i < assignment->target_count; i++)
        free_target(&assignment->targets[i]);
    free(assignment->pods);
    free(assignment->targets);
    *assignment = (struct assignment){0};
}

/* ---- the request */

int assignment_encode_request(const struct assignment_request *request, struct buf *out)
{
    Tributary__AssignmentRequest message = TRIBUTARY__ASSIGNMENT_REQUEST__INIT;
    message.origin = (char *)request->origin;
    message.node = (char *)request->node;
    message.version = request->version;
    return frame_put(WIRE_ASSIGNMENT_REQUEST, &message.base, out);
}

int assignment_decode_request(struct bytes frame, struct assignment_request *ret_request)
{
    ProtobufCMessage *unpacked;
    int err =
        frame_get(frame, WIRE_ASSIGNMENT_REQUEST, &tributary__assignment_request__descriptor, &unpacked);
    if (err < 0)
        return err;
    const Tributary__AssignmentRequest *message = (const Tributary__AssignmentRequest *)unpacked;
    struct assignment_request request = {.version = message->version};
    if (!text_is_name(message->origin, BATCH_MAX_ORIGIN) || !text_is_name(message->node, BATCH_MAX_ORIGIN))
        err = -EINVAL;
    if (err == 0)
        err = frame_copy(request.origin, sizeof request.origin, message->origin);
    if (err == 0)
        err = frame_copy(request.node, sizeof request.node, message->node);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    if (err == 0)
        *ret_request = request;
    return err;
}
