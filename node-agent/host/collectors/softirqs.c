/* softirqs.c - /proc/softirqs: a head, then "TYPE: COUNT ..." with a count for each CPU. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

static const char *const types[] = {"HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                    "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new_long(config->host_metrics.path_procfs, "softirqs");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int emit_counts(struct metric_sink *sink, const char *type, struct bytes line)
{
    struct bytes field;
    for (int i = 0; text_field(&line, &field); i++) {
        uint64_t value;
        char cpu[16];
        if (text_u64(field, &value) < 0)
            return -EINVAL;
        snprintf(cpu, sizeof cpu, "%d", i);
        COLLECTOR_SAMPLE(sink, "node_softirqs_functions_total", METRIC_COUNTER, "Softirq counts per CPU.",
                         (double)value, "cpu", cpu, "type", type);
    }
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line, key;
    int err = procfile_read(state, &text);
    if (err == 0 && !text_line(&text, &line))
        err = -EINVAL;
    while (err == 0 && text_line(&text, &line)) {
        if (!text_field(&line, &key) || !text_ends(key, ":"))
            continue;
        key.len--;
        for (size_t i = 0; i < sizeof types / sizeof *types && err == 0; i++)
            if (text_is(key, types[i]))
                err = emit_counts(sink, types[i], line);
    }
    return err;
}

const struct collector collector_softirqs = {
    .name = "softirqs", .start = start, .update = update, .stop = stop};
