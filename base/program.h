/* program.h - the command line that both programs share: verbs, --config, --help.
 *
 *   NAME [run] [[--config] FILE]   runs until SIGTERM or SIGINT
 *   NAME check CONFIG              reads the configuration, says what is wrong with it
 *   NAME version
 *   NAME VERB ...                  the program's own further verbs; VERB --help: its usage
 *
 * Exit status: 0, 1 when it failed, 2 when the command line was wrong.
 */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/buf.h"
#include "base/conf/conf.h"

/* What run returns to be started anew, in the same process and with the same command line. */
enum { PROGRAM_RELOAD = 64 };

struct program_verb {
    const char *name; /* NULL ends the table */
    const char *usage;
    int (*main)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
    bool has_help;                      /* main answers --help itself; else it is the usage */
};

struct program {
    const char *name;
    const char *default_config;
    /* run: until the program is told to stop; returns the exit status. */
    int (*run)(const char *config_path);
    /* check: 0, or a negative errno with one message a line in errors. */
    int (*check)(const char *config_path, struct buf *errors);
    const struct program_verb *verbs;
};

/* program_main: what main() returns. */
int program_main(const struct program *program, int argc, char **argv);

/* program_tell_errors: writes the lines of errors to standard error, each as it is. */
void program_tell_errors(const struct buf *errors);

#endif
