/* body.h - the body of a request's next part: whole rows joined by copying, or records cut out of one row.
 *
 * A row that is gone or damaged is left out and marked so; one that cannot be sent at all is answered here.
 * Backend's thread only.
 */
#ifndef GATEWAY_BODY_H
#define GATEWAY_BODY_H

#include "gateway/fanout/lane.h"

/* body_build: of the next part, into lane->post.body. 1: there is a body to post; 0: the part needs none and
 * was answered, or cut: look at the next part again; -ENOMEM, -EIO and other errors that may pass. */
int body_build(struct lane *lane, struct part part);

/* body_count: how many records the next part, a whole row, really has. A row that cannot be walked is
 * answered whole with status and words; then the part is no longer next. 0, -ENOMEM, -EIO. */
int body_count(struct lane *lane, int status, struct bytes words);

#endif
