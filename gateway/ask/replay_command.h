/* replay_command.h - the verb `replay` of the gateway's command line. */
#ifndef GATEWAY_REPLAY_COMMAND_H
#define GATEWAY_REPLAY_COMMAND_H

#define REPLAY_COMMAND_USAGE                                                                                 \
    "--backend B --from T --to T [--signal S] [--match 'LABEL=VALUE']... [--dry-run] [--rate BYTES] "        \
    "[--socket PATH | --config FILE]"

/* The exit status: 0, 1 when the gateway did not answer or something was refused or failed, 2 when the
 * command line was wrong. argv[0] is the verb. */
int replay_command_main(int argc, char **argv);

#endif
