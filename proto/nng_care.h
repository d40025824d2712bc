/* nng_care.h - two things that nng 1.5.2 needs from outside.
 *
 * A pipe that is closed because a send failed, just while a message is being received on it, can keep its
 * receive for ever (found with bursts of requests whose sender left without reading the answers). nng's one
 * reaper thread then waits for it, and everything that is reaped after it stays: descriptors and memory of
 * closed connections, dialers that wait to dial again, nng_close(). nng_leave() does not wait for that;
 * nng_watch finds it out, so that the program can start itself anew.
 */
#ifndef PROTO_NNG_CARE_H
#define PROTO_NNG_CARE_H

#include <nng/nng.h>

#include "base/loop.h"

/* nng_leave: closes the socket on a thread of its own and waits for it at most timeout_ms. 0, -ETIMEDOUT (the
 * thread goes on waiting; nothing of the socket may be freed), -ENOMEM or -EAGAIN (no thread). Any thread. */
int nng_leave(nng_socket socket, int timeout_ms);

enum { NNG_WATCH_PERIOD_MS = 15000, NNG_WATCH_DEADLINE_MS = 10000 };

struct nng_watch;

/* nng_watch_new: closes a pipe of its own every period_ms (0: NNG_WATCH_PERIOD_MS) and expects the reaper to
 * tell of it within deadline_ms (0: NNG_WATCH_DEADLINE_MS); else calls on_stuck(ctx), once. Loop thread. 0,
 * -ENOMEM. */
int nng_watch_new(struct loop *loop, int period_ms, int deadline_ms, void (*on_stuck)(void *ctx), void *ctx,
                  struct nng_watch **ret_watch);

/* nng_watch_close: no callback after it; frees on the loop. NULL is fine. */
void nng_watch_close(struct nng_watch *watch);

#endif
