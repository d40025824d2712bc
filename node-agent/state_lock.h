/* state_lock.h - at most one agent at a time reads and collects for a node: who holds FOLDER/lock.
 *
 * Two agents share a node's state folder while one replaces the other. The lock is flock(2) on that file, so
 * it holds across containers that mount the folder, and the kernel lets go of it when its holder dies,
 * however that happens. Who does not get it tries again every STATE_LOCK_RETRY_MS. Loop thread only.
 */
#ifndef NODE_AGENT_STATE_LOCK_H
#define NODE_AGENT_STATE_LOCK_H

#include <stdbool.h>
#include <uv.h>

enum { STATE_LOCK_RETRY_MS = 50 };

struct state_lock;

/* state_lock_new: makes the folder when it is missing, and tries at once; when another process holds the
 * lock, taken(ctx) is called later, when it is ours. 0 with *ret_lock, or a negative errno (the folder cannot
 * be made or written to). */
int state_lock_new(uv_loop_t *loop, const char *folder, void (*taken)(void *ctx), void *ctx,
                   struct state_lock **ret_lock);

bool state_lock_is_held(const struct state_lock *lock);

/* state_lock_close: lets go of it; taken is not called any more; frees asynchronously on the loop. NULL is
 * fine. */
void state_lock_close(struct state_lock *lock);

#endif
