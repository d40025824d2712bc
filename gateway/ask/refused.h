/* refused.h - the records that backends refused, over the control socket.
 *
 *   GET  /refused        what is kept, a line each        POST /refused/retry  posts each again by itself
 *   GET  /refused/show   the same with their records      POST /refused/drop   forgets them
 *
 * each with format=json: an object a line (of /refused/show followed by its records, as tap prints them), and
 * one with the counts at the end. source is where the first of its records came from (record_source.h).
 *
 * of this gateway; of the others: refused_others.h.
 *
 * with backend=, signal=, cause=, origin=, id= (refused_id.h; all must match). A record that is taken at a
 * retry leaves its cause in the ledger for delivered; of one that is dropped only the count stays, under its
 * cause.
 */
#ifndef GATEWAY_REFUSED_H
#define GATEWAY_REFUSED_H

#include "base/buffer/buffer.h"
#include "base/http/control.h"
#include "gateway/ask/job.h"
#include "gateway/ask/replicas.h"
#include "gateway/config.h"

struct refused;

/* refused_new: all is borrowed; the buffers must stay open until the loop has ended. 0, -ENOMEM. */
int refused_new(struct loop *loop, struct control *control, struct jobs *jobs,
                const struct gateway_config *config, struct buffer *const buffers[TELEMETRY_COUNT],
                struct receive *receive, struct replicas *replicas, struct refused **ret_refused);

/* refused_close: after jobs_close and replicas_close; its jobs may still end. NULL is fine. */
void refused_close(struct refused *refused);

#endif
