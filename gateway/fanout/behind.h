/* behind.h - log lines that may lie too far behind the newest of their stream.
 *
 * Loki refuses a line that is older than its stream's newest by more than half of max_chunk_age (an hour by
 * default), and says so only where it stands in the request's last stream: else it answers 204 and the line
 * is gone. Agents never send such lines of a file, but applications may, by OTLP, and a gateway that was
 * away, or took something over, has some of streams that went on elsewhere (homes.h). So what may be too far
 * behind (stream_times.h says of which lines that is not known to be so; of a stream that it does not know,
 * all that are half an hour behind the clock) is posted apart, a request each stream, where Loki's answer is
 * about it. Backend's thread only.
 */
#ifndef GATEWAY_BEHIND_H
#define GATEWAY_BEHIND_H

#include "gateway/fanout/lane.h"

/* behind_cut: of the next part, which is posted next when it is not cut. 1: it may be posted as it is; 0: it
 * was cut, or answered: look at the next part again; -ENOMEM, -EIO. */
int behind_cut(struct lane *lane, struct part part);

/* behind_take: the backend took the next part. */
void behind_take(struct lane *lane, struct part part);

#endif
