/* main.c - the gateway's command line. The life of the program is in gateway.c. */
#include "base/program.h"
#include "gateway/ask/fsck_command.h"
#include "gateway/ask/refused_command.h"
#include "gateway/ask/replay_command.h"
#include "gateway/ask/status_command.h"
#include "gateway/ask/tap_command.h"
#include "gateway/config.h"
#include "gateway/gateway.h"

static int check(const char *path, struct buf *errors)
{
    struct gateway_config config;
    struct conf_memory *memory;
    int err = gateway_config_load(path, &config, &memory, errors);
    if (err == 0)
        conf_free(memory);
    return err;
}

static const struct program_verb verbs[] = {
    {.name = "status", .usage = STATUS_COMMAND_USAGE, .main = status_command_main},
    {.name = "ledger", .usage = STATUS_COMMAND_USAGE, .main = status_command_main},
    {.name = "refused", .usage = REFUSED_COMMAND_USAGE, .main = refused_command_main},
    {.name = "replay", .usage = REPLAY_COMMAND_USAGE, .main = replay_command_main},
    {.name = "fsck", .usage = FSCK_COMMAND_USAGE, .main = fsck_command_main},
    {.name = "tap", .usage = TAP_COMMAND_USAGE, .main = tap_command_main},
    {0},
};

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "tributary-gateway",
        .default_config = "/etc/tributary/gateway.yaml",
        .run = gateway_run,
        .check = check,
        .verbs = verbs,
    };
    return program_main(&program, argc, argv);
}
