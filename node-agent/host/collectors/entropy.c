/* entropy.c - /proc/sys/kernel/random. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

static const char *const files[] = {"sys/kernel/random/entropy_avail", "sys/kernel/random/poolsize", NULL};

static const struct {
    const char *name, *help;
} rows[] = {
    {"node_entropy_available_bits", "Bits of available entropy."},
    {"node_entropy_pool_size_bits", "Bits of entropy pool."},
};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_set_new(config->host_metrics.path_procfs, files);
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_set_free(state);
}

static int update(void *state, struct metric_sink *sink)
{
    struct procfile **set = state;
    for (int i = 0; set[i]; i++) {
        struct bytes text, line;
        uint64_t value;
        int err = procfile_read(set[i], &text);
        if (err < 0)
            return err;
        if (!text_line(&text, &line) || text_u64(line, &value) < 0)
            return -EINVAL;
        collector_emit(sink, rows[i].name, METRIC_GAUGE, rows[i].help, (double)value);
    }
    return 0;
}

const struct collector collector_entropy = {
    .name = "entropy", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
