/* pods.h - what every node's agent is told of its pods, from a file with a PodList (pod_metadata_file).
 *
 * The file is looked at every second and read again when it is another one (by device, inode, size and time,
 * through symlinks: a ConfigMap's swap included). A file that cannot be read is logged with its place and
 * changes nothing: the last good one stays. An assignment's version is a hash of what that node is told, so
 * it changes exactly when that does. Loop thread only; a file of PODS_MAX_FILE bytes at most is read and
 * parsed on it.
 */
#ifndef GATEWAY_PODS_H
#define GATEWAY_PODS_H

#include "base/loop.h"
#include "gateway/intake/receive.h"

enum { PODS_MAX_FILE = 16 << 20 };

struct pods;

/* pods_new: reads path at once (copied; "" or NULL: no file, nothing is known) and watches it. A file that is
 * missing or bad is logged and awaited. 0 or a negative errno. */
int pods_new(struct loop *loop, const char *path, struct pods **ret_pods);

/* pods_assignments: the callbacks for receive_new(); valid until pods_close(). */
struct receive_assignments pods_assignments(struct pods *pods);

/* pods_keep_senders: from now on addresses are kept, for pods_find_sender. */
void pods_keep_senders(struct pods *pods);

/* pods_find_sender: the Kubernetes attributes of the pod at host, whatever its node, as senders_find says. */
struct bytes pods_find_sender(const struct pods *pods, const char *host);

/* pods_close: frees (on the loop). NULL is fine. */
void pods_close(struct pods *pods);

#endif
