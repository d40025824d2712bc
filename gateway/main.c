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
    {"status", STATUS_COMMAND_USAGE, status_command_main},
    {"ledger", STATUS_COMMAND_USAGE, status_command_main},
    {"refused", REFUSED_COMMAND_USAGE, refused_command_main},
    {"replay", REPLAY_COMMAND_USAGE, replay_command_main},
    {"fsck", FSCK_COMMAND_USAGE, fsck_command_main},
    {"tap", TAP_COMMAND_USAGE, tap_command_main},
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
