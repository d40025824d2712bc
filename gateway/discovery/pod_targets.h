/* pod_targets.h - which pages of a pod its annotations ask to have scraped.
 *
 * The rules of Prometheus' example configuration for pods (documentation/examples/prometheus-kubernetes.yml):
 *
 *   prometheus.io/scrape: "true"   the pod is scraped
 *   prometheus.io/port: "8080"     at this port; without it: at every TCP port that its containers declare,
 * and where none is declared at the scheme's own (80, 443) prometheus.io/path             /metrics when
 * absent prometheus.io/scheme           http when absent, or https
 *
 * Only pods that run and have an address are targets. Each target has the labels namespace, pod, node and,
 * where the port tells it, container; the job is integrations/kubernetes/pods; interval and timeout are left
 * to the agent (0). Pure functions, any thread.
 */
#ifndef GATEWAY_POD_TARGETS_H
#define GATEWAY_POD_TARGETS_H

#include "gateway/discovery/podlist.h"

/* pod_targets_add: appends the pod's targets to assignment->targets (heap memory that assignment_fini frees).
 * An annotation that makes no sense: no target, and a line with the reason in errors. 0 or -ENOMEM. */
int pod_targets_add(const struct assignment_pod *pod, const struct podlist_ports *ports,
                    struct assignment *assignment, struct buf *errors);

#endif
