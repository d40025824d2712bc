/* swap.c - /proc/swaps: a head, then "DEVICE TYPE SIZE USED PRIORITY", sizes in KiB. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { FIELDS = 5, NAME_BYTES = 512 };

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new(config->host_metrics.path_procfs, "swaps");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static int emit_swap(struct bytes line, struct metric_sink *sink)
{
    static const struct {
        const char *name, *help;
        double scale;
    } rows[] = {{"node_swap_size_bytes", "Swap device size in bytes.", 1024},
                {"node_swap_used_bytes", "Swap device used in bytes.", 1024},
                {"node_swap_priority", "Swap device priority.", 1}};
    struct bytes fields[FIELDS];
    char device[NAME_BYTES], type[64];
    if (text_fields(line, fields, FIELDS) < FIELDS)
        return -EINVAL;
    text_copy(fields[0], device, sizeof device);
    text_copy(fields[1], type, sizeof type);
    for (int i = 0; i < 3; i++) {
        double value;
        if (text_double(fields[i + 2], &value) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_GAUGE, rows[i].help, value * rows[i].scale, "device",
                         device, "swap_type", type);
    }
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line;
    int err = procfile_read(state, &text);
    bool head = err == 0 && text_line(&text, &line);
    while (err == 0 && head && text_line(&text, &line))
        err = emit_swap(line, sink);
    return err;
}

const struct collector collector_swap = {.name = "swap", .start = start, .update = update, .stop = stop};
