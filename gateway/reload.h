/* reload.h - whether the gateway could start with a configuration, asked while it runs with another. */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "gateway/config.h"

/* reload_check: the addresses, folders and files of next that in_force does not have. A line for each that
 * cannot be had is appended to errors. 0 or a negative errno. Main thread. */
int reload_check(const struct gateway_config *in_force, const struct gateway_config *next,
                 struct buf *errors);

#endif
