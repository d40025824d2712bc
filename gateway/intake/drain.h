/* drain.h - how a gateway leaves (design rule 5): takes nothing more, sends what it can, hands the rest over,
 * says where it went.
 *
 *   RECEIVING --appends answered--> SENDING --nothing owed, or half the time gone--> HANDING_OVER --nothing
 * owed--> LEAVING --> done |                              | |
 *       '--- nobody to hand over to ---'---------------- the time is over ----------------'--> done
 *
 * Without peers, and for a reload, it ends after RECEIVING: the rows stay in the buffer. Loop thread only.
 */
#ifndef GATEWAY_DRAIN_H
#define GATEWAY_DRAIN_H

#include "gateway/config.h"
#include "gateway/web.h"

struct drain;

/* drain_new: starts. config and parts are borrowed; parts->fanout is stopped and set to NULL before a
 * hand-over. done(ctx) is called once; from inside this call when nothing was under way (*ret_drain is set by
 * then). 0 or -ENOMEM. */
int drain_new(const struct gateway_config *config, struct web_parts *parts, bool hands_over,
              void (*done)(void *ctx), void *ctx, struct drain **ret_drain);

/* drain_close: no callback after it; frees on the loop. NULL is fine. */
void drain_close(struct drain *drain);

#endif
