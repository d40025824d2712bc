/* agent.h - the agent as a whole: which part starts after which, and how they stop.
 *
 *   STARTING -> RUNNING --SIGTERM--> DRAINING (sources stop, what is sealed and queued is sent) -> STOPPING
 * -> exit 0
 */
#ifndef NODE_AGENT_AGENT_H
#define NODE_AGENT_AGENT_H

/* agent_run: the program's life. Returns its exit status. */
int agent_run(const char *config_path);

#endif
