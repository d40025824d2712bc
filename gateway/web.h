/* web.h - the gateway's own pages: /metrics, /-/healthy, /-/ready.
 *
 * Ready: it can commit (volume writable, listeners open) and is not draining. A backend that is away never
 * makes it unready: a gateway that leaves its Service because Loki is down would be lost exactly when its
 * buffer is needed. Whether data flows stands in the body of /-/ready and in the metrics. Loop thread only.
 */
#ifndef GATEWAY_WEB_H
#define GATEWAY_WEB_H

#include "base/buffer/buffer.h"
#include "base/loop.h"
#include "base/stats.h"
#include "gateway/ask/discard_watch.h"
#include "gateway/fanout/fanout.h"
#include "gateway/intake/receive.h"

struct web_parts { /* all borrowed; fanout may change at a reload */
    struct loop *loop;
    struct stats *stats;
    struct buffer *buffers[TELEMETRY_COUNT];
    struct receive *receive;
    struct fanout *fanout;
    struct discard_watch *discards; /* NULL: none yet */
    bool draining;
};

struct web;

/* web_new: listens on address. parts is borrowed and read at every request. 0 or a negative errno. */
int web_new(const char *address, struct web_parts *parts, struct web **ret_web);

/* web_close: NULL is fine. */
void web_close(struct web *web);

#endif
