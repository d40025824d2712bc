/* main.c - the agent's command line. The life of the program is in agent.c. */
#include "base/program.h"
#include "node-agent/agent.h"
#include "node-agent/config.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/node_metrics_command.h"
#include "node-agent/logs/logs_command.h"

static int check(const char *path, struct buf *errors)
{
    struct agent_config config;
    struct conf_memory *memory;
    int err = agent_config_load(path, &config, &memory, errors);
    if (err < 0)
        return err;
    err = collector_flags_check(&config.host_metrics.collectors, &config.host_metrics.flags, errors);
    conf_free(memory);
    return err;
}

int main(int argc, char **argv)
{
    static const struct program_verb verbs[] = {
        {.name = "logs", .usage = LOGS_COMMAND_USAGE, .main = logs_command},
        {.name = "node-metrics", .usage = NODE_METRICS_USAGE, .main = node_metrics_command, .has_help = true},
        {0},
    };
    static const struct program program = {
        .name = "tributary-agent",
        .default_config = "/etc/tributary/agent.yaml",
        .run = agent_run,
        .check = check,
        .verbs = verbs,
    };
    return program_main(&program, argc, argv);
}
