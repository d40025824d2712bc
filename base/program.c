#include "base/program.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/passed_sockets.h"

enum { ERRORS_MAX = 64 * 1024, STATUS_FAILED = 1, STATUS_USAGE = 2, DESCRIPTORS = 65536 };

static int tell_usage(const struct program *program, FILE *to, int status)
{
    fprintf(to,
            "usage: %s [run] [[--config] FILE]    default: %s\n"
            "       %s check CONFIG\n"
            "       %s version\n",
            program->name, program->default_config, program->name, program->name);
    for (const struct program_verb *verb = program->verbs; verb && verb->name; verb++)
        fprintf(to, "       %s %s %s\n", program->name, verb->name, verb->usage);
    return status;
}

void program_tell_errors(const struct buf *errors)
{
    if (errors->len)
        fwrite(errors->ptr, 1, errors->len, stderr);
}

static int check(const struct program *program, const char *path)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = program->check(path, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    if (err < 0)
        return STATUS_FAILED;
    printf("%s: ok\n", path);
    return 0;
}

static int run(const struct program *program, int argc, char **argv)
{
    const char *path = program->default_config;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            path = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (argv[i][0] != '-' && i == argc - 1)
            path = argv[i];
        else
            return tell_usage(program, stderr, STATUS_USAGE);
    }
    return program->run(path);
}

/* NULL when it is no further verb. */
static const struct program_verb *find_verb(const struct program *program, const char *name)
{
    for (const struct program_verb *verb = program->verbs; verb && verb->name; verb++)
        if (strcmp(name, verb->name) == 0)
            return verb;
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

static int run_verb(const struct program *program, int argc, char **argv)
{
    const struct program_verb *verb = find_verb(program, argv[0]);
    if (!verb)
        return tell_usage(program, stderr, STATUS_USAGE);
    if (verb->has_help || !asks_for_help(argc, argv))
        return verb->main(argc, argv);
    return printf("usage: %s %s %s\n", program->name, verb->name, verb->usage) < 0 ? STATUS_FAILED : 0;
}

/* The program as it is on disk now, so that an upgrade in place takes effect too; else the file it was
 * started from. */
static int start_anew(char **argv)
{
    passed_sockets_export();
    execvp(argv[0], argv);
    execv("/proc/self/exe", argv);
    perror(argv[0]);
    return STATUS_FAILED;
}

static int dispatch(const struct program *program, int argc, char **argv)
{
    if (asks_for_help(argc, argv) && !find_verb(program, argv[1]))
        return tell_usage(program, stdout, 0);
    if (argc < 2 || argv[1][0] == '-')
        return run(program, argc - 1, argv + 1);
    if (strcmp(argv[1], "run") == 0)
        return run(program, argc - 2, argv + 2);
    if (strcmp(argv[1], "version") == 0 && argc == 2)
        return printf("%s %s\n", program->name, TRIBUTARY_VERSION) < 0 ? STATUS_FAILED : 0;
    if (strcmp(argv[1], "check") == 0)
        return argc == 3 ? check(program, argv[2]) : tell_usage(program, stderr, STATUS_USAGE);
    return run_verb(program, argc - 1, argv + 1);
}

/* Connections and open files are bounded by limits of our own; the soft one of the shell is too low for them.
 */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int program_main(const struct program *program, int argc, char **argv)
{
    raise_descriptor_limit();
    passed_sockets_adopt();
    int status = dispatch(program, argc, argv);
    return status == PROGRAM_RELOAD ? start_anew(argv) : status;
}
