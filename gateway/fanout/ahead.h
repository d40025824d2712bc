/* ahead.h - records whose time lies more than ten minutes ahead of the backend's clock: an agent's clock is
 * wrong.
 *
 * Prometheus 2.42 drops such samples without a word (later versions refuse the request), and Loki such lines
 * unless they stand in a request's last stream (both: ten minutes by default). So they are refused here,
 * before they are posted. The backend's clock is the Date of its last answer (RFC 9110, 6.6.1); before the
 * first one, ours. Traces may have any time. Backend's thread only.
 */
#ifndef GATEWAY_AHEAD_H
#define GATEWAY_AHEAD_H

#include "gateway/fanout/lane.h"

#define AHEAD_MOST_NS (INT64_C(600) * 1000000000)

/* ahead_refuse: of the next part. 1: nothing of it is ahead; 0: it was answered, or cut: look at the next
 * part again; -ENOMEM, -EIO. */
int ahead_refuse(struct lane *lane, struct part part);

/* ahead_has_one_time: whether all records of the next part, of one row, have the same time, so that what is
 * said of one's time holds for all. */
bool ahead_has_one_time(struct lane *lane, struct part part);

#endif
