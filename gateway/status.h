/* status.h - answers `status` and `ledger` on the control socket, and watches the rates of the backends.
 *
 *   GET /status, GET /ledger, each with ?format=human|json
 *
 * /ledger answers 409 with the same text when a ledger does not close. Loop thread only. */
#ifndef GATEWAY_STATUS_H
#define GATEWAY_STATUS_H

#include "base/control.h"
#include "gateway/web.h"

struct status;

/* status_new: parts is borrowed and read at every request. 0, -ENOMEM. */
int status_new(struct control *control, const char *name, struct web_parts *parts,
               struct status **ret_status);

/* status_close: frees on the loop. NULL is fine. */
void status_close(struct status *status);

#endif
