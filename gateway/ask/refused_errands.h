/* refused_errands.h - the work over our refused records that an operator asked another gateway for: answers
 * QUESTION_REFUSED (proto/question.h).
 *
 * Only gateways are served: who asks must have the address of one of config->peers. At most REFUSED_ERRANDS
 * at once; one that nobody asks about for REFUSED_ERRAND_MS ends, with what it has done. The steps run on
 * libuv's thread pool. Loop thread only.
 */
#ifndef GATEWAY_REFUSED_ERRANDS_H
#define GATEWAY_REFUSED_ERRANDS_H

#include "base/loop.h"
#include "gateway/ask/refused_work.h"
#include "gateway/ask/replicas.h"

enum { REFUSED_ERRANDS = 4, REFUSED_ERRAND_MS = 10000 };

struct refused_errands;

/* refused_errands_new: all is borrowed; the buffers must stay open until the loop has ended. 0, -ENOMEM. */
int refused_errands_new(struct loop *loop, const struct gateway_config *config,
                        struct buffer *const buffers[TELEMETRY_COUNT], struct replicas *replicas,
                        struct refused_errands **ret_errands);

/* refused_errands_tell: answers one question, as receive_on_question wants it. */
int refused_errands_tell(void *ctx, const struct receive_question *asked);

/* refused_errands_close: cancels all; frees when the last step has ended, on the loop. NULL is fine. */
void refused_errands_close(struct refused_errands *errands);

#endif
