/* status_command.h - the verbs `status` and `ledger` of the gateway's command line. */
#ifndef GATEWAY_STATUS_COMMAND_H
#define GATEWAY_STATUS_COMMAND_H

#define STATUS_COMMAND_USAGE "[--json] [--local] [--socket PATH | --config FILE]"

/* The exit status: 0, 1 when the gateway did not answer or (ledger) the balance does not close, 2 when the
 * command line was wrong. argv[0] is the verb. */
int status_command_main(int argc, char **argv);

#endif
