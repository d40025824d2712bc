/* tap.h - shows what is in the buffers, live and past, over the control socket: GET /tap?... (tap_query.h).
 *
 * The answer is a stream of lines; an empty line every TAP_HEARTBEAT_MS while nothing comes shows a peer that
 * has left. Each tap reads in bounded steps on libuv's thread pool, one at a time, and stops while its peer
 * has more than TAP_QUEUED_BYTES still to take: neither a slow peer nor a big buffer holds up the gateway. At
 * most TAP_MAX_TAPS at once, more are answered 503. Loop thread only.
 *
 *   READING <--tick-- PEER_BEHIND        READING --at the end, followed--> WAITING --commit--> READING
 *      |--at the end, limit, failure--> ended
 */
#ifndef GATEWAY_TAP_H
#define GATEWAY_TAP_H

#include "base/buffer/buffer.h"
#include "base/http/control.h"
#include "base/loop.h"

enum { TAP_HEARTBEAT_MS = 10000, TAP_QUEUED_BYTES = 1 << 20, TAP_MAX_TAPS = 16 };

struct tap;

/* tap_new: answers on the control socket. control and buffers are borrowed and must stay open until
 * tap_close, the buffers until the loop has ended. 0, -ENOMEM. */
int tap_new(struct loop *loop, struct control *control, struct buffer *const buffers[TELEMETRY_COUNT],
            struct tap **ret_tap);

/* tap_close: ends all taps; frees asynchronously, on the loop. NULL is fine. */
void tap_close(struct tap *tap);

#endif
