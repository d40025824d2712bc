/* logs_command.h - the verb logs: asks the running agent over its control socket (HTTP/1.1, one request). */
#ifndef NODE_AGENT_LOGS_COMMAND_H
#define NODE_AGENT_LOGS_COMMAND_H

#define LOGS_COMMAND_USAGE "[NAMESPACE[/POD[/CONTAINER]]] [--json] [--socket PATH | --config FILE]"

/* logs_command: main of the verb; returns the exit status. */
int logs_command(int argc, char **argv);

#endif
