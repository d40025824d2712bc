/* resend_scope.h - which rows a Loki may have forgotten: those whose streams somebody else may have posted at
 * the same time (resend.h).
 *
 * What applications sent may share its labels with any other. What agents tail belongs to one node, so only
 * where its agent came from another gateway within RESEND_SCOPE_MS, or where it is not known here any more,
 * may another gateway have posted it too. One that this gateway has not heard of for so long since its start
 * counts as come, unless its agent says that it knows of no other gateway.
 */
#ifndef GATEWAY_RESEND_SCOPE_H
#define GATEWAY_RESEND_SCOPE_H

#include "gateway/intake/receive.h"

enum { RESEND_SCOPE_MS = 24 * 3600 * 1000 };

struct resend_scope {
    char (*stayed)[BATCH_MAX_ORIGIN + 1]; /* owned; origins, sorted */
    size_t count;
};

/* resend_scope_init: as it stands at now_ns (wall clock). When memory is out everything is in scope. Loop
 * thread. */
void resend_scope_init(struct resend_scope *scope, const struct receive *receive, int64_t now_ns);
void resend_scope_fini(struct resend_scope *scope);

/* resend_scope_has: ctx is the scope. Any one thread. */
bool resend_scope_has(const void *ctx, const struct buffer_row *row);

#endif
