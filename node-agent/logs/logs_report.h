/* logs_report.h - answers the command logs on the control socket: GET /logs?format=human|json&of=NS/POD/CONT.
 *
 * For people: first what hinders all logs (the root, the gateway, the offsets), then each file with its
 * offsets, what rules and bounds did to its lines, and what is wrong with it, in words. As JSON the same
 * under stable names. At most LOGS_REPORT_MOST files and LOGS_REPORT_BYTES; what is left out is told. Loop
 * thread only.
 */
#ifndef NODE_AGENT_LOGS_REPORT_H
#define NODE_AGENT_LOGS_REPORT_H

#include "base/http/control.h"
#include "node-agent/logs/logs.h"
#include "node-agent/ship/ship.h"

enum { LOGS_REPORT_MOST = 20000, LOGS_REPORT_BYTES = 32 << 20 };

struct logs_report { /* all borrowed; lives as long as the control socket */
    const struct logs *logs;
    const struct ship *ship;
};

/* logs_report_add: answers on the socket from now on. */
void logs_report_add(struct control *control, struct logs_report *report);

#endif
