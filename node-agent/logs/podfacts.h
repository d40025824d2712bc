/* podfacts.h - what the gateway's assignment tells of this node's pods, as far as logs need it: chosen labels
 * and annotations.
 *
 * Only the names that were asked for are kept, and pods that have none of them are not. A pod is found by the
 * uid in its log's path; a static pod's path has its configuration's hash instead, which its mirror carries
 * as the annotation kubernetes.io/config.hash. At most PODFACTS_MAX pods. Loop thread only.
 */
#ifndef NODE_AGENT_PODFACTS_H
#define NODE_AGENT_PODFACTS_H

#include "base/conf/conf.h"
#include "node-agent/logs/podpath.h"
#include "proto/assignment.h"

#define PODFACTS_EXCLUDE "tributary.io/exclude"
enum { PODFACTS_MAX = 4096, PODFACTS_MAX_WANTED = 256 };

struct podfacts;

struct podfacts_pod {              /* of what was asked for */
    char *uid, *hash;              /* owned; hash: "" unless a static pod */
    struct conf_pair *labels;      /* owned, strings too */
    struct conf_pair *annotations; /* owned, strings too */
    size_t label_count, annotation_count;
};

int podfacts_new(struct podfacts **ret_facts);
void podfacts_free(struct podfacts *facts); /* NULL is fine */

/* podfacts_want_label, podfacts_want_annotation: names (borrowed) that will be asked for; before
 * podfacts_set.
 */
void podfacts_want_label(struct podfacts *facts, const char *name);
void podfacts_want_annotation(struct podfacts *facts, const char *name);

/* podfacts_set: takes over what is told now in place of what was. True when anything changed. */
bool podfacts_set(struct podfacts *facts, const struct assignment *assignment);

/* podfacts_find: by the uid in a log's path; NULL: nothing is known of it. Borrowed until podfacts_set. */
const struct podfacts_pod *podfacts_find(const struct podfacts *facts, struct bytes uid);

/* podfacts_label, podfacts_annotation: the value, or NULL. pod may be NULL. */
const char *podfacts_label(const struct podfacts_pod *pod, const char *name);
const char *podfacts_annotation(const struct podfacts_pod *pod, const char *name);

#endif
