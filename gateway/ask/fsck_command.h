/* fsck_command.h - the verb `fsck` of the gateway's command line: looks for damage in the buffer's files,
 * while the gateway runs or not. */
#ifndef GATEWAY_FSCK_COMMAND_H
#define GATEWAY_FSCK_COMMAND_H

#define FSCK_COMMAND_USAGE "[--folder PATH | --config FILE]"

/* The exit status: 0 when all is whole, 1 when there is damage (it is named), 2 when the command line was
 * wrong or there is no file. argv[0] is the verb. */
int fsck_command_main(int argc, char **argv);

#endif
