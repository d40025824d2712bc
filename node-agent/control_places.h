/* control_places.h - where the agent's control socket may be, for who listens and for who asks.
 *
 * The configured one; else control.sock in the state folder, and for a state folder that cannot be written a
 * name of its own in /dev/shm, which a container has even when its root is read-only.
 */
#ifndef NODE_AGENT_CONTROL_PLACES_H
#define NODE_AGENT_CONTROL_PLACES_H

#include "node-agent/config.h"

enum { CONTROL_PLACES = 2, CONTROL_PLACE_LEN = 256 };

/* control_places_get: the place of that number, the one to try first is 0, in storage; NULL: there is none.
 */
const char *control_places_get(const struct agent_config *config, int number,
                               char storage[CONTROL_PLACE_LEN]);

#endif
