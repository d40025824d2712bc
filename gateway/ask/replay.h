/* replay.h - sends what a buffer still keeps to one backend again, over the control socket.
 *
 *   POST /replay?backend=&from=&to=[&signal=][&match=name=value\n...][&rate=BYTES][&dry_run=1]
 *
 * A job (job.h). First it looks what there is, and compares it with what the backend says that it takes
 * (replay_window.h): records that it would surely refuse are left out, those that it may refuse are said.
 * Then rows go in the order in which they were committed, joined up to the backend's limit, at most rate
 * bytes (raw) a second; lines a stream a request, for Loki tells of a request's last stream only. Rows that
 * the backend has not got at all yet are left to fan-out. How far it came is kept in the buffer under the
 * asked backend, span and matches: asked again after it was cut off, it goes on there. Cursors are not
 * touched; what was delivered counts as replayed.
 *
 * Lines: text for people; "progress ROWS OF-ROWS RAW-BYTES RECORDS MS MS-LEFT" (RAW-BYTES and MS of this run,
 * MS-LEFT -1: not known). Exit status 0, 1 when something was refused or went wrong.
 */
#ifndef GATEWAY_REPLAY_H
#define GATEWAY_REPLAY_H

#include "base/buffer/buffer.h"
#include "base/http/control.h"
#include "gateway/ask/job.h"
#include "gateway/config.h"

struct replay;

/* replay_new: all is borrowed; the buffers must stay open until the loop has ended. 0, -ENOMEM. */
int replay_new(struct control *control, struct jobs *jobs, const struct gateway_config *config,
               struct buffer *const buffers[TELEMETRY_COUNT], struct replay **ret_replay);

/* replay_close: after jobs_close; its jobs may still end. NULL is fine. */
void replay_close(struct replay *replay);

#endif
