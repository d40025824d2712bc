/* assignment.h - what a gateway tells an agent of its node: pods (for labels and attributes) and targets to
 * scrape.
 *
 * Encoded and decoded as frames like those of wire.h. Pure functions, any thread.
 */
#ifndef PROTO_ASSIGNMENT_H
#define PROTO_ASSIGNMENT_H

#include "proto/wire.h"

struct assignment_label {
    char *name, *value; /* owned */
};
struct assignment_container {
    char *name, *image, *id; /* owned */
};
struct assignment_pod { /* all owned */
    char *namespace, *name, *uid, *node, *owner_kind, *owner_name, *deployment, *phase;
    char **ips;
    size_t ip_count;
    struct assignment_label *labels, *annotations;
    size_t label_count, annotation_count;
    struct assignment_container *containers;
    size_t container_count;
};
struct assignment_target { /* all owned */
    char *job, *scheme, *address, *path;
    uint32_t interval_ms, timeout_ms;
    struct assignment_label *labels;
    size_t label_count;
};
struct assignment {
    enum wire_answer answer;
    uint64_t version;
    bool unchanged;
    struct assignment_pod *pods; /* owned */
    size_t pod_count;
    struct assignment_target *targets; /* owned */
    size_t target_count;
};
void assignment_fini(struct assignment *assignment);

struct assignment_request {
    char origin[BATCH_MAX_ORIGIN + 1];
    char node[BATCH_MAX_ORIGIN + 1];
    uint64_t version;
};

int assignment_encode(const struct assignment *assignment, struct buf *out);
int assignment_decode(struct bytes frame, struct assignment *ret_assignment);
int assignment_encode_request(const struct assignment_request *request, struct buf *out);
int assignment_decode_request(struct bytes frame, struct assignment_request *ret_request);

#endif
