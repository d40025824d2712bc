/* discard_watch.h - reads every DISCARD_WATCH_MS, and when it is asked, what each backend says that it threw
 * away, on libuv's thread pool, as far as its /metrics can be read beside its URL. More than before is
 * logged. Loop thread only. */
#ifndef GATEWAY_DISCARD_WATCH_H
#define GATEWAY_DISCARD_WATCH_H

#include "base/loop.h"
#include "base/stats.h"
#include "gateway/ask/discarded.h"
#include "gateway/config.h"

enum { DISCARD_WATCH_MS = 60000, DISCARD_WATCH_GET_MS = 2000, DISCARD_WATCH_WAITERS = 16 };

struct discard_watch;

/* discard_watch_new: all is borrowed. 0, -ENOMEM. */
int discard_watch_new(struct loop *loop, const struct gateway_config *config, struct stats *stats,
                      struct discard_watch **ret_watch);

/* discard_watch_get: as it was read last; borrowed until the loop runs on. NULL: no such backend, or it was
 * not read yet. watch may be NULL. */
const struct discarded *discard_watch_get(const struct discard_watch *watch, enum telemetry signal,
                                          const char *backend);

/* discard_watch_refresh: reads all of them; ready(ctx, is_closed) when that is done, at most
 * DISCARD_WATCH_GET_MS later, perhaps from inside. is_closed: the watch is being closed, only ctx may be
 * touched. */
void discard_watch_refresh(struct discard_watch *watch, void (*ready)(void *ctx, bool is_closed), void *ctx);

/* discard_watch_on_read: fn(ctx, ...) is called after each page that could be read. One at most; NULL takes
 * it back. */
void discard_watch_on_read(struct discard_watch *watch,
                           void (*fn)(void *ctx, enum telemetry signal, const char *backend,
                                      const struct discarded *page),
                           void *ctx);

/* discard_watch_close: frees on the loop, when what is being read has come. NULL is fine. */
void discard_watch_close(struct discard_watch *watch);

#endif
