/* reload.h - whether the agent could start with a configuration, asked while it runs with another. */
#ifndef NODE_AGENT_RELOAD_H
#define NODE_AGENT_RELOAD_H

#include "node-agent/config.h"

/* reload_check: the addresses, folders and files of next that in_force does not have. A line for each that
 * cannot be had is appended to errors. 0 or a negative errno. Main thread. */
int reload_check(const struct agent_config *in_force, const struct agent_config *next, struct buf *errors);

#endif
