/* agent.h - the agent as a whole: which part starts after which, and how they stop.
 *
 *   STARTING --lock held--> RUNNING --SIGTERM--> DRAINING (sources stop, what is sealed and queued is sent)
 *      |                       ^                                                          -> STOPPING -> exit
 * 0
 *      '--another has it--> WAITING (takes OTLP, which goes out under an origin of its own)
 *
 * Two agents of one node share its state folder while one replaces the other. Only the one that holds the
 * folder's lock tails, scrapes and collects, and uses the node's name as origin.
 */
#ifndef NODE_AGENT_AGENT_H
#define NODE_AGENT_AGENT_H

/* agent_run: the program's life. Returns its exit status. */
int agent_run(const char *config_path);

#endif
