/* softnet.c - /proc/net/softnet_stat: a line of hexadecimal numbers for each CPU. Newer kernels write more of
 * them: from 13 on the CPU's number is among them. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

enum { LEAST = 9, BACKLOG = 11, INDEX = 12, MOST = 15 };

static const struct {
    int column;
    const char *name;
    enum metric_type type;
    const char *help;
} rows[] = {
    {0, "node_softnet_processed_total", METRIC_COUNTER, "Number of processed packets"},
    {1, "node_softnet_dropped_total", METRIC_COUNTER, "Number of dropped packets"},
    {2, "node_softnet_times_squeezed_total", METRIC_COUNTER,
     "Number of times processing packets ran out of quota"},
    {8, "node_softnet_cpu_collision_total", METRIC_COUNTER,
     "Number of collision occur while obtaining device lock while transmitting"},
    {9, "node_softnet_received_rps_total", METRIC_COUNTER, "Number of times cpu woken up received_rps"},
    {10, "node_softnet_flow_limit_count_total", METRIC_COUNTER,
     "Number of times flow limit has been reached"},
    {BACKLOG, "node_softnet_backlog_len", METRIC_GAUGE, "Softnet backlog status"},
};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = host_net_file(config, "softnet_stat");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int parse_line(struct bytes line, unsigned number, struct metric_sink *sink)
{
    struct bytes fields[MOST];
    uint64_t values[MOST] = {0};
    char cpu[24];
    size_t count = text_fields(line, fields, MOST);
    if (count < LEAST)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (text_hex(fields[i], &values[i]) < 0)
            return -EINVAL;
    if (count <= INDEX)
        values[BACKLOG] = 0;
    snprintf(cpu, sizeof cpu, "%u", count > INDEX ? (unsigned)values[INDEX] : number);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        COLLECTOR_SAMPLE(sink, rows[i].name, rows[i].type, rows[i].help, (double)values[rows[i].column],
                         "cpu", cpu);
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    unsigned number = 0;
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(line, number++, sink);
    return err;
}

const struct collector collector_softnet = {
    .name = "softnet", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
