/* buffer_refusals.h - the refused records that the buffer keeps: bounded in bytes, the oldest go first and
 * are counted. Writer's thread, in a transaction. */
#ifndef BASE_BUFFER_REFUSALS_H
#define BASE_BUFFER_REFUSALS_H

#include "base/buffer/buffer_store.h"

/* In the table's column backend: no backend, the agent. */
enum { BUFFER_REFUSED_BY_AGENT = 0 };

/* buffer_refusals_keep: one record that the backend of that id did not take. */
int buffer_refusals_keep(struct buffer *buffer, int64_t backend, const struct buffer_refused *refused);

/* buffer_refusals_keep_agents: what the agent refused and tells with the batch. */
int buffer_refusals_keep_agents(struct buffer *buffer, const struct batch *batch);

/* buffer_refusals_change: what became of a kept record. -ENOENT before anything changed. */
int buffer_refusals_change(struct buffer *buffer, const struct buffer_refusal_change *change);

#endif
