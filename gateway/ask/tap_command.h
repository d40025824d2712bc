/* tap_command.h - the verb `tap` of the gateway's command line: asks the running gateway over its control
 * socket and prints what comes. */
#ifndef GATEWAY_TAP_COMMAND_H
#define GATEWAY_TAP_COMMAND_H

#define TAP_COMMAND_USAGE                                                                                    \
    "metrics|logs|traces [--follow] [--from T] [--to T] [--label NAME=VALUE]... [--text S] [--limit N] "     \
    "[--json] "                                                                                              \
    "[--socket PATH | --config FILE]"

/* tap_command_main: the exit status: 0, 1 when the gateway did not answer or refused, 2 when the command line
 * was wrong. argv[0] is the verb. */
int tap_command_main(int argc, char **argv);

#endif
