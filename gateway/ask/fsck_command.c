#include "gateway/ask/fsck_command.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buffer/buffer_check.h"
#include "base/program.h"
#include "gateway/ask/control_client.h"
#include "gateway/config.h"

enum { ERRORS_MAX = 65536, STATUS_USAGE = 2 };

static void say(void *ctx, const char *line)
{
    const char *path = ctx;
    printf("%s: %s\n", path, line);
}

/* Whether the file is whole; *found counts the files that are there. */
static bool check_file(const char *folder, enum telemetry signal, int *found)
{
    char path[4096];
    struct buffer_check check;
    snprintf(path, sizeof path, "%s/%s.db", folder, telemetry_name(signal));
    if (access(path, F_OK) < 0)
        return true;
    (*found)++;
    if (buffer_check_file(path, say, path, &check) < 0)
        return false;
    bool is_whole = check.damaged + check.unreadable + check.missing + check.problems == 0;
    printf("%s: %s: %llu rows with %llu records whole, %llu damaged, %llu unreadable, %llu missing; "
           "%llu problems of structure\n",
           path, is_whole ? "ok" : "DAMAGED", (unsigned long long)check.rows,
           (unsigned long long)check.records, (unsigned long long)check.damaged,
           (unsigned long long)check.unreadable, (unsigned long long)check.missing,
           (unsigned long long)check.problems);
    return is_whole;
}

static int check_folder(const char *folder)
{
    bool is_whole = true;
    int found = 0;
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        is_whole &= check_file(folder, (enum telemetry)s, &found);
    if (found == 0)
        fprintf(stderr, "%s: no buffer is here\n", folder);
    return found == 0 ? STATUS_USAGE : is_whole ? 0 : 1;
}

static int check_configured(const char *path)
{
    struct gateway_config config;
    struct conf_memory *memory;
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    int err = gateway_config_load(path, &config, &memory, &errors);
    program_tell_errors(&errors);
    buf_fini(&errors);
    if (err < 0)
        return STATUS_USAGE;
    int status = check_folder(config.buffer.folder);
    conf_free(memory);
    return status;
}

int fsck_command_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"folder", required_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'}, {0}};
    const char *folder = NULL, *config = CONTROL_CLIENT_CONFIG;
    bool is_wrong = false;
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f')
            folder = optarg;
        else if (option == 'c')
            config = optarg;
        else
            is_wrong = true;
    }
    if (is_wrong || optind != argc) {
        fprintf(stderr, "usage: tributary-gateway fsck %s\n", FSCK_COMMAND_USAGE);
        return STATUS_USAGE;
    }
    return folder ? check_folder(folder) : check_configured(config);
}
