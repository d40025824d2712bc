/* collector_choice.h - which collectors a page is made of: the collect[] and exclude[] of its URL. */
#ifndef NODE_AGENT_COLLECTOR_CHOICE_H
#define NODE_AGENT_COLLECTOR_CHOICE_H

#include "node-agent/host/collector_set.h"

/* collector_choice_take: leaves out of the set's runs what the query does not ask for. collect[]=NAME, any
 * number of times: only these; exclude[]=NAME: all but these (all, when none would be left); neither: all. 0,
 * or -EINVAL, the choice as before, with the words that node_exporter 1.12 answers with status 400: of both
 * kinds together, and of a collector that does not exist or is off. Its README describes the parameters
 * ("Filtering enabled collectors"). */
int collector_choice_take(struct collector_set *set, const char *query, char *words, size_t words_size);

#endif
