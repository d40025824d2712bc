/* logs_entries.h - what stands with every log file that is followed, and with those under the root that are
 * not: for the command logs.
 *
 * Files that are not followed are found by walking the root when asked, and trying what the tail tried: so
 * nothing has to be remembered of them, and what is told is how it is now. Blocks on the file system as a
 * rescan does. Loop thread only.
 */
#ifndef NODE_AGENT_LOGS_ENTRIES_H
#define NODE_AGENT_LOGS_ENTRIES_H

#include "node-agent/logs/logs.h"
#include "node-agent/logs/tail.h"

enum { LOGS_WHY_LEN = 1536 };

struct logs_entry {
    struct bytes namespace, pod, container; /* empty where the path tells none */
    uint32_t restart;
    const char *path;
    const char *state;                               /* "live", "rotated", "deleted", "not read" */
    const char *format;                              /* "cri", "docker", "plain", "unknown" */
    uint64_t size, read, sent, committed, delivered; /* bytes of the file, or of what it unpacks to */
    double bytes_per_second;
    const struct log_tally *tally; /* NULL: not followed */
    const char *why;               /* what is wrong with it or holds it back; "" nothing */
};

typedef void logs_entry_fn(void *ctx, const struct logs_entry *entry);

struct logs_wanted { /* of "NAMESPACE/POD/CONTAINER"; empty: any */
    struct bytes namespace, pod, container;
};

/* logs_entries_parse: text is borrowed. 0 or -EINVAL. */
int logs_entries_parse(const char *text, struct logs_wanted *ret_wanted);

/* logs_entries_followed: calls fn for every file that is followed. */
void logs_entries_followed(const struct logs_standing *standing, const struct logs_wanted *wanted,
                           logs_entry_fn *fn, void *ctx);

/* logs_entries_missed: calls fn for every folder and log file that is not read, and why. *ret_pods: folders
 * of pods that the root has, *ret_others: other names in it. */
void logs_entries_missed(const struct logs_standing *standing, const struct logs_wanted *wanted,
                         logs_entry_fn *fn, void *ctx, size_t *ret_pods, size_t *ret_others);

#endif
