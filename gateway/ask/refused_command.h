/* refused_command.h - the verb `refused` of the gateway's command line. */
#ifndef GATEWAY_REFUSED_COMMAND_H
#define GATEWAY_REFUSED_COMMAND_H

#define REFUSED_COMMAND_USAGE                                                                                \
    "list|show|retry|drop [--backend B] [--signal S] [--cause C] [--origin O] [--id N] [--all] [--json] "    \
    "[--local] "                                                                                             \
    "[--socket PATH | --config FILE]"

/* The exit status: 0, 1 when the gateway did not answer or something failed, 2 when the command line was
 * wrong (drop wants a filter, or --all). argv[0] is the verb. */
int refused_command_main(int argc, char **argv);

#endif
