/* senders.h - which pod an OTLP sender's address belongs to, as resource attributes.
 *
 * From the pods of an assignment. The attributes are OpenTelemetry's (semantic conventions,
 * Kubernetes): k8s.namespace.name, k8s.pod.name, k8s.pod.uid, k8s.node.name, k8s.container.name when the pod
 * has one container only, k8s.deployment.name where known. They are encoded once an assignment. An address
 * that several pods have (those on the host's network) or that is not a running pod's says nothing. Loop
 * thread only.
 */
#ifndef PROTO_SENDERS_H
#define PROTO_SENDERS_H

#include "base/buf.h"
#include "proto/assignment.h"

struct senders {
    struct sender *items; /* owned; sorted by address */
    size_t count;
    struct buf attributes; /* of all of them */
};

/* senders_init: knows nobody. senders_fini: frees. */
void senders_init(struct senders *senders);
void senders_fini(struct senders *senders);

/* senders_set: knows the pods of the assignment and nobody else. 0, or -ENOMEM or -EMSGSIZE: then nobody. */
int senders_set(struct senders *senders, const struct assignment *assignment);

/* senders_find: the attributes (Resource.attributes, one after the other) of the pod at host, as an address
 * in text; nothing when it is not known. Borrowed until senders_set. */
struct bytes senders_find(const struct senders *senders, const char *host);

#endif
