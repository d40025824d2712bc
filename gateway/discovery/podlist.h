/* podlist.h - a Kubernetes PodList as JSON, as the pods that an assignment tells of.
 *
 * Source: the Kubernetes API's core/v1 PodList (also "List" of pods, as kubectl prints it). Taken of a pod:
 * name, namespace, uid, node, labels, annotations (not kubectl's last-applied-configuration, which repeats
 * the pod), addresses, the controller that owns it, its Deployment (the owning ReplicaSet's name without the
 * pod-template-hash), phase, its containers (init and ephemeral ones too, because they log) and the ports
 * that they declare. Pods that are on no node yet are left out. Pure functions, any thread.
 */
#ifndef GATEWAY_PODLIST_H
#define GATEWAY_PODLIST_H

#include "base/buf.h"
#include "proto/assignment.h"

struct podlist_port {
    const char *container; /* borrowed from the pod's containers */
    uint16_t number;
};
struct podlist_ports {
    struct podlist_port *items; /* owned */
    size_t count;
};

struct podlist {
    struct assignment_pod *pods; /* owned; sorted by node, namespace, name */
    struct podlist_ports *ports; /* owned; of each pod, TCP only, in the order of the pod's specification */
    size_t count;
};

/* podlist_parse: 0 with *ret_list; -EINVAL with "NAME:LINE:COLUMN: what" (not JSON) or "NAME: where: what" in
 * errors; -ENOMEM. */
int podlist_parse(const char *name, struct bytes text, struct podlist *ret_list, struct buf *errors);

void podlist_fini(struct podlist *list);

#endif
