/* homes_watch.h - tells fan-out every second which agents are at this gateway (homes.h). */
#ifndef GATEWAY_HOMES_WATCH_H
#define GATEWAY_HOMES_WATCH_H

#include "base/loop.h"
#include "gateway/fanout/fanout.h"
#include "gateway/intake/receive.h"

/* An agent that was not heard of for so long is not here: its scrapes go once a minute at least. */
enum { HOMES_WATCH_MS = 1000, HOMES_WATCH_GONE_MS = 90 * 1000 };

struct homes_watch;

/* homes_watch_new: receive and fanout are borrowed until homes_watch_close. 0 or -ENOMEM. Loop thread. */
int homes_watch_new(struct loop *loop, const struct receive *receive, struct fanout *fanout,
                    struct homes_watch **ret_watch);

/* homes_watch_close: frees on the loop. NULL is fine. */
void homes_watch_close(struct homes_watch *watch);

#endif
