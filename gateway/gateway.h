/* gateway.h - the gateway as a whole: which part starts after which, and how they stop.
 *
 *   STARTING -> RUNNING --SIGTERM--> DRAINING (answers busy, sends what it can) -> STOPPING -> exit 0
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

/* gateway_run: the program's life. Returns its exit status. */
int gateway_run(const char *config_path);

#endif
