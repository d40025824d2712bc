/* replay_send.h - posts what a replay gathered, a request at a time, at its rate, and notes how far it came.
 *
 * To Loki a stream a request, because it tells of a request's last stream only. The replay's thread only.
 */
#ifndef GATEWAY_REPLAY_SEND_H
#define GATEWAY_REPLAY_SEND_H

#include "gateway/ask/replay_work.h"

/* replay_send_step: one request. JOB_GOES_ON, the job's exit status at the end, or a negative errno. */
int replay_send_step(struct replay_work *work, const _Atomic bool *cancelled, struct buf *out);

/* replay_send_tell: a line "progress BATCHES OF BYTES RECORDS MS LEFT_MS" into out. Speed and end are those
 * of this run; what is sent and not paid for yet takes its time. LEFT_MS is -1 while it is not known. */
void replay_send_tell(const struct replay_work *work, struct buf *out);

#endif
