/* answer.h - what a backend's answer, or its absence, means for the request that was posted: taken, cut,
 * tried again, held, in doubt. Backend's thread only. */
#ifndef GATEWAY_ANSWER_H
#define GATEWAY_ANSWER_H

#include "gateway/fanout/lane.h"

/* answer_take: of a lane in LANE_POSTING; it is in another state afterwards. */
void answer_take(struct lane *lane, const struct sender_answer *answer);

#endif
