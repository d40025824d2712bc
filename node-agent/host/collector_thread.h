/* collector_thread.h - a collector that asks other programs, on a thread of its own: whoever wants its
 * samples waits for them as long as he likes and no longer.
 *
 * What is said of threads below is of the caller's; he is one thread.
 */
#ifndef NODE_AGENT_COLLECTOR_THREAD_H
#define NODE_AGENT_COLLECTOR_THREAD_H

#include "node-agent/host/collector.h"

struct collector_thread;

/* collector_thread_new: state is what the collector's start returned; the thread owns it from here on, also
 * after an error. 0, -ENOMEM, -EAGAIN (no more threads). */
int collector_thread_new(const struct collector *collector, void *state,
                         struct collector_thread **ret_thread);

/* collector_thread_free: an update that is under way is left to itself: the thread frees what it has when it
 * comes back. NULL is fine. */
void collector_thread_free(struct collector_thread *thread);

/* collector_thread_begin: starts an update, unless the last one is still under way. */
void collector_thread_begin(struct collector_thread *thread);

/* collector_thread_end: waits for the update until that time (clock_mono_ns) and puts its samples. What
 * update returned, with how long it took; -ETIMEDOUT: it is still under way, and what it says later is
 * discarded. */
int collector_thread_end(struct collector_thread *thread, int64_t until_ns, struct metric_sink *sink,
                         int64_t *ret_ns);

#endif
