/* status.h - answers `status` and `ledger` on the control socket, and watches the rates of the backends.
 *
 *   GET /status, GET /ledger, each with ?format=human|json
 *
 * They answer for all gateways (replicas.h), with &local=1 for this one; each line names its gateway, and one
 * that does not answer is named. As JSON the others' documents are the list "others" of ours. /ledger answers
 * 409 with the same text when a ledger does not close, or a gateway does not answer.
 *
 * Every RATE_PERIOD_MS the rates go into the metrics; a backend that is behind is logged every STATUS_LOG_S,
 * and STATUS_TURNED_S after it went or came back, with what it owes, its rate, the estimated end and the
 * runway, and once more when it has caught up. Loop thread only. */
#ifndef GATEWAY_STATUS_H
#define GATEWAY_STATUS_H

#include "base/http/control.h"
#include "gateway/ask/replicas.h"
#include "gateway/web.h"

struct status;

enum { STATUS_LOG_S = 60, STATUS_TURNED_S = 5, STATUS_BEHIND_S = 30 };

/* status_new: parts is borrowed and read at every request. 0, -ENOMEM. */
int status_new(struct control *control, const char *name, struct web_parts *parts, struct replicas *replicas,
               struct status **ret_status);

/* status_close: frees on the loop. NULL is fine. */
void status_close(struct status *status);

#endif
