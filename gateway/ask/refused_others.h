/* refused_others.h - what an operator asked about refused records, asked of the other gateways too.
 *
 * GET or POST /refused/others?action=list|show|retry|drop, with the filters of refused.h: a stream of lines
 * as a job's (job.h), one gateway after the other, "end STATUS" last. A gateway that does not answer is
 * named. STATUS is 1 when something failed there, and, but for list, when one did not answer. An id asks its
 * own gateway; a number alone is ours, and nobody is asked. Loop thread only.
 */
#ifndef GATEWAY_REFUSED_OTHERS_H
#define GATEWAY_REFUSED_OTHERS_H

#include "base/http/control.h"
#include "base/loop.h"
#include "gateway/ask/replicas.h"
#include "gateway/config.h"

struct refused_others;

/* refused_others_new: all is borrowed. 0, -ENOMEM. */
int refused_others_new(struct loop *loop, struct control *control, const struct gateway_config *config,
                       struct replicas *replicas, struct refused_others **ret_others);

/* refused_others_close: after replicas_close; frees on the loop. NULL is fine. */
void refused_others_close(struct refused_others *others);

#endif
